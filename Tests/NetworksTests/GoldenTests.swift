import Kernels
import Networks
import Testing
import TestOracle

/// TensorFlow in float64 against the oracle, and the network in Float against both.
///
/// No ReLU and no pooling window is nearer to its kink than 4e-5, so that rounding switches none.
@Suite("Golden values by TensorFlow")
struct GoldenTests {
    private static let ulp = Double(Float.ulpOfOne)
    static let cases = [2, 4].flatMap { pool in ["linear", "relu", "exp"].map { "pool \(pool), \($0)" } }

    private func load(_ name: String) throws -> (GoldenCase, GoldenDocument) {
        let document = try GoldenDocument.load()
        #expect(document.cases.map(\.name).sorted() == Self.cases.sorted())
        #expect(document.steps == 10)
        let adam = document.adam
        #expect(adam.learning_rate == 1e-3 && adam.beta1 == 0.9 && adam.beta2 == 0.999 && adam.epsilon == 1e-8)
        return (try #require(document.cases.first { $0.name == name }), document)
    }

    private func rig(_ golden: GoldenCase, _ document: GoldenDocument, threads: Int) throws -> NetworkRig {
        let window = WindowNetwork(
            height: document.height, width: document.width, pool: golden.pool, hidden: document.hidden,
            outputs: document.outputs, head: try #require(OutputHead(rawValue: golden.head)))
        let rig = try NetworkRig(window, maximumSamples: document.batch, threads: threads, learningRate: 1e-3)
        rig.set(golden.parameters)
        return rig
    }

    /// Compares a tensor with all its golden values, or with samples, sum and sum of squares.
    private func expectNear(
        _ actual: [Double], _ golden: GoldenCase.Summary, tolerance: Double, _ name: String
    ) throws {
        if let values = golden.values {
            #expect(mismatch(actual, values, tolerance: values.map { _ in tolerance }) == nil, "\(name)")
            return
        }
        let (indices, samples) = (try #require(golden.indices), try #require(golden.samples))
        let sampled = indices.map { actual[$0] }
        #expect(mismatch(sampled, samples, tolerance: samples.map { _ in tolerance }) == nil, "\(name)")
        // Rounding errors of n elements grow as sqrt(n); those of one unit's weights share that unit's, so twice that.
        let spread = 2 * tolerance * Double(actual.count).squareRoot()
        let sum = actual.reduce(0, +)
        #expect(abs(sum - (try #require(golden.sum))) <= spread, "sum of \(name)")
        let squares = actual.reduce(0) { $0 + $1 * $1 }
        let expected = try #require(golden.sum_of_squares)
        #expect(abs(squares - expected) <= 2 * spread * expected.squareRoot(), "squares of \(name)")
    }

    /// 16 digits, of which a thousand sums leave at least 11.
    @Test("the oracle is TensorFlow's network: outputs, gradients, losses, weights", arguments: cases)
    func oracle(name: String) throws {
        let (golden, document) = try load(name)
        var training = try OracleTraining(golden, document, keepsScalarsInSingle: true)
        let activations = training.forward()
        #expect(mismatch(activations.outputs, golden.outputs, tolerance: golden.outputs.map { _ in 1e-12 }) == nil)
        let gradients = training.gradients(activations)
        for parameter in OracleNetwork.names {
            try expectNear(
                gradients[parameter]!, try #require(golden.gradients[parameter]), tolerance: 1e-12, parameter)
        }
        for expected in golden.losses {
            let loss = training.step()
            #expect(abs(loss - expected) <= 1e-11 * expected)
        }
        for parameter in OracleNetwork.names {
            try expectNear(
                training.network.parameters[parameter]!, try #require(golden.weights[parameter]), tolerance: 1e-11,
                parameter)
        }
    }

    /// TensorFlow's own float32 run is beside the golden values: it is off by up to 6 ulps of the largest output and 8 of the
    /// largest gradient of a tensor. Tolerances are 4 times that.
    @Test("outputs and gradients at step 0", arguments: cases, [1, 2, 3])
    func firstStep(name: String, threads: Int) throws {
        let (golden, document) = try load(name)
        let rig = try rig(golden, document, threads: threads)
        let (input, labels) = (golden.tensor("input").floats, golden.tensor("labels").floats)
        let outputs = rig.forward(input, samples: document.batch)
        let largest = golden.outputs.magnitudes.max()!
        #expect(mismatch(outputs, golden.outputs, tolerance: 24 * Self.ulp * largest) == nil)
        let gradients = try rig.gradients(input, labels: labels, samples: document.batch)
        for parameter in OracleNetwork.names {
            let actual = gradients.gradient(parameter).doubles
            let tolerance = 32 * Self.ulp * actual.magnitudes.max()!
            try expectNear(actual, try #require(golden.gradients[parameter]), tolerance: tolerance, parameter)
        }
    }

    /// TensorFlow rounds the powers of beta2 to Float, and 1 - beta2^t with them by up to 1e-5 of itself; its losses differ
    /// by some ulps from those of the formula in Double, which the network follows. TensorFlow's float32 run is off by up
    /// to 12 ulps in the weights: a step is rate · m / sqrt(v), and enlarges the rounding of small gradients.
    @Test("losses of 10 steps and the weights after them", arguments: cases, [1, 2, 3])
    func tenSteps(name: String, threads: Int) throws {
        let (golden, document) = try load(name)
        let rig = try rig(golden, document, threads: threads)
        var exact = try OracleTraining(golden, document, keepsScalarsInSingle: false)
        let (input, labels) = (golden.tensor("input").floats, golden.tensor("labels").floats)
        for (step, expected) in golden.losses.enumerated() {
            let loss = try rig.step(input, labels: labels, samples: document.batch)
            #expect(abs(loss - expected) <= 16 * Self.ulp * expected, "step \(step): \(loss), expected \(expected)")
            let formula = exact.step()
            #expect(abs(loss - formula) <= 4 * Self.ulp * formula, "step \(step): \(loss), by the formula \(formula)")
        }
        for parameter in OracleNetwork.names {
            let actual = rig.parameter(parameter).doubles
            try expectNear(
                actual, try #require(golden.weights[parameter]), tolerance: 12 * Self.ulp, parameter)
            let formula = exact.network.parameters[parameter]!
            #expect(mismatch(actual, formula, tolerance: formula.map { _ in 48 * Self.ulp }) == nil, "\(parameter)")
        }
    }
}

/// The oracle trained on a golden case's batch.
private struct OracleTraining {
    var network: OracleNetwork
    private var adam: [String: OracleAdam]
    private let input, labels: [Double]
    private let samples: Int
    private let scale: Double

    init(_ golden: GoldenCase, _ document: GoldenDocument, keepsScalarsInSingle: Bool) throws {
        network = OracleNetwork(
            height: document.height, width: document.width, pool: golden.pool,
            head: try #require(Head(rawValue: golden.head)), parameters: golden.parameters)
        adam = golden.parameters.mapValues {
            OracleAdam(
                learningRate: document.adam.learning_rate, weights: $0, keepsScalarsInSingle: keepsScalarsInSingle)
        }
        input = golden.tensor("input")
        labels = golden.tensor("labels")
        samples = document.batch
        scale = 1 / Double(document.batch * document.outputs)
    }

    func forward() -> OracleNetwork.Activations { network.forward(input, samples: samples) }

    func gradients(_ activations: OracleNetwork.Activations) -> [String: [Double]] {
        network.gradients(
            activations,
            outputGradient: Layers.squaredErrorBackward(activations.outputs, labels: labels, scale: scale),
            samples: samples)
    }

    /// An Adam step.
    /// - Returns: the loss before it.
    mutating func step() -> Double {
        let activations = forward()
        for (name, gradient) in gradients(activations) {
            adam[name]!.update(gradient)
            network.parameters[name] = adam[name]!.weights
        }
        return scale * Layers.squaredError(activations.outputs, labels: labels)
    }
}
