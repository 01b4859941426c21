package import Checkpoints
package import HandData
package import Networks
import Layers
import Tensors

/// What a checkpoint trained: the network, what it is shown, how its outputs are understood, and its weights. For use without a run.
package struct TrainedModel: Sendable {
    package let checkpoint: Checkpoint
    package let description: NetworkDescription
    /// The network as one of the question's kind, if it is.
    package let window: WindowNetwork?
    /// How frames become inputs, without variation.
    package let pipeline: SamplePipeline
    /// The settings that decided how it was trained, by the flags' names.
    package let settings: [String: String]
    /// The averaged weights' file, where there is one, else the model's.
    package let weightsFile: String
    /// Its tensors.
    package let weights: SafetensorsReader

    /// Opens a checkpoint and verifies every checksum.
    /// - Throws: `CheckpointError`; `TrainingFailure` when its state names no network.
    package init(_ path: String) throws {
        checkpoint = try Checkpoint.open(path)
        let state = try checkpoint.training(as: TrainingState.self)
        window = state.network
        guard let description = state.network?.description ?? state.architecture, description.problem == nil else {
            throw TrainingFailure("\(checkpoint.path): its state.json tells no network; hint: is it a checkpoint of dtrain?")
        }
        self.description = description
        settings = Dictionary(
            uniqueKeysWithValues: TrainingState.compared(RunConfiguration(preset: .seed)).keys.compactMap { name in
                state.setting(name).map { (name, $0) }
            })
        if state.network != nil {
            pipeline = .frame(state.setting("input").flatMap(DepthConditioning.init(rawValue:)) ?? .normalized)
        } else {
            var crop = HandCrop(size: description.input.height)
            crop.cube = state.setting("cube").flatMap(Double.init) ?? crop.cube
            pipeline = .crop(crop)
        }
        weightsFile = checkpoint.state.files[CheckpointWrite.averageFile] == nil ? CheckpointWrite.modelFile : CheckpointWrite.averageFile
        weights = try checkpoint.reader(weightsFile)
        for parameter in description.table.parameters {
            guard let entry = weights.entry(named: parameter.name), entry.shape == parameter.shape else {
                throw TrainingFailure(
                    "\(weights.path): has no '\(parameter.name)' of shape \(parameter.shape); hint: is it a checkpoint of dtrain?")
            }
        }
    }

    /// The size of the frames it takes whole; nil: it takes crops of frames of any size.
    package var frameSize: (width: Int, height: Int)? { window.map { ($0.width, $0.height) } }

    /// Reads the weights into a network made from `description`.
    package func load(into network: Network) throws(CheckpointError) {
        for parameter in network.table.parameters {
            try weights.read(
                parameter.name, elements: 0..<parameter.count,
                into: UnsafeMutableBufferPointer(start: network.parameters + parameter.range.lowerBound, count: parameter.count))
        }
        network.weightsChanged()
    }
}
