package import Checkpoints
package import HandData
import Layers
import Memory
package import Networks

/// A checkpoint opened for other programs' use: what it says of its network, the settings it was trained with, and its weights.
package struct TrainedModel: Sendable {
    package let checkpoint: Checkpoint
    package let model: StoredModel
    /// The network as one of the question's kind, if it is.
    package let window: WindowNetwork?
    /// The settings that decided how it was trained, by the flags' names.
    package let settings: [String: String]
    /// The tensors of `model.weightsFile`.
    package let weights: SafetensorsReader

    package var description: NetworkDescription { model.description }
    /// How frames become inputs, without variation.
    package var pipeline: SamplePipeline { model.pipeline }

    /// Opens a checkpoint and verifies every checksum.
    /// - Throws: `CheckpointError`, also when the checkpoint's state names no network or other weights than it has.
    package init(_ path: String) throws(CheckpointError) {
        checkpoint = try Checkpoint.open(path)
        model = try StoredModel(checkpoint)
        let state = try checkpoint.training(as: TrainingState.self)
        window = state.network
        settings = Dictionary(
            uniqueKeysWithValues: TrainingState.compared(RunConfiguration(preset: .seed)).keys.compactMap { name in
                state.setting(name).map { (name, $0) }
            })
        weights = try checkpoint.reader(model.weightsFile)
        try model.description.table.requireTensors(in: weights)
    }

    /// The size of the frames it takes whole; nil: it takes crops of frames of any size.
    package var frameSize: (width: Int, height: Int)? { window.map { ($0.width, $0.height) } }
}

extension ParameterTable {
    /// - Throws: `CheckpointError` when a parameter is not there, or of another shape.
    func requireTensors(in reader: SafetensorsReader) throws(CheckpointError) {
        for parameter in parameters {
            guard let entry = reader.entry(named: parameter.name), entry.shape == parameter.shape else {
                throw CheckpointError(
                    .unsupported, path: reader.path, "has no tensor '\(parameter.name)' of shape \(parameter.shape), which its network needs",
                    hint: "are model and state.json of one checkpoint?")
            }
        }
    }
}

extension Network {
    /// Reads the weights of a checkpoint into the network.
    /// - Throws: `CheckpointError`, also when a parameter is not there, or of another shape.
    package func readWeights(_ reader: SafetensorsReader) throws(CheckpointError) {
        try table.requireTensors(in: reader)
        for parameter in table.parameters {
            try reader.read(
                parameter.name, elements: 0..<parameter.count,
                into: UnsafeMutableBufferPointer(start: parameters + parameter.range.lowerBound, count: parameter.count))
        }
        weightsChanged()
    }
}
