package import Checkpoints
import Kernels
import Networks
import Tensors

/// What a checkpoint says of the training it came from.
package struct CheckpointSummary {
    /// For people, a fact a line.
    package let lines: [String]

    /// - Throws: `CheckpointError` when the state is not that of a training.
    package init(_ checkpoint: Checkpoint) throws(CheckpointError) {
        let state = try checkpoint.training(as: TrainingState.self)
        let network = state.network
        var lines = [
            "network: \(network.width)x\(network.height), pool \(network.pool), FC \(network.hidden), "
                + "FC \(network.outputs), output \(network.head.rawValue), \(network.table.valueCount) parameters",
            "training: seed \(state.seed), global batch \(state.batchSize), learning rate \(state.learningRate), "
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
