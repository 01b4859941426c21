import Checkpoints
import Collectives
import HandData
import Kernels
import Networks
import Optimizers
import Tensors

/// What a checkpoint must hold, besides tensors, for training to go on exactly; nothing in it depends on the clock.
struct TrainingState: Codable, Equatable {
    var network: NetworkConfiguration
    var seed: UInt64
    var batchSize: Int
    var learningRate: Double
    /// How depth becomes input.
    var input: DepthConditioning
    /// Of the training samples, in hexadecimal.
    var dataFingerprint: String
    var trainingSamples: Int
    /// The step of the newest validation, and what it gave.
    var validationStep: Int?
    var validation: ValidationResult?

    /// Throws when a run that starts in this state cannot go on from a checkpoint.
    func requireSameRun(as checkpoint: Checkpoint) throws {
        guard let mismatch = try checkpoint.training(as: TrainingState.self).mismatch(with: self) else { return }
        throw TrainingFailure(
            "\(checkpoint.path) is of another run: \(mismatch); hint: resume with the same settings "
                + "(--config RUN/config.yaml), or start anew with another --run-dir")
    }

    /// What differs from the run that wants to go on from it, in one line; nil when nothing does.
    func mismatch(with run: TrainingState) -> String? {
        var differences: [String] = []
        func compare<Value: Equatable>(_ name: String, _ there: Value, _ here: Value) {
            if there != here { differences.append("\(name) \(there) there, \(here) here") }
        }
        compare("image width", network.width, run.network.width)
        compare("image height", network.height, run.network.height)
        compare("--pool", network.pool, run.network.pool)
        compare("--hidden", network.hidden, run.network.hidden)
        compare("--output", network.head.rawValue, run.network.head.rawValue)
        compare("--seed", seed, run.seed)
        compare("--input", input.rawValue, run.input.rawValue)
        compare("--batch-size", batchSize, run.batchSize)
        compare("training samples", trainingSamples, run.trainingSamples)
        if trainingSamples == run.trainingSamples {
            compare("data fingerprint", dataFingerprint, run.dataFingerprint)
        }
        return differences.isEmpty ? nil : differences.joined(separator: "; ")
    }
}

/// Checkpoints of a run: rank 0 writes and reads, the others get the values from it.
final class RunCheckpoints {
    private static let modelFile = "model.safetensors"
    private static let optimizerFile = "optimizer.safetensors"

    private let store: CheckpointStore
    private let network: HandNetwork
    private let adam: Adam
    private let communicator: any Communicator

    init(store: CheckpointStore, network: HandNetwork, adam: Adam, communicator: any Communicator) {
        self.store = store
        self.network = network
        self.adam = adam
        self.communicator = communicator
    }

    /// Writes the checkpoint of `step` on rank 0.
    /// - Returns: its path, on rank 0.
    /// - Throws: `TrainingFailure`, the same on all ranks, when it cannot be written.
    func save(step: Int, state: TrainingState) throws -> String {
        try communicator.together {
            guard communicator.rank == 0 else { return "" }
            var pending = try store.begin(step: step)
            let metadata = ["format": "pt", "made_by": "dtrain", "step": String(step)]
            let parameters = network.table.parameters
            try pending.file(
                Self.modelFile, entries: parameters.map { TensorEntry(name: $0.name, shape: $0.shape) },
                metadata: metadata
            ) { writer in
                for parameter in parameters { try writer.append(values(network.parameters, parameter)) }
            }
            try pending.file(
                Self.optimizerFile,
                entries: parameters.flatMap {
                    [TensorEntry(name: "\($0.name).m", shape: $0.shape), TensorEntry(name: "\($0.name).v", shape: $0.shape)]
                }, metadata: metadata
            ) { writer in
                for parameter in parameters {
                    try writer.append(values(adam.firstMoments, parameter))
                    try writer.append(values(adam.secondMoments, parameter))
                }
            }
            let score = state.validationStep == step ? state.validation?.jointErrorMillimetres : nil
            return try pending.commit(training: state, score: score).checkpoint.path
        }
    }

    /// Loads weights, moments and the step from a checkpoint that rank 0 has opened.
    /// - Parameter checkpoint: on rank 0; nil elsewhere.
    func load(_ checkpoint: Checkpoint?) throws {
        try communicator.together {
            guard let checkpoint else { return }
            let model = try checkpoint.reader(Self.modelFile)
            let optimizer = try checkpoint.reader(Self.optimizerFile)
            for parameter in network.table.parameters {
                try read(model, parameter.name, parameter, into: network.parameters)
                try read(optimizer, "\(parameter.name).m", parameter, into: adam.firstMoments)
                try read(optimizer, "\(parameter.name).v", parameter, into: adam.secondMoments)
            }
        }
        for parameter in network.table.parameters {
            for base in [network.parameters, adam.firstMoments, adam.secondMoments] {
                let bytes = UnsafeMutableRawBufferPointer(
                    UnsafeMutableBufferPointer(start: base + parameter.range.lowerBound, count: parameter.count))
                try communicator.broadcast(bytes, from: 0)
            }
        }
    }

    private func read(
        _ reader: SafetensorsReader, _ name: String, _ parameter: Parameter, into base: UnsafeMutablePointer<Float>
    ) throws {
        guard let entry = reader.entry(named: name) else {
            throw TrainingFailure("\(reader.path): has no tensor '\(name)'; hint: is it a checkpoint of dtrain?")
        }
        guard entry.shape == parameter.shape else {
            throw TrainingFailure(
                "\(reader.path): '\(name)' has shape \(entry.shape), this network needs \(parameter.shape); "
                    + "hint: give the --pool, --hidden and image size it was trained with")
        }
        try reader.read(
            name, elements: 0..<parameter.count,
            into: UnsafeMutableBufferPointer(start: base + parameter.range.lowerBound, count: parameter.count))
    }

    private func values(_ base: UnsafeMutablePointer<Float>, _ parameter: Parameter) -> UnsafeBufferPointer<Float> {
        UnsafeBufferPointer(start: base + parameter.range.lowerBound, count: parameter.count)
    }
}
