import Kernels
import System
import Testing
import TestOracle

/// A convolution's shape, readable in a test's name.
struct Convolution2DShape: Sendable, CustomTestStringConvertible {
    let convolution: Convolution2D

    init(
        _ height: Int, _ width: Int, _ inputs: Int, _ outputs: Int, _ kernel: Int, _ stride: Int,
        _ padding: Convolution2D.Padding, set: InstructionSet = .best,
        method: Convolution2D.Method = .fastest
    ) {
        convolution = Convolution2D(
            height: height, width: width, inputChannels: inputs, outputChannels: outputs, kernel: kernel, stride: stride,
            padding: padding, method: method, instructionSet: set)
    }

    /// The same shape on other kernels.
    func on(_ set: InstructionSet, _ method: Convolution2D.Method) -> Convolution2DShape {
        let c = convolution
        return Convolution2DShape(
            c.height, c.width, c.inputChannels, c.outputChannels, c.kernel, c.stride, c.padding, set: set, method: method)
    }

    var oracle: OracleConvolution {
        let c = convolution
        return OracleConvolution(
            height: c.height, width: c.width, inputChannels: c.inputChannels, outputChannels: c.outputChannels,
            kernel: c.kernel, stride: c.stride, border: c.border)
    }

    var testDescription: String {
        let c = convolution
        return "\(c.height)x\(c.width) \(c.inputChannels)->\(c.outputChannels) \(c.kernel)x\(c.kernel) stride \(c.stride) \(c.padding), "
            + c.instructionSet.name + (c.usesWinograd ? ", Winograd" : "")
    }

    /// The presets' shapes, smaller images, and odd ones.
    static let all = InstructionSet.allCases.filter(\.isAvailable).flatMap { set in
        shapes.flatMap { shape in
            let fastest = shape.on(set, .fastest)
            return fastest.convolution.usesWinograd ? [fastest, shape.on(set, .direct)] : [fastest]
        }
    }

    static let shapes: [Convolution2DShape] = [
        .init(14, 15, 1, 8, 5, 1, .valid), .init(13, 13, 8, 8, 5, 1, .valid), .init(13, 13, 8, 8, 3, 1, .valid),
        .init(12, 12, 1, 16, 3, 1, .same), .init(11, 25, 16, 16, 3, 1, .same), .init(9, 9, 16, 32, 1, 1, .same),
        .init(12, 12, 32, 32, 3, 1, .same), .init(12, 12, 64, 64, 3, 1, .same), .init(24, 24, 64, 64, 3, 1, .same),
        .init(6, 6, 64, 64, 3, 1, .same), .init(3, 3, 64, 64, 3, 1, .same), .init(6, 6, 128, 64, 1, 1, .same),
        .init(3, 3, 64, 128, 1, 1, .same), .init(9, 10, 256, 128, 1, 1, .same), .init(7, 7, 128, 16, 1, 1, .same),
        .init(20, 21, 1, 32, 7, 2, .same), .init(21, 20, 1, 16, 5, 2, .same), .init(12, 12, 32, 64, 3, 2, .same),
        .init(11, 13, 32, 64, 3, 2, .same), .init(12, 12, 32, 64, 1, 2, .same), .init(13, 11, 8, 24, 5, 2, .valid),
        .init(5, 7, 3, 5, 3, 1, .same), .init(7, 5, 7, 3, 3, 2, .same), .init(1, 1, 1, 1, 1, 1, .valid),
        .init(1, 1, 5, 3, 3, 1, .same), .init(3, 2, 2, 9, 5, 1, .same), .init(2, 9, 17, 33, 7, 2, .same),
        .init(8, 8, 33, 31, 3, 1, .same), .init(8, 9, 12, 20, 7, 1, .valid), .init(10, 8, 40, 48, 3, 1, .valid),
        .init(17, 18, 16, 48, 3, 1, .same),
        // Winograd's smaller tiles, several samples' multiplied at once.
        .init(2, 34, 16, 24, 3, 1, .same), .init(36, 4, 24, 16, 3, 1, .valid),
    ]
}

/// What the kernels gave for a batch.
struct ConvolutionResult {
    var y: [Float], dx: [Float], dw: [Float], db: [Float]
}

/// Runs all passes of a convolution over a batch with a team of threads, in guarded memory.
func run(
    _ c: Convolution2D, samples: Int, x: [Double], weights: [Double], bias: [Double], dy: [Double], threads: Int = 1,
    rectified: Bool = false, accumulatingOn start: [Double]? = nil
) -> ConvolutionResult {
    // A few threads can be had where tests run.
    let team = try! WorkerTeam(count: threads, spins: 0)
    let (xs, ws, bs, dys) = (GuardedBuffer(x), GuardedBuffer(weights), GuardedBuffer(bias), GuardedBuffer(dy))
    let forwardPacked = GuardedBuffer<Float>(overwriting: c.forwardPackedCount)
    let backwardPacked = GuardedBuffer<Float>(overwriting: c.backwardPackedCount)
    let scratches = (0..<threads).map { _ in GuardedBuffer<Float>(overwriting: c.scratchCount) }
    let scratch = scratches.map(\.start)
    let y = GuardedBuffer<Float>(overwriting: samples * c.outputCount)
    let dx = start.map { GuardedBuffer($0) } ?? GuardedBuffer<Float>(overwriting: samples * c.inputCount)
    let lanes = c.weightGradientLanes(samples: samples)
    let partials = GuardedBuffer<Float>(overwriting: lanes * c.partialCount)
    let dw = GuardedBuffer<Float>(overwriting: c.weightCount)
    let db = GuardedBuffer<Float>(overwriting: c.outputChannels)
    team.forEach(c.packItems) { item, _ in
        c.packForward(ws.start, into: forwardPacked.start, item: item)
        c.packBackward(ws.start, into: backwardPacked.start, item: item)
    }
    team.forEach(samples * c.forwardItems) { index, thread in
        let (sample, item) = (index / c.forwardItems, index % c.forwardItems)
        c.forward(
            x: xs.start + sample * c.inputCount, packed: forwardPacked.start, bias: bs.start, rectified: rectified,
            y: y.start + sample * c.outputCount, item: item, scratch: scratch[thread])
    }
    team.forEach(samples * c.inputGradientItems) { index, thread in
        let (sample, item) = (index / c.inputGradientItems, index % c.inputGradientItems)
        c.inputGradient(
            dy: dys.start + sample * c.outputCount, packed: backwardPacked.start, dx: dx.start + sample * c.inputCount,
            accumulating: start != nil, item: item, scratch: scratch[thread])
    }
    team.forEach(lanes) { lane, thread in
        c.weightGradient(
            x: xs.start, dy: dys.start, samples: samples, lane: lane, partial: partials.start + lane * c.partialCount,
            scratch: scratch[thread])
    }
    team.forEach(c.sumItems) { item, _ in
        c.sumWeightGradient(partials: partials.start, lanes: lanes, weights: dw.start, bias: db.start, item: item)
    }
    for buffer in [xs, ws, bs, dys, forwardPacked, backwardPacked, y, dx, partials, dw, db] + scratches {
        #expect(buffer.isIntact, "wrote beyond its memory")
    }
    return ConvolutionResult(y: y.values, dx: dx.values, dw: dw.values, db: db.values)
}

/// Every pass against the oracle. A sum of n products differs from the exact one by at most n/2 ulps of the sum of the
/// products' magnitudes, and by about sqrt(n)/2 ulps in fact; Winograd's way is granted twice
/// as much, of the largest such sum.
@Suite("Convolutions")
struct Convolution2DTests {
    static let samples = 3

    private struct Data {
        let x, weights, bias, dy: [Double]

        init(_ c: Convolution2D, seed: UInt64) {
            var values = TestValues(seed: seed)
            x = values.uniform(samples * c.inputCount)
            weights = values.uniform(c.weightCount)
            bias = values.uniform(c.outputChannels)
            dy = values.uniform(samples * c.outputCount)
        }

        func x(_ c: Convolution2D, _ sample: Int) -> [Double] { Array(x[sample * c.inputCount..<(sample + 1) * c.inputCount]) }
        func dy(_ c: Convolution2D, _ sample: Int) -> [Double] { Array(dy[sample * c.outputCount..<(sample + 1) * c.outputCount]) }
    }

    /// Winograd's way sums over whole tiles of the image, so that an element's error goes by the largest sum of magnitudes
    /// around, not by its own: a corner's is small.
    private func tolerance(_ c: Convolution2D, _ magnitudes: [Double], terms: Int) -> [Double] {
        let ulps = (2 + Double(terms).squareRoot()) * Double(Float.ulpOfOne)
        let largest = magnitudes.max()!
        return magnitudes.map { c.usesWinograd ? 2 * ulps * largest : ulps * $0 }
    }

    @Test("agree with the oracle in all passes", arguments: Convolution2DShape.all)
    func oracle(shape: Convolution2DShape) {
        let (c, oracle) = (shape.convolution, shape.oracle)
        #expect(c.outputHeight == oracle.outputHeight && c.outputWidth == oracle.outputWidth)
        let data = Data(c, seed: 71)
        let result = run(c, samples: Self.samples, x: data.x, weights: data.weights, bias: data.bias, dy: data.dy)
        var (y, dx, yMagnitudes, dxMagnitudes) = ([Double](), [Double](), [Double](), [Double]())
        var (dw, db) = ([Double](repeating: 0, count: c.weightCount), [Double](repeating: 0, count: c.outputChannels))
        var (dwMagnitudes, dbMagnitudes) = (dw, db)
        for sample in 0..<Self.samples {
            let (x, dy) = (data.x(c, sample), data.dy(c, sample))
            y += oracle.forward(x, weights: data.weights, bias: data.bias)
            yMagnitudes += oracle.forward(x.magnitudes, weights: data.weights.magnitudes, bias: data.bias.magnitudes)
            let gradients = oracle.backward(x, weights: data.weights, gradient: dy)
            let magnitudes = oracle.backward(x.magnitudes, weights: data.weights.magnitudes, gradient: dy.magnitudes)
            dx += gradients.x
            dxMagnitudes += magnitudes.x
            for index in dw.indices {
                dw[index] += gradients.weights[index]
                dwMagnitudes[index] += magnitudes.weights[index]
            }
            for index in db.indices {
                db[index] += gradients.bias[index]
                dbMagnitudes[index] += magnitudes.bias[index]
            }
        }
        let (k2, positions) = (c.kernel * c.kernel, Self.samples * c.outputHeight * c.outputWidth)
        #expect(mismatch(result.y, y, tolerance: tolerance(c, yMagnitudes, terms: k2 * c.inputChannels)) == nil, "y")
        #expect(mismatch(result.dx, dx, tolerance: tolerance(c, dxMagnitudes, terms: k2 * c.outputChannels)) == nil, "dx")
        #expect(mismatch(result.dw, dw, tolerance: tolerance(c, dwMagnitudes, terms: positions)) == nil, "dw")
        #expect(mismatch(result.db, db, tolerance: tolerance(c, dbMagnitudes, terms: positions)) == nil, "db")
    }

    @Test("have the same bits on 1 to 4 threads, and a sample has the same bits alone", arguments: Convolution2DShape.all)
    func bits(shape: Convolution2DShape) {
        let c = shape.convolution
        let data = Data(c, seed: 72)
        let one = run(c, samples: Self.samples, x: data.x, weights: data.weights, bias: data.bias, dy: data.dy)
        for threads in 2...4 {
            let many = run(
                c, samples: Self.samples, x: data.x, weights: data.weights, bias: data.bias, dy: data.dy, threads: threads)
            #expect(bitDifference(many.y, one.y) == nil, "y on \(threads) threads")
            #expect(bitDifference(many.dx, one.dx) == nil, "dx on \(threads) threads")
            #expect(bitDifference(many.dw, one.dw) == nil, "dw on \(threads) threads")
            #expect(bitDifference(many.db, one.db) == nil, "db on \(threads) threads")
        }
        let last = Self.samples - 1
        let alone = run(
            c, samples: 1, x: data.x(c, last), weights: data.weights, bias: data.bias, dy: data.dy(c, last))
        #expect(bitDifference(alone.y, Array(one.y[(last * c.outputCount)...])) == nil, "y alone")
        #expect(bitDifference(alone.dx, Array(one.dx[(last * c.inputCount)...])) == nil, "dx alone")
    }

    @Test("rectify their result, and add to a gradient, where asked", arguments: Convolution2DShape.all)
    func options(shape: Convolution2DShape) {
        let c = shape.convolution
        let data = Data(c, seed: 73)
        let start = [Double](repeating: 0.5, count: data.x.count)
        let plain = run(c, samples: Self.samples, x: data.x, weights: data.weights, bias: data.bias, dy: data.dy)
        let other = run(
            c, samples: Self.samples, x: data.x, weights: data.weights, bias: data.bias, dy: data.dy, rectified: true,
            accumulatingOn: start)
        #expect(bitDifference(other.y, plain.y.map { max(0, $0) }) == nil, "y")
        // One rounding of the sum more than in dx itself.
        #expect(
            mismatch(
                other.dx, plain.dx.doubles.map { $0 + 0.5 },
                tolerance: plain.dx.doubles.map { 8 * Double(Float.ulpOfOne) * (abs($0) + 0.5) }) == nil, "dx")
    }
}
