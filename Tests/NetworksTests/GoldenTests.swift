import Kernels
import Networks
import Testing
import TestOracle

/// The network in Float against TensorFlow in float64.
///
/// TensorFlow's own float32 run is beside the golden values: it is off by up to 1.4 ulps of the loss, 6 ulps of the largest
/// output, 8 of the largest gradient of a tensor, and 12 in the weights, where 10 steps of Adam enlarge the rounding of
/// small gradients (a step is rate · m / sqrt(v), whatever the size of both). The tolerances here are 4 times that.
/// No ReLU and no pooling window is nearer to its kink than 4e-5, so that rounding switches none.
@Suite("Golden values by TensorFlow")
struct GoldenTests {
    static let ulp = Double(Float.ulpOfOne)
    static let cases = [2, 4].flatMap { pool in ["linear", "relu", "exp"].map { "pool \(pool), \($0)" } }

    private func rig(_ name: String, threads: Int) throws -> (NetworkRig, GoldenCase, GoldenDocument) {
        let document = try GoldenDocument.load()
        #expect(document.cases.map(\.name).sorted() == Self.cases.sorted())
        let golden = try #require(document.cases.first { $0.name == name })
        let configuration = NetworkConfiguration(
            height: document.height, width: document.width, pool: golden.pool, hidden: document.hidden,
            outputs: document.outputs, head: try #require(OutputHead(rawValue: golden.head)))
        let adam = document.adam
        #expect(adam.beta1 == 0.9 && adam.beta2 == 0.999 && adam.epsilon == 1e-8)
        let rig = try NetworkRig(
            configuration, maximumSamples: document.batch, threads: threads, learningRate: adam.learning_rate)
        rig.set(Dictionary(uniqueKeysWithValues: OracleNetwork.names.map { ($0, golden.tensor($0)) }))
        return (rig, golden, document)
    }

    /// Compares a tensor with all its golden values, or with samples and sums.
    private func expectNear(_ actual: [Float], _ golden: GoldenCase.Summary, tolerance: Double, _ name: Comment) throws {
        if let values = golden.values {
            #expect(mismatch(actual, values, tolerance: tolerance) == nil, name)
            return
        }
        let (indices, samples) = (try #require(golden.indices), try #require(golden.samples))
        #expect(mismatch(indices.map { actual[$0] }, samples, tolerance: tolerance) == nil, name)
        let sum = actual.reduce(0.0) { $0 + Double($1) }
        let squares = actual.reduce(0.0) { $0 + Double($1) * Double($1) }
        // Rounding errors of n elements are independent enough for sqrt(n).
        let spread = tolerance * Double(actual.count).squareRoot()
        #expect(abs(sum - (try #require(golden.sum))) <= spread, name)
        #expect(abs(squares - (try #require(golden.sum_of_squares))) <= 2 * tolerance * (squares * Double(actual.count)).squareRoot(), name)
    }

    @Test("outputs and gradients at step 0", arguments: cases, [1, 2, 3])
    func firstStep(name: String, threads: Int) throws {
        let (rig, golden, document) = try rig(name, threads: threads)
        let (input, labels) = (golden.tensor("input").floats, golden.tensor("labels").floats)
        let outputs = rig.forward(input, samples: document.batch)
        let largest = golden.outputs.magnitudes.max()!
        #expect(mismatch(outputs, golden.outputs, tolerance: 24 * Self.ulp * largest) == nil)
        let gradients = try rig.gradients(input, labels: labels, samples: document.batch)
        for parameter in OracleNetwork.names {
            let actual = gradients.gradient(parameter)
            let largest = actual.doubles.magnitudes.max()!
            try expectNear(
                actual, try #require(golden.gradients[parameter]), tolerance: 32 * Self.ulp * largest,
                "\(parameter)")
        }
    }

    @Test("losses of 10 steps and the weights after them", arguments: cases, [1, 2, 3])
    func tenSteps(name: String, threads: Int) throws {
        let (rig, golden, document) = try rig(name, threads: threads)
        let (input, labels) = (golden.tensor("input").floats, golden.tensor("labels").floats)
        #expect(golden.losses.count == 10 && document.steps == 10)
        for (step, expected) in golden.losses.enumerated() {
            let loss = try rig.step(input, labels: labels, samples: document.batch)
            #expect(abs(loss - expected) <= 6 * Self.ulp * expected, "step \(step): \(loss), expected \(expected)")
        }
        for parameter in OracleNetwork.names {
            try expectNear(
                rig.parameter(parameter), try #require(golden.weights[parameter]), tolerance: 48 * Self.ulp,
                "\(parameter)")
        }
    }
}
