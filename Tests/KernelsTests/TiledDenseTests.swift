import Kernels
import Testing
import TestOracle

/// The large layer's own kernels against the oracle and against Adam applied afterwards. Whole numbers are exact in any
/// order, so results must be equal; real numbers may differ by rounding, as for `Dense`.
@Suite("Tiled dense products")
struct TiledDenseTests {
    /// Columns are multiples of 16; rows and samples are anything: whole register blocks, parts of them, one.
    static let shapes: [DenseShape] = [
        (1, 1, 16), (1, 6, 32), (2, 5, 16), (3, 12, 48), (4, 13, 16), (5, 7, 64), (6, 24, 32), (7, 130, 48),
        (12, 131, 16), (25, 257, 64), (33, 128, 1024), (100, 129, 48), (101, 36, 16),
    ].map { DenseShape(samples: $0, inputs: $1, outputs: $2) }

    private func blocks(_ inputs: Int) -> [[Range<Int>]] {
        func cut(_ rows: Int) -> [Range<Int>] {
            stride(from: 0, to: inputs, by: rows).map { $0..<min(inputs, $0 + rows) }
        }
        return [cut(inputs), cut(12), cut(24)]
    }

    private func tolerance(_ magnitudes: [Double], terms: Int, exact: Bool) -> [Double] {
        magnitudes.map { exact ? 0 : (2 + Double(terms).squareRoot()) * Double(Float.ulpOfOne) * $0 }
    }

    private func check(_ shape: DenseShape, x: [Double], w: [Double], dy: [Double], exact: Bool) {
        let (samples, inputs, outputs) = (shape.samples, shape.inputs, shape.outputs)
        let zero = [Double](repeating: 0, count: outputs)
        let y = Layers.dense(x, weights: w, bias: zero, samples: samples)
        let gradients = Layers.denseBackward(x, weights: w, gradient: dy, samples: samples, outputs: outputs)
        let yMagnitudes = Layers.dense(x.magnitudes, weights: w.magnitudes, bias: zero, samples: samples)
        let magnitudes = Layers.denseBackward(
            x.magnitudes, weights: w.magnitudes, gradient: dy.magnitudes, samples: samples, outputs: outputs)
        let tiled = TiledDense(inputs: inputs, outputs: outputs, samples: samples)
        let padded = TiledDense.paddedSamples(samples)
        let (xs, ws, dys) = (GuardedBuffer(x), GuardedBuffer(w), GuardedBuffer(dy))
        let packed = GuardedBuffer<Float>(overwriting: TiledDense.packedCount(samples: samples, outputs: outputs))
        tiled.pack(dy: dys.start, into: packed.start)
        for rows in blocks(inputs) {
            let scratch = GuardedBuffer<Float>(
                overwriting: TiledDense.scratchCount(samples: samples, rows: rows.map(\.count).max()!))
            let gradient = GuardedBuffer<Float>(overwriting: inputs * outputs)
            let inPlace = GuardedBuffer(x)
            let partial = GuardedBuffer<Float>(overwriting: padded * outputs)
            var sums = [Double](repeating: 0, count: samples * outputs)
            for block in rows {
                tiled.forward(
                    x: xs.start, weights: ws.start, rows: block, partial: partial.start, scratch: scratch.start)
                for index in sums.indices { sums[index] += Double(partial.values[index]) }
                #expect(partial.values[(samples * outputs)...].allSatisfy { $0 == 0 }, "rows past the samples")
                tiled.packInputs(inPlace.start, rows: block, into: scratch.start)
                tiled.inputGradient(dy: dys.start, weights: ws.start, rows: block, dx: inPlace.start)
                tiled.weightGradient(
                    packedX: scratch.start, packedDY: packed.start, rows: block.count,
                    gradient: gradient.start + block.lowerBound * outputs)
            }
            #expect(
                mismatch(sums, y, tolerance: tolerance(yMagnitudes, terms: inputs, exact: exact)) == nil, "y")
            #expect(
                mismatch(
                    gradient.values, gradients.weights,
                    tolerance: tolerance(magnitudes.weights, terms: samples, exact: exact)) == nil, "weight gradient")
            #expect(
                mismatch(
                    inPlace.values, gradients.x, tolerance: tolerance(magnitudes.x, terms: outputs, exact: exact)) == nil,
                "input gradient, in the place of the inputs")
            #expect([scratch, gradient, inPlace, partial, packed].allSatisfy { $0.isIntact })
        }
        #expect(xs.isIntact && ws.isIntact && dys.isIntact)
    }

    @Test("equal the oracle on whole numbers", arguments: shapes)
    func wholeNumbers(shape: DenseShape) {
        var values = TestValues(seed: 51)
        check(
            shape, x: values.dyadic(shape.samples * shape.inputs, bound: 9),
            w: values.dyadic(shape.inputs * shape.outputs, bound: 9),
            dy: values.dyadic(shape.samples * shape.outputs, bound: 9), exact: true)
    }

    @Test("agree with the oracle on real numbers", arguments: shapes)
    func realNumbers(shape: DenseShape) {
        var values = TestValues(seed: 52)
        check(
            shape, x: values.uniform(shape.samples * shape.inputs), w: values.uniform(shape.inputs * shape.outputs),
            dy: values.uniform(shape.samples * shape.outputs), exact: false)
    }

    /// The fused update must be the plain one: the same gradient, the same Adam, to the bit.
    @Test("the update among the products has the bits of gradient first, Adam after", arguments: shapes)
    func immediateUpdate(shape: DenseShape) {
        let (samples, inputs, outputs) = (shape.samples, shape.inputs, shape.outputs)
        var values = TestValues(seed: 53)
        let x = GuardedBuffer(values.uniform(samples * inputs))
        let dy = GuardedBuffer(values.uniform(samples * outputs))
        let weights = values.uniform(inputs * outputs)
        let first = values.uniform(inputs * outputs, bound: 0.1)
        let second = values.uniform(inputs * outputs, bound: 0.1).magnitudes
        let update = AdamUpdate(rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8)
        let tiled = TiledDense(inputs: inputs, outputs: outputs, samples: samples)
        let packed = GuardedBuffer<Float>(overwriting: TiledDense.packedCount(samples: samples, outputs: outputs))
        tiled.pack(dy: dy.start, into: packed.start)
        for rows in blocks(inputs) {
            let plain = [GuardedBuffer(weights), GuardedBuffer(first), GuardedBuffer(second)]
            let fused = [GuardedBuffer(weights), GuardedBuffer(first), GuardedBuffer(second)]
            let scratch = GuardedBuffer<Float>(
                overwriting: TiledDense.scratchCount(samples: samples, rows: rows.map(\.count).max()!))
            for block in rows {
                tiled.packInputs(x.start, rows: block, into: scratch.start)
                let gradient = GuardedBuffer<Float>(overwriting: block.count * outputs)
                tiled.weightGradient(
                    packedX: scratch.start, packedDY: packed.start, rows: block.count, gradient: gradient.start)
                let start = block.lowerBound * outputs
                update.apply(
                    weights: plain[0].start + start, firstMoment: plain[1].start + start,
                    secondMoment: plain[2].start + start, gradient: gradient.start, count: block.count * outputs)
                tiled.weightGradient(
                    packedX: scratch.start, packedDY: packed.start, rows: block,
                    immediate: ImmediateUpdate(
                        update: update, weights: fused[0].start, firstMoment: fused[1].start,
                        secondMoment: fused[2].start),
                    block: scratch.start + tiled.packedInputCount(rows: block.count))
            }
            for (one, other) in zip(plain, fused) {
                #expect(bitDifference(one.values, other.values) == nil)
                #expect(other.isIntact)
            }
            #expect(scratch.isIntact)
        }
    }

    @Test("the choice of kernels: tiled needs whole strips; a choice made is kept where it fits")
    func choice() {
        #expect(DenseKernels.tiled.choose(outputs: 1024) == .tiled)
        #expect(DenseKernels.tiled.choose(outputs: 1023) == .blas)
        #expect(DenseKernels.blas.choose(outputs: 1024) == .blas)
        #expect(DenseKernels.auto.choose(outputs: 7) == .blas)
    }
}
