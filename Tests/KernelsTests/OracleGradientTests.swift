import Testing
import TestOracle

/// The oracle's own backward passes against central differences in Double: what everything else is then measured by.
@Suite("The oracle's layers agree with central differences")
struct OracleGradientTests {
    /// Rounding and truncation of central differences at h = 1e-5 and values around 1 are near 1e-10.
    static let tolerance = 1e-8

    /// A loss of a layer: its result weighted with fixed numbers, so that every element matters differently.
    private func weighted(_ values: [Double], _ factors: [Double]) -> Double {
        zip(values, factors).reduce(0) { $0 + $1.0 * $1.1 }
    }

    private func expectNear(_ actual: [Double], _ expected: [Double], _ what: Comment) {
        #expect(
            mismatch(actual, expected, tolerance: expected.map { _ in Self.tolerance }) == nil, what)
    }

    @Test("convolution", arguments: [(1, 1), (3, 2), (5, 6), (7, 4)])
    func convolution(height: Int, width: Int) {
        var values = TestValues(seed: 1)
        let image = values.uniform(height * width)
        let weights = values.uniform(25 * 3)
        let bias = values.uniform(3)
        let factors = values.uniform(height * width * 3)
        let result = Layers.convolutionBackward(
            image: image, height: height, width: width, channels: 3, gradient: factors)
        let byWeights = centralDifferences(at: weights) {
            weighted(Layers.convolution(image: image, height: height, width: width, weights: $0, bias: bias), factors)
        }
        let byBias = centralDifferences(at: bias) {
            weighted(
                Layers.convolution(image: image, height: height, width: width, weights: weights, bias: $0), factors)
        }
        expectNear(result.weights, byWeights, "weights")
        expectNear(result.bias, byBias, "bias")
    }

    @Test("max pool", arguments: [2, 4])
    func maxPool(pool: Int) {
        var values = TestValues(seed: 2)
        let (height, width, channels) = (8, 4, 3)
        // A shuffled ladder: no two values are nearer than 0.01, so that no step of h changes a winner.
        let order = values.uniform(height * width * channels).enumerated().sorted { $0.element < $1.element }
        var input = [Double](repeating: 0, count: order.count)
        for (rank, element) in order.enumerated() { input[element.offset] = Double(rank) * 0.01 }
        let result = Layers.maxPool(input, height: height, width: width, channels: channels, pool: pool)
        let factors = values.uniform(result.values.count)
        let numerical = centralDifferences(at: input) {
            weighted(Layers.maxPool($0, height: height, width: width, channels: channels, pool: pool).values, factors)
        }
        expectNear(
            Layers.maxPoolBackward(gradient: factors, winners: result.winners, count: input.count), numerical, "input")
    }

    @Test("max pool: of equal values the first wins")
    func maxPoolTies() {
        let result = Layers.maxPool([1, 5, 5, 5], height: 2, width: 2, channels: 1, pool: 2)
        #expect(result.values == [5])
        #expect(result.winners == [1])
    }

    @Test("ReLU")
    func rectifier() {
        let input = [-2, -0.5, 0.25, 3]
        let factors = [1, -2, 3, -4.0]
        let numerical = centralDifferences(at: input) { weighted(Layers.rectifier($0), factors) }
        expectNear(Layers.rectifierBackward(input, gradient: factors), numerical, "input")
    }

    @Test("dense", arguments: [(1, 1, 1), (2, 3, 5), (7, 4, 2)])
    func dense(samples: Int, inputs: Int, outputs: Int) {
        var values = TestValues(seed: 3)
        let x = values.uniform(samples * inputs)
        let weights = values.uniform(inputs * outputs)
        let bias = values.uniform(outputs)
        let factors = values.uniform(samples * outputs)
        let result = Layers.denseBackward(x, weights: weights, gradient: factors, samples: samples, outputs: outputs)
        func loss(_ x: [Double], _ weights: [Double], _ bias: [Double]) -> Double {
            weighted(Layers.dense(x, weights: weights, bias: bias, samples: samples), factors)
        }
        expectNear(result.x, centralDifferences(at: x) { loss($0, weights, bias) }, "x")
        expectNear(result.weights, centralDifferences(at: weights) { loss(x, $0, bias) }, "weights")
        expectNear(result.bias, centralDifferences(at: bias) { loss(x, weights, $0) }, "bias")
    }

    @Test("output heads", arguments: Head.allCases)
    func heads(head: Head) {
        let input = [-1.5, -0.25, 0.125, 0.75, 2]
        let factors = [1, -2, 3, -4, 0.5]
        let numerical = centralDifferences(at: input) { weighted(head.forward($0), factors) }
        expectNear(head.backward(input, gradient: factors), numerical, "input")
    }

    @Test("squared error")
    func squaredError() {
        var values = TestValues(seed: 4)
        let (outputs, labels) = (values.uniform(12), values.uniform(12))
        let numerical = centralDifferences(at: outputs) { 0.25 * Layers.squaredError($0, labels: labels) }
        expectNear(Layers.squaredErrorBackward(outputs, labels: labels, scale: 0.25), numerical, "outputs")
    }
}
