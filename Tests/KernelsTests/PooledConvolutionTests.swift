import Kernels
import Testing
import TestOracle

/// Convolution and max pooling in one, against one after the other.
@Suite("Convolution and max pooling in one")
struct PooledConvolutionTests {
    /// A convolution, and the window behind it.
    struct Case: Sendable, CustomTestStringConvertible {
        let shape: Convolution2DShape
        let window: Int
        var testDescription: String { "\(shape.testDescription), windows of \(window)" }
    }

    /// Rows of the kernel shorter than a vector, of one, of whole vectors and of many; with zeros around, and with strides.
    static let shapes: [(Convolution2DShape, Int)] = [
        (.init(14, 15, 1, 8, 5, 1, .valid), 4), (.init(13, 13, 8, 8, 5, 1, .valid), 2), (.init(11, 13, 8, 5, 3, 1, .valid), 3),
        (.init(9, 10, 1, 3, 3, 1, .same), 2), (.init(8, 9, 3, 16, 3, 1, .same), 2), (.init(12, 12, 2, 9, 7, 1, .same), 5),
        (.init(20, 21, 1, 32, 7, 2, .same), 2), (.init(13, 11, 8, 24, 5, 2, .valid), 2), (.init(6, 7, 17, 4, 5, 1, .same), 2),
        (.init(8, 9, 12, 20, 7, 1, .valid), 2), (.init(6, 6, 16, 8, 1, 1, .same), 3), (.init(4, 8, 1, 2, 3, 1, .valid), 2),
    ]

    static let all = InstructionSet.allCases.filter(\.isAvailable).flatMap { set in
        shapes.map { Case(shape: $0.0.on(set, .direct), window: $0.1) }
    }

    private struct Results {
        var y: [Float], winners: [UInt8], dw: [Float], db: [Float]
    }

    /// - Parameter rectified: by the pooling.
    private func run(_ pooled: PooledConvolution, samples: Int, _ values: inout TestValues, rectified: Bool) -> (Results, expected: Results) {
        let (c, pooling) = (pooled.convolution, pooled.pooling)
        let (x, weights, bias) = (values.uniform(samples * c.inputCount), values.uniform(c.weightCount), values.uniform(c.outputChannels))
        let dy = values.uniform(samples * pooling.outputCount)
        let (xs, ws, bs, dys) = (GuardedBuffer(x), GuardedBuffer(weights), GuardedBuffer(bias), GuardedBuffer(dy))
        let packed = GuardedBuffer<Float>(overwriting: c.forwardPackedCount)
        for item in 0..<c.packItems { c.packForward(ws.start, into: packed.start, item: item) }
        let (scratch, other) = (GuardedBuffer<Float>(overwriting: pooled.scratchCount), GuardedBuffer<Float>(overwriting: c.scratchCount))
        func room() -> (y: GuardedBuffer<Float>, winners: GuardedBuffer<UInt8>) {
            let count = samples * pooling.outputCount
            return (GuardedBuffer(overwriting: count), GuardedBuffer([UInt8](repeating: 255, count: count), outside: 99))
        }
        let own = room()
        for item in 0..<samples * pooled.items {
            let (sample, row) = (item / pooled.items, item % pooled.items)
            let start = sample * pooling.outputCount
            pooled.forward(
                x: xs.start + sample * c.inputCount, packed: packed.start, bias: bs.start, rectified: rectified, y: own.y.start + start,
                winners: own.winners.start + start, item: row, scratch: scratch.start)
        }
        let lanes = pooled.lanes(samples: samples)
        let partials = GuardedBuffer<Float>(overwriting: lanes * c.partialCount)
        for lane in 0..<lanes {
            pooled.weightGradient(
                x: xs.start, dy: dys.start, y: rectified ? own.y.start : nil, winners: own.winners.start, samples: samples, lane: lane,
                partial: partials.start + lane * c.partialCount, scratch: scratch.start)
        }
        // One after the other.
        let whole = GuardedBuffer<Float>(overwriting: samples * c.outputCount)
        let dwhole = GuardedBuffer<Float>(overwriting: samples * c.outputCount)
        let reference = room()
        for sample in 0..<samples {
            let start = sample * pooling.outputCount
            for item in 0..<c.forwardItems {
                c.forward(
                    x: xs.start + sample * c.inputCount, packed: packed.start, bias: bs.start, rectified: false,
                    y: whole.start + sample * c.outputCount, item: item, scratch: other.start)
            }
            for item in 0..<pooling.items {
                pooling.maximum(
                    x: whole.start + sample * c.outputCount, y: reference.y.start + start, winners: reference.winners.start + start,
                    rectified: rectified, item: item)
                pooling.maximumBackward(
                    dy: dys.start + start, winners: reference.winners.start + start, y: rectified ? reference.y.start + start : nil,
                    dx: dwhole.start + sample * c.outputCount, item: item)
            }
        }
        let slow = c.weightGradientLanes(samples: samples)
        let slowPartials = GuardedBuffer<Float>(overwriting: slow * c.partialCount)
        for lane in 0..<slow {
            c.weightGradient(
                x: xs.start, dy: dwhole.start, samples: samples, lane: lane, partial: slowPartials.start + lane * c.partialCount,
                scratch: other.start)
        }
        func sum(_ partials: GuardedBuffer<Float>, _ lanes: Int) -> (dw: [Float], db: [Float]) {
            let (dw, db) = (GuardedBuffer<Float>(overwriting: c.weightCount), GuardedBuffer<Float>(overwriting: c.outputChannels))
            for item in 0..<c.sumItems {
                c.sumWeightGradient(partials: partials.start, lanes: lanes, weights: dw.start, bias: db.start, item: item)
            }
            return (dw.values, db.values)
        }
        for buffer in [xs, ws, bs, dys, packed, scratch, own.y, partials] { #expect(buffer.isIntact, "wrote beyond its memory") }
        #expect(own.winners.isIntact)
        let (one, two) = (sum(partials, lanes), sum(slowPartials, slow))
        return (
            Results(y: own.y.values, winners: own.winners.values, dw: one.dw, db: one.db),
            Results(y: reference.y.values, winners: reference.winners.values, dw: two.dw, db: two.db)
        )
    }

    @Test("pooled values have the same bits, and gradients agree to rounding", arguments: all, [false, true])
    func agrees(_ test: Case, rectified: Bool) throws {
        let pooled = try #require(PooledConvolution(test.shape.convolution, window: test.window))
        var values = TestValues(seed: 4)
        let (own, expected) = run(pooled, samples: 3, &values, rectified: rectified)
        #expect(bitDifference(own.y, expected.y) == nil)
        #expect(own.winners == expected.winners)
        // Sums of as many products as there are windows, of values up to 1.
        let terms = Double(3 * pooled.items * pooled.pooling.outputWidth)
        let tolerance = 2 * terms.squareRoot() * Double(Float.ulpOfOne) * 4
        #expect(mismatch(own.dw, expected.dw.map(Double.init), tolerance: tolerance) == nil)
        #expect(mismatch(own.db, expected.db.map(Double.init), tolerance: tolerance) == nil)
    }

    @Test("the sets of kernels give the same bits", arguments: shapes.indices)
    func sets(_ index: Int) throws {
        let results = try InstructionSet.allCases.filter(\.isAvailable).map { set in
            let pooled = try #require(PooledConvolution(Self.shapes[index].0.on(set, .direct).convolution, window: Self.shapes[index].1))
            var values = TestValues(seed: 5)
            return run(pooled, samples: 2, &values, rectified: true).0
        }
        for other in results.dropFirst() {
            #expect(bitDifference(results[0].y, other.y) == nil)
            #expect(bitDifference(results[0].dw, other.dw) == nil)
            #expect(bitDifference(results[0].db, other.db) == nil)
        }
    }

    @Test("a gradient that is not a number reaches its channel's weights and bias, and no other's")
    func notANumber() throws {
        let pooled = try #require(
            PooledConvolution(
                Convolution2D(height: 9, width: 9, inputChannels: 1, outputChannels: 3, kernel: 3, padding: .valid), window: 2))
        let c = pooled.convolution
        let x = GuardedBuffer([Double](repeating: 0.5, count: c.inputCount))
        var gradient = [Double](repeating: 1, count: pooled.pooling.outputCount)
        gradient[4] = .nan  // the second window's second channel
        let dy = GuardedBuffer(gradient)
        let winners = GuardedBuffer<UInt8>([UInt8](repeating: 3, count: gradient.count), outside: 99)
        let scratch = GuardedBuffer<Float>(overwriting: pooled.scratchCount)
        let partial = GuardedBuffer<Float>(overwriting: c.partialCount)
        for lane in 0..<pooled.lanes(samples: 1) {
            pooled.weightGradient(
                x: x.start, dy: dy.start, y: nil, winners: winners.start, samples: 1, lane: lane, partial: partial.start,
                scratch: scratch.start)
            guard partial.values.contains(where: \.isNaN) else { continue }
            for (index, value) in partial.values.enumerated() { #expect(value.isNaN == (index % 3 == 1)) }
            return
        }
        Issue.record("no lane has the NaN")
    }

    @Test("what would not be faster is left to others: narrow maps, Winograd's way, windows of one place, many weights")
    func refused() {
        let narrow = Convolution2D(height: 6, width: 5, inputChannels: 1, outputChannels: 8, kernel: 3, padding: .valid)
        #expect(PooledConvolution(narrow, window: 2) == nil)
        let winograd = Convolution2D(height: 24, width: 24, inputChannels: 64, outputChannels: 64, kernel: 3, padding: .same)
        #expect(winograd.usesWinograd && PooledConvolution(winograd, window: 2) == nil)
        let plain = Convolution2D(height: 8, width: 8, inputChannels: 8, outputChannels: 8, kernel: 5, padding: .valid)
        #expect(PooledConvolution(plain, window: 1) == nil && PooledConvolution(plain, window: 2) != nil)
        let large = Convolution2D(height: 8, width: 8, inputChannels: 64, outputChannels: 64, kernel: 5, padding: .valid)
        #expect(PooledConvolution(large, window: 2) == nil)
    }
}
