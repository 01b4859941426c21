import Kernels
import Networks
import Optimizers
import Tensors

/// A network with its arena, team and Adam, called with arrays.
final class NetworkRig {
    let configuration: NetworkConfiguration
    let network: HandNetwork
    private let arena: Arena
    private let team: WorkerTeam
    private let adam: Adam

    init(
        _ configuration: NetworkConfiguration, maximumSamples: Int, threads: Int, learningRate: Double = 1e-3,
        kernels: DenseKernels = .auto
    ) throws {
        self.configuration = configuration
        team = WorkerTeam(count: threads)
        arena = try Arena(
            capacity: HandNetwork.bytes(configuration, maximumSamples: maximumSamples, threads: threads)
                + Adam.bytes(for: configuration.table))
        network = HandNetwork(configuration, maximumSamples: maximumSamples, team: team, kernels: kernels, arena: arena)
        adam = Adam(
            configuration: Adam.Configuration(learningRate: learningRate), weights: network.parameters,
            table: network.table, arena: arena)
    }

    /// Writes parameters by name, rounded to Float.
    func set(_ parameters: [String: [Double]]) {
        for (name, values) in parameters {
            let range = network.table[name].range
            precondition(values.count == range.count, "\(name) has \(range.count) values, not \(values.count)")
            for (index, value) in values.enumerated() { network.parameters[range.lowerBound + index] = Float(value) }
        }
    }

    func initialize(seed: UInt64) { configuration.initialize(network.parameters, seed: seed, team: team) }

    func parameter(_ name: String) -> [Float] { network.table[name].range.map { network.parameters[$0] } }

    /// All parameters one after the other, padding left out.
    var parameters: [Float] { network.table.parameters.flatMap { parameter($0.name) } }

    func forward(_ input: [Float], samples: Int) -> [Float] {
        // A layer that is whole on this rank throws nothing.
        try! network.forward(input: input, samples: samples)
        return (0..<samples * configuration.outputs).map { network.outputs[$0] }
    }

    /// Forward and backward, weights unchanged; scale: 1 / (samples · outputs) unless given.
    func gradients(
        _ input: [Float], labels: [Float], samples: Int, scale: Float? = nil, rowsPerBucket: Int? = nil
    ) throws -> CollectingSink {
        let sink = CollectingSink(table: network.table, rowsPerBucket: rowsPerBucket)
        try network.forward(input: input, samples: samples)
        try backward(input, labels: labels, samples: samples, scale: scale, sink: sink)
        return sink
    }

    /// A training step.
    /// - Returns: the loss before it.
    func step(
        _ input: [Float], labels: [Float], samples: Int, rowsPerBucket: Int? = nil, immediate: Bool = false
    ) throws -> Double {
        let sink = AdamSink(
            adam: adam, configuration: configuration, threads: team.count, rowsPerBucket: rowsPerBucket,
            immediate: immediate)
        try network.forward(input: input, samples: samples)
        let count = samples * configuration.outputs
        let loss = SquaredError.sum(outputs: network.outputs, labels: labels, count: count) / Double(count)
        adam.beginStep()
        try backward(input, labels: labels, samples: samples, scale: nil, sink: sink)
        return loss
    }

    private func backward(
        _ input: [Float], labels: [Float], samples: Int, scale: Float?, sink: any GradientSink
    ) throws {
        network.beginBackward(
            labels: labels, samples: samples, scale: scale ?? 1 / Float(max(1, samples * configuration.outputs)))
        try network.finishBackward(input: input, samples: samples, sink: sink)
    }
}
