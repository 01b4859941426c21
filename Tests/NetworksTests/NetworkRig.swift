import Collectives
import Kernels
import Layers
import Memory
import Networks
import Optimizers
import System

/// A network of the question's kind with its arena, team and Adam, called with arrays.
final class NetworkRig {
    let window: WindowNetwork
    let network: Network
    /// The network's first, fused layer.
    let stem: WindowStemLayer
    private let arena: Arena
    private let team: WorkerTeam
    private let adam: Adam
    /// What the last forward call was given: the backward pass reads it again.
    private let images: UnsafeMutableBufferPointer<Float>

    init(
        _ window: WindowNetwork, maximumSamples: Int, threads: Int, learningRate: Double = 1e-3, kernels: DenseKernels = .auto
    ) throws {
        var window = window
        window.kernels = kernels
        self.window = window
        team = try WorkerTeam(count: threads)
        var setting = Network.Setting(maximumSamples: maximumSamples)
        setting.storesGradients = false
        let (description, table) = (window.description, window.table)
        arena = try Arena(
            capacity: Network.bytes(description, setting, threads: threads) + Adam.bytes(for: table))
        network = Network(description, setting, team: team, communicator: Solo(), arena: arena)
        stem = network.stem!
        adam = Adam(
            configuration: Adam.Configuration(learningRate: learningRate), weights: network.parameters,
            table: network.table, arena: arena)
        images = .allocate(capacity: maximumSamples * window.height * window.width)
    }

    deinit { images.deallocate() }

    /// Writes parameters by name, rounded to Float.
    func set(_ parameters: [String: [Double]]) {
        for (name, values) in parameters {
            let range = network.table[name].range
            precondition(values.count == range.count, "\(name) has \(range.count) values, not \(values.count)")
            for (index, value) in values.enumerated() { network.parameters[range.lowerBound + index] = Float(value) }
        }
        network.weightsChanged()
    }

    func initialize(seed: UInt64, meanOutput: [Float]? = nil) {
        window.description.initialize(network.parameters, seed: seed, team: team, meanOutput: meanOutput)
        network.weightsChanged()
    }

    func parameter(_ name: String) -> [Float] { network.table[name].range.map { network.parameters[$0] } }

    /// All parameters one after the other, padding left out.
    var parameters: [Float] { network.table.parameters.flatMap { parameter($0.name) } }

    @discardableResult
    func forward(_ input: [Float], samples: Int) -> [Float] {
        keep(input)
        // A layer that is whole on this rank throws nothing.
        try! network.forward(input: images.baseAddress!, samples: samples)
        return outputs(samples)
    }

    func predict(_ input: [Float], samples: Int) -> [Float] {
        keep(input)
        try! network.predict(input: images.baseAddress!, samples: samples)
        return outputs(samples)
    }

    private func outputs(_ samples: Int) -> [Float] { (0..<samples * window.outputs).map { network.outputs[$0] } }

    private func keep(_ input: [Float]) { _ = images.update(fromContentsOf: input) }

    /// The largest hidden value of the last sample that was computed alone.
    var hiddenPeak: Double { (0..<window.hidden).map { abs(Double(stem.hidden[$0])) }.max()! }

    /// Forward and backward, weights unchanged; scale: 1 / (samples · outputs) unless given.
    func gradients(
        _ input: [Float], labels: [Float], samples: Int, scale: Float? = nil, rowsPerBucket: Int? = nil
    ) throws -> CollectingSink {
        let sink = CollectingSink(table: network.table, rowsPerBucket: rowsPerBucket)
        forward(input, samples: samples)
        try backward(labels: labels, samples: samples, scale: scale, sink: sink)
        return sink
    }

    /// A training step.
    /// - Returns: the loss before it.
    func step(
        _ input: [Float], labels: [Float], samples: Int, rowsPerBucket: Int? = nil, immediate: Bool = false
    ) throws -> Double {
        let sink = AdamSink(
            adam: adam, window: window, threads: team.count, rowsPerBucket: rowsPerBucket, immediate: immediate)
        forward(input, samples: samples)
        let loss = network.lossSum(labels: labels, samples: samples) / Double(samples * window.outputs)
        adam.beginStep()
        try backward(labels: labels, samples: samples, scale: nil, sink: sink)
        network.finishStep()
        return loss
    }

    private func backward(labels: [Float], samples: Int, scale: Float?, sink: any GradientSink) throws {
        try network.beginBackward(labels: labels, scale: scale ?? 1 / Float(max(1, samples * window.outputs)))
        try network.finishBackward(sink: sink)
    }
}
