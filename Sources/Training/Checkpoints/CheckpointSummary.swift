package import Checkpoints
import Kernels
import Layers
import Memory
import Networks

/// What a checkpoint says of the training it came from.
package struct CheckpointSummary {
    /// For people, a fact a line.
    package let lines: [String]

    /// - Throws: `CheckpointError` when the state is not that of a training.
    package init(_ checkpoint: Checkpoint) throws(CheckpointError) {
        let state = try checkpoint.training(as: TrainingState.self)
        let description = state.network?.description ?? state.architecture
        let words =
            state.network.map {
                "\($0.width)x\($0.height), pool \($0.pool), FC \($0.hidden), FC \($0.outputs), output \($0.head.rawValue)"
            } ?? "input \(description?.input.description ?? "unknown"), \(description?.layers.count ?? 0) layers"
        func told(_ name: String) -> String { state.setting(name) ?? "unknown" }
        var lines = [
            "network: \(words), \(description?.table.valueCount ?? 0) parameters",
            "training: seed \(told("seed")), global batch \(told("batch-size")), learning rate \(told("learning-rate")), "
                + "\(state.trainingSamples) samples (fingerprint \(state.dataFingerprint))",
        ]
        if let validation = state.validation, let step = state.validationStep {
            lines.append(
                "validation at step \(step): joint error \(validation.jointErrorMillimetres) mm, loss \(validation.loss), "
                    + "\(validation.frames) frames")
        }
        self.lines = lines
    }
}
