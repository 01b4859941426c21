import Collectives
import Diagnosis
import Exchange
import Glibc
import HandData
import Kernels
import Memory
import Networks
import Optimizers
import Telemetry

extension Trainer {
    /// Says what will run, where, on what.
    func introduce(_ plan: MemoryPlan, _ advice: ExchangeAdvice, _ notes: [String]) throws {
        console.line(
            "dtrain: "
                + (model.window == nil
                    ? "network \(model.name), "
                    : "preset \(configuration.preset.rawValue), output \(configuration.output.rawValue), ")
                + "\(model.description.table.valueCount) parameters, global batch \(configuration.batchSize), \(totalSteps) steps")
        console.line(learning)
        console.line(
            "data: \(data.origin), \(data.training.count) training and \(data.heldOut.count) held-out frames of "
                + "\(data.training.width)x\(data.training.height)" + (data.test.map { ", \($0.count) test frames" } ?? ""))
        console.line(
            "validation: \(data.heldOutText)"
                + (data.validatesOnTest
                    ? ": the best is chosen by them, so their error is no test result"
                    : data.test == nil ? "; there are no test frames to evaluate" : "; the test frames are evaluated once, at the end"))
        if data.centres.training.usesTruth {
            console.warning(
                "--centre labels: crops are put where the true joints are, so no error of this run is one on unknown frames; "
                    + "hint: --centre com, or centres of a hand detector (--centre FILE)")
        }
        for note in notes + data.notes + directory.notes { console.line("note: \(note)") }
        for warning in data.warnings { console.warning(warning) }
        if let warning = InstructionSet.warning { console.warning(warning) }
        let samples = configuration.batchSize * configuration.model.accumulate
        if configuration.model.accumulate > 1 && model.description.hasBatchStatistics {
            console.line(
                "note: batch normalisation takes its statistics from each of the \(configuration.model.accumulate) micro-batches by itself")
        }
        if samples > data.training.count {
            console.line(
                "note: a batch of \(samples) is larger than the set of \(data.training.count) training samples: some "
                    + "come up more than once in it")
        }
        let lines = try communicator.allgather(
            Array(
                ("rank \(communicator.rank) on \(placement.describe(communicator.place)), "
                    + "\(MemoryCheck.gigabytes(plan.total)) needed"
                    + (plan.checkpointCopy > 0
                        ? ", \(MemoryCheck.gigabytes(plan.checkpointCopy)) more to save without a pause" : ""))
                    .utf8))
        events.start = [
            ("steps", .integer(totalSteps)), ("ranks", .integer(communicator.size)),
            ("network", .text("\(model.name), \(model.description.table.valueCount) parameters")),
            (
                "data",
                .text(
                    "\(data.origin), \(data.training.count) training and \(data.heldOut.count) held-out frames of "
                        + "\(data.training.width)x\(data.training.height)")
            ),
            ("exchange", .text(communicator.size == 1 ? "none" : configuration.exchange.rawValue)),
            ("places", .text(lines.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n"))),
        ]
        console.line("ranks: \(communicator.size), exchange \(communicator.size == 1 ? "none" : configuration.exchange.rawValue)")
        for line in lines { console.line("  " + String(decoding: line, as: UTF8.self)) }
        for line in advice.lines { console.line(line) }
        for warning in try placement.warnings(of: communicator) { console.warning(warning) }
        if let warning = ProcessorTime.warning(
            threads: placement.threads, ranks: communicator.place.localSize, limit: ProcessorTime.limit())
        {
            console.warning(warning)
        }
        if !faults.isEmpty { console.warning("DTRAIN_FAULT is set: this run is made to fail, for a test") }
        console.line("run directory: \(directory.path)")
    }

    /// How the weights are updated, and what crops go through.
    private var learning: String {
        let settings = configuration.model
        var words = ["optimizer: \(optimizer.configuration.kind.rawValue)", "schedule \(settings.schedule)", "update \(policy.rawValue)"]
        if settings.clipping != .none { words.append("clipping \(settings.clipping)") }
        if settings.accumulate > 1 { words.append("\(settings.accumulate) micro-batches a step") }
        if let averaging = settings.averaging { words.append("averaged weights (\(averaging.decay)\(averaging.warmsUp ? ", warmed up" : ""))") }
        if let crop = model.pipeline.crop { words.append("crops of \(Int(crop.cube)) mm, centre \(data.centres.training.name), \(crop.size) pixels") }
        if model.window == nil { words.append("\(InstructionSet.best.name) kernels") }
        return words.joined(separator: ", ")
    }
}
