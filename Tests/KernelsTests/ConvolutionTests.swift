import Kernels
import Testing
import TestOracle

/// An image size and a pooling window.
struct ConvolutionShape: Sendable, CustomTestStringConvertible {
    let height, width, pool: Int
    var testDescription: String { "\(height) x \(width), pool \(pool)" }

    /// Single windows, thin strips, widths on both sides of multiples of 4, 8 and 16, odd numbers of windows.
    static let all: [ConvolutionShape] =
        [(2, 2), (2, 4), (4, 2), (2, 14), (14, 2), (6, 6), (6, 10), (10, 18), (12, 16), (14, 22), (24, 34), (30, 40)]
        .map { ConvolutionShape(height: $0, width: $1, pool: 2) }
        + [(4, 4), (4, 8), (8, 4), (4, 20), (20, 4), (12, 12), (12, 16), (20, 28), (24, 36), (28, 44)]
        .map { ConvolutionShape(height: $0, width: $1, pool: 4) }
}

/// The fast kernel and the oracle on one image.
struct ConvolutionCase {
    let shape: ConvolutionShape
    let kernel: ConvolutionPool
    let image: [Double]
    let weights: [Double]
    let bias: [Double]
    let scratch: GuardedBuffer<Float>
    private let bounds: GuardedBuffer<Int32>

    init(_ shape: ConvolutionShape, image: [Double], weights: [Double], bias: [Double]) {
        self.shape = shape
        self.image = image
        self.weights = weights
        self.bias = bias
        kernel = ConvolutionPool(height: shape.height, width: shape.width, pool: shape.pool)
        scratch = GuardedBuffer([Float](repeating: 0, count: kernel.scratchCount), outside: -12_345)
        let count = ActiveWindows.boundCount(rows: kernel.pooledHeight, capacity: 1)
        bounds = GuardedBuffer([Int32](repeating: 0, count: count), outside: -12_345)
    }

    private var active: ActiveWindows {
        ActiveWindows(rows: kernel.pooledHeight, columns: kernel.pooledWidth, capacity: 1, bounds: bounds.start)
    }

    /// The kernel's pooled values and winner codes.
    func forward() -> (output: [Float], winners: [UInt8]) {
        forward(scratch: scratch)
    }

    /// The same in another image's scratch.
    func forward(scratch: GuardedBuffer<Float>) -> (output: [Float], winners: [UInt8]) {
        let pixels = GuardedBuffer(image)
        let (taps, offsets) = (GuardedBuffer(weights), GuardedBuffer(bias))
        let output = GuardedBuffer<Float>(overwriting: kernel.outputCount)
        let winners = GuardedBuffer([UInt8](repeating: 77, count: kernel.outputCount), outside: 99)
        kernel.findActive(pixels.start, number: 0, in: active)
        kernel.forward(
            image: pixels.start, number: 0, active: active, fillsBackground: true, weights: taps.start, bias: offsets.start, output: output.start,
            winners: winners.start, scratch: scratch.start)
        #expect(output.isIntact && winners.isIntact && scratch.isIntact)
        #expect(pixels.isIntact && taps.isIntact && offsets.isIntact)
        return (output.values, winners.values)
    }

    func backward(gradient: [Float], winners: [UInt8]) -> (weights: [Float], bias: [Float]) {
        let (pixels, above) = (GuardedBuffer(image), GuardedBuffer(gradient, outside: 0))
        let codes = GuardedBuffer(winners, outside: 0)
        let weightGradient = GuardedBuffer<Float>(overwriting: ConvolutionPool.weightCount)
        let biasGradient = GuardedBuffer<Float>(overwriting: ConvolutionPool.channels)
        kernel.findActive(pixels.start, number: 0, in: active)
        kernel.backward(
            image: pixels.start, number: 0, active: active, background: nil, gradient: above.start, winners: codes.start,
            weightGradient: weightGradient.start,
            biasGradient: biasGradient.start, scratch: scratch.start)
        #expect(pixels.isIntact && above.isIntact && codes.isIntact)
        #expect(weightGradient.isIntact && biasGradient.isIntact && scratch.isIntact)
        return (weightGradient.values, biasGradient.values)
    }

    /// The oracle's pooled values, the winners in the kernel's code, and the values before ReLU.
    func oracleForward() -> (output: [Double], winners: [UInt8], indices: [Int], convolution: [Double]) {
        let convolution = Layers.convolution(
            image: image, height: shape.height, width: shape.width, weights: weights, bias: bias)
        let pooled = Layers.maxPool(
            Layers.rectifier(convolution), height: shape.height, width: shape.width, channels: 8, pool: shape.pool)
        let codes = zip(pooled.values, pooled.winners).map { value, index -> UInt8 in
            if value == 0 { return ConvolutionPool.dead }
            let (row, column) = (index / 8 / shape.width, index / 8 % shape.width)
            return UInt8(row % shape.pool * shape.pool + column % shape.pool)
        }
        return (pooled.values, codes, pooled.winners, convolution)
    }

    func oracleBackward(gradient: [Double]) -> (weights: [Double], bias: [Double]) {
        let forward = oracleForward()
        let unpooled = Layers.maxPoolBackward(
            gradient: gradient, winners: forward.indices, count: forward.convolution.count)
        return Layers.convolutionBackward(
            image: image, height: shape.height, width: shape.width, channels: 8,
            gradient: Layers.rectifierBackward(forward.convolution, gradient: unpooled))
    }
}

@Suite("Convolution, bias, ReLU and max pool in one pass")
struct ConvolutionTests {
    /// Small whole numbers: Float is exact in any order, windows have many equal values, and a quarter is cut off.
    private func wholeNumbers(_ shape: ConvolutionShape, seed: UInt64) -> ConvolutionCase {
        var values = TestValues(seed: seed)
        return ConvolutionCase(
            shape, image: values.dyadic(shape.height * shape.width, bound: 2), weights: values.dyadic(200, bound: 2),
            bias: values.dyadic(8, bound: 12))
    }

    @Test("forward equals the oracle on whole numbers, winners included", arguments: ConvolutionShape.all)
    func forwardExactly(shape: ConvolutionShape) {
        for seed in UInt64(1)...5 {
            let test = wholeNumbers(shape, seed: seed)
            let (actual, expected) = (test.forward(), test.oracleForward())
            #expect(mismatch(actual.output, expected.output) == nil)
            #expect(actual.winners == expected.winners)
        }
    }

    @Test("backward equals the oracle on whole numbers", arguments: ConvolutionShape.all)
    func backwardExactly(shape: ConvolutionShape) {
        for seed in UInt64(1)...5 {
            let test = wholeNumbers(shape, seed: seed)
            var values = TestValues(seed: seed + 100)
            let gradient = values.dyadic(test.kernel.outputCount, bound: 8)
            let actual = test.backward(gradient: gradient.floats, winners: test.oracleForward().winners)
            let expected = test.oracleBackward(gradient: gradient)
            #expect(mismatch(actual.weights, expected.weights) == nil)
            #expect(mismatch(actual.bias, expected.bias) == nil)
        }
    }

    /// 26 products and sums: rounding is at most 26 half-ulps of what was added up, in practice a few.
    @Test("forward agrees with the oracle on real numbers", arguments: ConvolutionShape.all)
    func forward(shape: ConvolutionShape) {
        var values = TestValues(seed: 11)
        let test = ConvolutionCase(
            shape, image: values.uniform(shape.height * shape.width, bound: 3), weights: values.uniform(200),
            bias: values.uniform(8))
        let magnitudes = Layers.maxPool(
            Layers.convolution(
                image: test.image.magnitudes, height: shape.height, width: shape.width,
                weights: test.weights.magnitudes, bias: test.bias.magnitudes),
            height: shape.height, width: shape.width, channels: 8, pool: shape.pool
        ).values
        let tolerance = magnitudes.map { 13 * Double(Float.ulpOfOne) * $0 }
        #expect(mismatch(test.forward().output, test.oracleForward().output, tolerance: tolerance) == nil)
    }

    @Test("the scratch is used again for the next image without a trace of the last", arguments: [2, 4])
    func scratchIsReused(pool: Int) {
        let shape = ConvolutionShape(height: 12, width: 20, pool: pool)
        let first = wholeNumbers(shape, seed: 21)
        let second = wholeNumbers(shape, seed: 22)
        _ = first.forward()
        let after = second.forward(scratch: first.scratch)
        let fresh = second.forward()
        #expect(bitDifference(after.output, fresh.output) == nil)
        #expect(after.winners == fresh.winners)
    }

    @Test("of equal values the first wins", arguments: [2, 4])
    func equalValues(pool: Int) {
        // No weights: every value is the bias.
        let shape = ConvolutionShape(height: 8, width: 12, pool: pool)
        let test = ConvolutionCase(
            shape, image: [Double](repeating: 1, count: 96), weights: [Double](repeating: 0, count: 200),
            bias: [1, 2, 3, 4, 5, 6, 7, 8])
        let actual = test.forward()
        #expect(actual.winners.allSatisfy { $0 == 0 })
        #expect(actual.output.enumerated().allSatisfy { $0.element == Float($0.offset % 8 + 1) })
    }

    @Test("a value of 0 or less is cut off: code dead, output +0, and its gradient is not read", arguments: [2, 4])
    func deadWindows(pool: Int) {
        let shape = ConvolutionShape(height: 8, width: 12, pool: pool)
        // Channels 0 and 1 are never above 0; 2 to 7 are.
        let test = ConvolutionCase(
            shape, image: [Double](repeating: 1, count: 96), weights: [Double](repeating: 0, count: 200),
            bias: [0, -1, 1, 1, 1, 1, 1, 1])
        let actual = test.forward()
        for (index, code) in actual.winners.enumerated() {
            let isDead = index % 8 < 2
            #expect((code == ConvolutionPool.dead) == isDead)
            #expect(actual.output[index].bitPattern == (isDead ? 0 : Float(1).bitPattern))
        }
        let gradient = actual.winners.map { $0 == ConvolutionPool.dead ? Float.nan : 1 }
        let result = test.backward(gradient: gradient, winners: actual.winners)
        let windows = Float(test.kernel.outputCount / 8)
        #expect(result.bias == [0, 0, windows, windows, windows, windows, windows, windows])
        #expect(result.weights.allSatisfy { $0.isFinite })
        #expect(result.weights.enumerated().allSatisfy { ($0.offset % 8 < 2) == ($0.element == 0) })
    }
}
