import Kernels
import Testing
import TestOracle

@Suite("Output heads and squared error")
struct OutputHeadTests {
    static let sizes = [1, 7, 8, 48, 100 * 48]

    @Test("heads agree with the oracle", arguments: OutputHead.allCases, sizes)
    func heads(head: OutputHead, count: Int) throws {
        let oracle = try #require(Head(rawValue: head.rawValue))
        var values = TestValues(seed: 51)
        let z = values.uniform(count, bound: 4)
        let gradient = values.uniform(count)
        let outputs = GuardedBuffer(z)
        head.forward(outputs.start, count: count)
        let expected = oracle.forward(z)
        // expf is within an ulp; the other heads are exact.
        let relative = head == .exp ? 1.5 * Double(Float.ulpOfOne) : 0
        #expect(mismatch(outputs.values, expected, tolerance: expected.map { abs($0) * relative }) == nil)
        let dz = GuardedBuffer(gradient)
        head.backward(outputs: outputs.start, gradient: dz.start, count: count)
        let expectedGradient = oracle.backward(z, gradient: gradient)
        let tolerance = expectedGradient.map { abs($0) * (relative + (head == .exp ? Double(Float.ulpOfOne) : 0)) }
        #expect(mismatch(dz.values, expectedGradient, tolerance: tolerance) == nil)
        #expect(outputs.isIntact && dz.isIntact)
    }

    @Test("NaN passes through every head, forward and backward", arguments: OutputHead.allCases)
    func nan(head: OutputHead) {
        let outputs = GuardedBuffer<Float>([.nan, 1], outside: 0)
        head.forward(outputs.start, count: 2)
        #expect(outputs.values[0].isNaN && !outputs.values[1].isNaN)
        let gradient = GuardedBuffer<Float>([.nan, .nan], outside: 0)
        head.backward(outputs: outputs.start, gradient: gradient.start, count: 2)
        #expect(gradient.values.allSatisfy { $0.isNaN })
    }

    @Test("ReLU: an output of 0 passes no gradient")
    func deadOutput() {
        let outputs = GuardedBuffer<Float>([0, -3, 2], outside: 0)
        OutputHead.relu.forward(outputs.start, count: 3)
        let gradient = GuardedBuffer<Float>([5, 6, 7], outside: 0)
        OutputHead.relu.backward(outputs: outputs.start, gradient: gradient.start, count: 3)
        #expect(outputs.values == [0, 0, 2])
        #expect(gradient.values == [0, 0, 7])
    }

    @Test("squared error agrees with the oracle", arguments: sizes)
    func squaredError(count: Int) {
        var values = TestValues(seed: 52)
        let (outputs, labels) = (values.uniform(count, bound: 300), values.uniform(count, bound: 300))
        // Both add the same Doubles in the same order.
        let sum = SquaredError.sum(outputs: outputs.floats, labels: labels.floats, count: count)
        #expect(sum == Layers.squaredError(outputs, labels: labels))
        let scale = Float(1) / Float(count)
        let gradient = GuardedBuffer<Float>(overwriting: count)
        SquaredError.backward(
            outputs: outputs.floats, labels: labels.floats, count: count, scale: scale, gradient: gradient.start)
        let expected = Layers.squaredErrorBackward(outputs, labels: labels, scale: Double(scale))
        // One rounding of the difference and one of the product: a half-ulp each.
        let tolerance = expected.map { abs($0) * Double(Float.ulpOfOne) * 1.01 }
        #expect(mismatch(gradient.values, expected, tolerance: tolerance) == nil)
        #expect(gradient.isIntact)
    }

    @Test("a network that outputs zeros has the mean squared label as its loss")
    func zeros() {
        let labels: [Float] = [150, 110, 340, -2]
        let sum = SquaredError.sum(outputs: [0, 0, 0, 0], labels: labels, count: 4)
        #expect(sum / 4 == (22_500 + 12_100 + 115_600 + 4) / 4)
    }

    @Test("the inverse gives what makes the output, where there is one", arguments: OutputHead.allCases)
    func inverse(head: OutputHead) {
        for value: Float in [0.25, 1, 48, 342] {
            let z = GuardedBuffer<Float>([head.inverse(value)], outside: 0)
            head.forward(z.start, count: 1)
            // An ulp of the logarithm, at most 5.8, is 4 ulps of the output.
            let tolerance = head == .exp ? Double(value) * 4 * Double(Float.ulpOfOne) : 0
            #expect(mismatch(z.values, [Double(value)], tolerance: tolerance) == nil)
            #expect(z.isIntact)
        }
        #expect(OutputHead.relu.inverse(-3) == 0 && OutputHead.exp.inverse(-3) == 0 && OutputHead.exp.inverse(0) == 0)
        #expect(OutputHead.linear.inverse(-3) == -3)
    }
}
