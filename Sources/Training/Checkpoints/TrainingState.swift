import Checkpoints
import HandData
import Kernels
import Layers
import Networks
import Optimizers

/// What a checkpoint must hold, besides tensors, for training to go on exactly; nothing in it depends on the clock.
struct TrainingState: Codable, Equatable, Sendable {
    /// Of a network of the question's kind; nil: any other, which `architecture` has.
    var network: WindowNetwork?
    /// Any other network, layer by layer.
    var architecture: NetworkDescription?
    /// The settings that a resumed run is compared by, with their texts. Nil in checkpoints from before the table of settings.
    var settings: [String: String]?
    /// Averaged weights' updates, where there are any.
    var averagedUpdates: Int?
    /// The frames it was trained on. Nil in checkpoints from before: ICVL's.
    var frames: FrameFormat?
    /// Of the training samples, in hexadecimal.
    var dataFingerprint: String
    var trainingSamples: Int
    /// The step of the newest validation, and what it gave.
    var validationStep: Int?
    var validation: ValidationResult?
    /// The lowest held-out error so far, mm, and the validations since.
    var bestError: Double?
    var validationsSinceBest: Int?
    /// Adam's steps, where updates were skipped; nil: as many as training steps.
    var optimizerSteps: Int?
    /// Samples that were left out in training, each counted once; nil: none.
    var skippedSamples: Int?
    /// Checksums of the lines that told of them, ascending: they are told and counted once in the life of a run.
    var skippedSampleNames: [UInt64]?
    /// Steps without an update, as loss or gradient was not finite; nil: none.
    var skippedSteps: Int?

    // In the place of `settings`, in checkpoints from before it: read, never written.
    var seed: UInt64?
    var batchSize: Int?
    var learningRate: Double?
    var input: DepthConditioning?
    var onBadSample: BadSamplePolicy?

    /// The settings a resumed run is compared by, and those that are noted.
    static func compared(_ configuration: RunConfiguration) -> [String: String] {
        let compared = Settings.all.filter { $0.resuming == .fixed || $0.resuming == .allowed || $0.resuming == .noted }
        return Dictionary(uniqueKeysWithValues: compared.compactMap { row in row.text(in: configuration).map { (row.name, $0) } })
    }

    /// The text of a setting in the run that stored this state.
    ///
    /// Without it the setting was not there yet, and what dtrain did then is the default of `--preset seed`. `on-bad-sample` is
    /// an exception: the oldest checkpoints were made with it, and do not tell.
    func setting(_ name: String) -> String? {
        // What it was before it was a setting is not what it is by default now.
        if name == "validation" { return settings?[name] ?? ValidationSplit.test.rawValue }
        if let settings { return settings[name] ?? Settings[name]?.text(in: RunConfiguration(preset: .seed)) }
        return switch name {
        case "pool": network.map { String($0.pool) }
        case "hidden": network.map { String($0.hidden) }
        case "output": network?.head.rawValue
        case "seed": seed.map { String($0) }
        case "input": input?.rawValue
        case "batch-size": batchSize.map { String($0) }
        case "learning-rate": learningRate.map { "\($0)" }
        case "on-bad-sample": onBadSample?.rawValue
        default: Settings[name]?.text(in: RunConfiguration(preset: .seed))
        }
    }

    /// Throws when a run that starts in this state cannot go on from a checkpoint.
    func requireSameRun(as checkpoint: Checkpoint, allowing changes: ResumeChanges) throws {
        try requireSameRun(as: try checkpoint.training(as: TrainingState.self), of: checkpoint.path, allowing: changes)
    }

    /// Throws when a run that starts in this state cannot go on from another, which `source` holds.
    func requireSameRun(as saved: TrainingState, of source: String, allowing changes: ResumeChanges) throws {
        let differences = saved.differences(from: self)
            .filter { !($0.change.map(changes.contains) ?? false) }
        guard !differences.isEmpty else { return }
        let allowable = Set(differences.compactMap(\.change)).sorted()
        let isAllowable = differences.allSatisfy { $0.change != nil }
        throw TrainingFailure(
            "\(source) is of another run: \(differences.map(\.text).joined(separator: "; ")); hint: resume with the "
                + "same settings (--config RUN/config.yaml), "
                + (isAllowable ? "allow it with --allow-change \(allowable.joined(separator: ",")), " : "")
                + "or start anew with another --run-dir")
    }

    /// One setting that is not what it was.
    private struct Difference {
        let text: String
        /// What `--allow-change` has to name to allow it; nil: nothing does.
        let change: String?
    }

    /// What differs in a run that wants to go on from this state.
    private func differences(from run: TrainingState) -> [Difference] {
        var differences: [Difference] = []
        func compare<Value: Equatable>(
            _ name: String, _ there: Value, _ here: Value, _ change: String? = nil, _ remark: String = ""
        ) {
            guard there != here else { return }
            differences.append(Difference(text: "\(name) \(there) there, \(here) here\(remark)", change: change))
        }
        if let there = network, let here = run.network {
            compare("image width", there.width, here.width)
            compare("image height", there.height, here.height)
        } else if architecture?.layers.node.withoutInitialValues != run.architecture?.layers.node.withoutInitialValues
            || architecture?.input != run.architecture?.input
        {
            differences.append(Difference(text: "the network's layers differ", change: nil))
        }
        for row in Settings.all where row.resuming == .fixed || row.resuming == .allowed {
            let (there, here) = (setting(row.name), run.setting(row.name))
            if row.name == "on-bad-sample", there == nil { continue }
            compare("--\(row.name)", there ?? "none", here ?? "none", row.resuming == .allowed ? row.name : nil)
        }
        let isFormer = trainingSamples > run.trainingSamples && settings?["centre"] == nil
        compare(
            "training samples", trainingSamples, run.trainingSamples, "data",
            isFormer ? " (dtrain of that time held none out where there were test frames: --validation test)" : "")
        if trainingSamples == run.trainingSamples {
            let isFormer = settings?["centre"] == nil && run.architecture != nil
            compare(
                "data fingerprint", dataFingerprint, run.dataFingerprint, "data",
                isFormer ? " (synthetic hands of that time are --hands first)" : "")
        }
        return differences
    }
}
