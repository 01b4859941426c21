import Checkpoints
import HandData
import Kernels
import Networks

/// What a checkpoint must hold, besides tensors, for training to go on exactly; nothing in it depends on the clock.
struct TrainingState: Codable, Equatable, Sendable {
    var network: NetworkConfiguration
    var seed: UInt64
    var batchSize: Int
    var learningRate: Double
    /// How depth becomes input.
    var input: DepthConditioning
    /// Nil in checkpoints from before it was stored.
    var onBadSample: BadSamplePolicy?
    /// Of the training samples, in hexadecimal.
    var dataFingerprint: String
    var trainingSamples: Int
    /// The step of the newest validation, and what it gave.
    var validationStep: Int?
    var validation: ValidationResult?
    /// Adam's steps, where updates were skipped; nil: as many as training steps.
    var optimizerSteps: Int?
    /// Samples that were left out in training, each counted once; nil: none.
    var skippedSamples: Int?
    /// Checksums of the lines that told of them, ascending: they are told and counted once in the life of a run.
    var skippedSampleNames: [UInt64]?
    /// Steps without an update, as loss or gradient was not finite; nil: none.
    var skippedSteps: Int?

    /// Throws when a run that starts in this state cannot go on from a checkpoint.
    func requireSameRun(as checkpoint: Checkpoint, allowing changes: ResumeChanges) throws {
        let differences = try checkpoint.training(as: TrainingState.self).differences(from: self)
            .filter { difference in !(difference.change.map(changes.contains) ?? false) }
        guard !differences.isEmpty else { return }
        let allowable = Set(differences.compactMap(\.change)).sorted { $0.rawValue < $1.rawValue }.map(\.rawValue)
        let isAllowable = differences.allSatisfy { $0.change != nil }
        throw TrainingFailure(
            "\(checkpoint.path) is of another run: \(differences.map(\.text).joined(separator: "; ")); hint: resume with the "
                + "same settings (--config RUN/config.yaml), "
                + (isAllowable ? "allow it with --allow-change \(allowable.joined(separator: ",")), " : "")
                + "or start anew with another --run-dir")
    }

    /// One setting that is not what it was.
    private struct Difference {
        let text: String
        /// What allows it; nil: nothing does.
        let change: ResumeChange?
    }

    /// What differs in a run that wants to go on from this state.
    private func differences(from run: TrainingState) -> [Difference] {
        var differences: [Difference] = []
        func compare<Value: Equatable>(_ name: String, _ there: Value, _ here: Value, _ change: ResumeChange? = nil) {
            guard there != here else { return }
            differences.append(Difference(text: "\(name) \(there) there, \(here) here", change: change))
        }
        compare("image width", network.width, run.network.width)
        compare("image height", network.height, run.network.height)
        compare("--pool", network.pool, run.network.pool)
        compare("--hidden", network.hidden, run.network.hidden)
        compare("--output", network.head.rawValue, run.network.head.rawValue)
        compare("--seed", seed, run.seed, .seed)
        compare("--input", input.rawValue, run.input.rawValue)
        compare("--batch-size", batchSize, run.batchSize, .batchSize)
        compare("--learning-rate", learningRate, run.learningRate, .learningRate)
        if let there = onBadSample, let here = run.onBadSample {
            compare("--on-bad-sample", there.rawValue, here.rawValue, .onBadSample)
        }
        compare("training samples", trainingSamples, run.trainingSamples, .data)
        if trainingSamples == run.trainingSamples {
            compare("data fingerprint", dataFingerprint, run.dataFingerprint, .data)
        }
        return differences
    }
}
