import Kernels
import Testing
import TestOracle

/// Sizes of a fully connected layer.
struct DenseShape: Sendable, CustomTestStringConvertible {
    let samples, inputs, outputs: Int
    var testDescription: String { "\(samples) x \(inputs) -> \(outputs)" }

    static let all: [DenseShape] = [
        (1, 1, 1), (1, 8, 48), (1, 129, 7), (1, 48, 1024), (2, 3, 5), (2, 48, 1), (2, 130, 48), (7, 1, 48), (7, 7, 7),
        (7, 33, 1024), (7, 1024, 48), (100, 1, 1), (100, 31, 48), (100, 129, 7), (100, 64, 1024),
    ].map { DenseShape(samples: $0, inputs: $1, outputs: $2) }
}

/// Products by blocks of rows against the oracle. Whole numbers are exact in any order, so results must be equal; real
/// numbers may differ by rounding: of n products, a few half-ulps times sqrt(n) of the sum of their magnitudes.
@Suite("Dense products")
struct DenseTests {
    /// The whole layer in one block, in halves, and in blocks of 5 rows.
    private func blocks(_ inputs: Int) -> [[Range<Int>]] {
        func cut(_ rows: Int) -> [Range<Int>] {
            stride(from: 0, to: inputs, by: rows).map { $0..<min(inputs, $0 + rows) }
        }
        return [cut(inputs), cut((inputs + 1) / 2), cut(5)]
    }

    /// 4 half-ulps, and 2 more for every doubling of sqrt(n).
    private func tolerance(_ magnitudes: [Double], terms: Int) -> [Double] {
        magnitudes.map { (2 + Double(terms).squareRoot()) * Double(Float.ulpOfOne) * $0 }
    }

    private func check(_ shape: DenseShape, x: [Double], w: [Double], dy: [Double], exact: Bool) {
        let (samples, inputs, outputs) = (shape.samples, shape.inputs, shape.outputs)
        let zero = [Double](repeating: 0, count: outputs)
        let y = Layers.dense(x, weights: w, bias: zero, samples: samples)
        let gradients = Layers.denseBackward(x, weights: w, gradient: dy, samples: samples, outputs: outputs)
        let yMagnitudes = Layers.dense(x.magnitudes, weights: w.magnitudes, bias: zero, samples: samples)
        let magnitudes = Layers.denseBackward(
            x.magnitudes, weights: w.magnitudes, gradient: dy.magnitudes, samples: samples, outputs: outputs)
        func expectNear(_ actual: [Float], _ expected: [Double], _ magnitudes: [Double], _ terms: Int, _ what: Comment) {
            let tolerance = exact ? magnitudes.map { _ in 0 } : tolerance(magnitudes, terms: terms)
            #expect(mismatch(actual, expected, tolerance: tolerance) == nil, what)
        }
        let (xs, ws, dys) = (GuardedBuffer(x), GuardedBuffer(w), GuardedBuffer(dy))
        for rows in blocks(inputs) {
            let gradient = GuardedBuffer<Float>(overwriting: inputs * outputs)
            let dx = GuardedBuffer<Float>(overwriting: samples * inputs)
            let inPlace = GuardedBuffer(x)
            let result = GuardedBuffer<Float>(overwriting: samples * outputs)
            let partials = GuardedBuffer<Float>(overwriting: rows.count * samples * outputs)
            for (lane, block) in rows.enumerated() {
                Dense.forward(
                    x: xs.start, weights: ws.start, rows: block, samples: samples, inputs: inputs, outputs: outputs,
                    partial: partials.start + lane * samples * outputs)
                Dense.weightGradient(
                    x: inPlace.start, dy: dys.start, rows: block, samples: samples, inputs: inputs, outputs: outputs,
                    gradient: gradient.start + block.lowerBound * outputs)
                Dense.inputGradient(
                    dy: dys.start, weights: ws.start, rows: block, samples: samples, inputs: inputs, outputs: outputs,
                    dx: dx.start)
                Dense.inputGradient(
                    dy: dys.start, weights: ws.start, rows: block, samples: samples, inputs: inputs, outputs: outputs,
                    dx: inPlace.start)
            }
            let bias = GuardedBuffer(zero)
            for sample in 0..<samples {
                Dense.finish(
                    partials: partials.start, lanes: rows.count, sample: sample, samples: samples, outputs: outputs,
                    bias: bias.start, rectified: false, y: result.start)
            }
            expectNear(result.values, y, yMagnitudes, inputs, "y")
            expectNear(gradient.values, gradients.weights, magnitudes.weights, samples, "weight gradient")
            expectNear(dx.values, gradients.x, magnitudes.x, outputs, "input gradient")
            #expect(bitDifference(inPlace.values, dx.values) == nil, "in the place of x")
            let buffers = [bias, gradient, dx, inPlace, result, partials]
            #expect(buffers.allSatisfy { $0.isIntact })
        }
        let biasGradient = GuardedBuffer<Float>(overwriting: outputs)
        Dense.biasGradient(dy: dys.start, samples: samples, outputs: outputs, gradient: biasGradient.start)
        expectNear(biasGradient.values, gradients.bias, magnitudes.bias, samples, "bias gradient")
        #expect(biasGradient.isIntact && xs.isIntact && ws.isIntact && dys.isIntact)
    }

    @Test("equal the oracle on whole numbers", arguments: DenseShape.all)
    func wholeNumbers(shape: DenseShape) {
        BLAS.useCallingThreadOnly()
        var values = TestValues(seed: 41)
        check(
            shape, x: values.dyadic(shape.samples * shape.inputs, bound: 9),
            w: values.dyadic(shape.inputs * shape.outputs, bound: 9),
            dy: values.dyadic(shape.samples * shape.outputs, bound: 9), exact: true)
    }

    @Test("agree with the oracle on real numbers", arguments: DenseShape.all)
    func realNumbers(shape: DenseShape) {
        BLAS.useCallingThreadOnly()
        var values = TestValues(seed: 42)
        check(
            shape, x: values.uniform(shape.samples * shape.inputs), w: values.uniform(shape.inputs * shape.outputs),
            dy: values.uniform(shape.samples * shape.outputs), exact: false)
    }

    @Test("partial products are added lane by lane, then bias, then ReLU", arguments: 1...4, [false, true])
    func finish(lanes: Int, rectified: Bool) {
        let (samples, outputs) = (3, 11)
        var values = TestValues(seed: 43)
        let partials = values.uniform(lanes * samples * outputs).floats
        let bias = values.uniform(outputs).floats
        let y = GuardedBuffer<Float>(overwriting: samples * outputs)
        for sample in 0..<samples {
            Dense.finish(
                partials: partials, lanes: lanes, sample: sample, samples: samples, outputs: outputs, bias: bias,
                rectified: rectified, y: y.start)
        }
        let expected = (0..<samples * outputs).map { index in
            var sum = partials[index]
            for lane in 1..<max(1, lanes) { sum += partials[lane * samples * outputs + index] }
            sum += bias[index % outputs]
            return rectified ? max(0, sum) : sum
        }
        #expect(bitDifference(y.values, expected) == nil)
        #expect(y.isIntact)
    }

    @Test("NaN passes through ReLU forward and backward; what is cut off passes nothing")
    func rectifierNaN() {
        let partials: [Float] = [.nan, -1, 0, 2, -.infinity]
        let y = GuardedBuffer<Float>(overwriting: 5)
        Dense.finish(
            partials: partials, lanes: 1, sample: 0, samples: 1, outputs: 5, bias: [0, 0, 0, 0, 0], rectified: true,
            y: y.start)
        #expect(y.values[0].isNaN)
        #expect(y.values[1...] == [0, 0, 2, 0])
        let dy = GuardedBuffer<Float>([.nan, .nan, 5, 7, 9], outside: 0)
        Dense.rectifierBackward(y: y.start, dy: dy.start, count: 5)
        #expect(dy.values[0].isNaN)
        #expect(dy.values[1...] == [0, 0, 7, 0])
        #expect(dy.isIntact)
    }

    @Test("what a product overwrites may hold NaN before")
    func overwritesNaN() {
        let c = GuardedBuffer<Float>(overwriting: 6)
        BLAS.gemm(m: 2, n: 3, k: 1, a: [1, 2], strideA: 1, b: [3, 4, 5], strideB: 3, beta: 0, c: c.start, strideC: 3)
        #expect(c.values == [3, 4, 5, 6, 8, 10])
        BLAS.gemm(m: 2, n: 3, k: 1, a: [1, 2], strideA: 1, b: [3, 4, 5], strideB: 3, beta: 1, c: c.start, strideC: 3)
        #expect(c.values == [6, 8, 10, 12, 16, 20])
        #expect(c.isIntact)
    }

    @Test("no samples: gradients are 0")
    func noSamples() {
        let gradient = GuardedBuffer<Float>(overwriting: 12)
        let bias = GuardedBuffer<Float>(overwriting: 4)
        Dense.weightGradient(
            x: [0], dy: [0], rows: 0..<3, samples: 0, inputs: 3, outputs: 4, gradient: gradient.start)
        Dense.biasGradient(dy: [0], samples: 0, outputs: 4, gradient: bias.start)
        #expect(gradient.values == [Float](repeating: 0, count: 12))
        #expect(bias.values == [0, 0, 0, 0])
    }
}
