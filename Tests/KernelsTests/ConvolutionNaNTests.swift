import Kernels
import Testing
import TestOracle

@Suite("NaN in the convolution")
struct ConvolutionNaNTests {
    private func test(pool: Int, spoil: (inout [Double], inout [Double], inout [Double]) -> Void) -> ConvolutionCase {
        var values = TestValues(seed: 31)
        var image = values.uniform(96)
        var weights = values.uniform(200)
        var bias = values.uniform(8)
        spoil(&image, &weights, &bias)
        return ConvolutionCase(
            ConvolutionShape(height: 8, width: 12, pool: pool), image: image, weights: weights, bias: bias)
    }

    @Test("a NaN weight or bias makes its channel NaN everywhere, and no other", arguments: [2, 4], [0, 12, 24])
    func parameters(pool: Int, tap: Int) {
        let byWeight = test(pool: pool) { _, weights, _ in weights[tap * 8 + 3] = .nan }.forward()
        let byBias = test(pool: pool) { _, _, bias in bias[3] = .nan }.forward()
        for actual in [byWeight, byBias] {
            for (index, value) in actual.output.enumerated() {
                #expect(value.isNaN == (index % 8 == 3), "channel \(index % 8)")
                if value.isNaN { #expect(actual.winners[index] != ConvolutionPool.dead) }
            }
        }
    }

    @Test("a NaN pixel reaches the windows whose first pixel sees it", arguments: [2, 4])
    func pixels(pool: Int) {
        for pixel in 0..<96 {
            let (row, column) = (pixel / 12, pixel % 12)
            let actual = test(pool: pool) { image, _, _ in image[pixel] = .nan }.forward()
            for (index, value) in actual.output.enumerated() {
                let window = index / 8
                let top = window / (12 / pool) * pool
                let left = window % (12 / pool) * pool
                if abs(top - row) <= 2 && abs(left - column) <= 2 {
                    #expect(value.isNaN, "pixel (\(row), \(column)), window at (\(top), \(left))")
                }
            }
        }
    }

    @Test("a NaN gradient of a living winner reaches weights and bias of its channel", arguments: [2, 4])
    func gradients(pool: Int) {
        let test = test(pool: pool) { _, _, bias in bias = [Double](repeating: 100, count: 8) }
        let winners = test.forward().winners
        var gradient = [Float](repeating: 1, count: winners.count)
        gradient[8 + 5] = .nan
        let actual = test.backward(gradient: gradient, winners: winners)
        for channel in 0..<8 { #expect(actual.bias[channel].isNaN == (channel == 5)) }
        for (index, value) in actual.weights.enumerated() { #expect(value.isNaN == (index % 8 == 5)) }
    }
}
