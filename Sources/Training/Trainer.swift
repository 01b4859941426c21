import Checkpoints
package import Collectives
import Exchange
import Glibc
import HandData
import Kernels
import Networks
import Optimizers
import Telemetry
import Tensors

/// The training loop of one rank. All ranks run it in lockstep; rank 0 speaks and writes.
package final class Trainer {
    private let configuration: RunConfiguration
    private let communicator: any Communicator
    private let console: Console
    private let data: RunData
    private let placement: Placement
    private let directory: RunDirectoryHandle
    private let team: WorkerTeam
    private let network: HandNetwork
    private let adam: Adam
    private let exchange: any GradientExchange
    private let loader: BatchLoader
    private let evaluator: Evaluator
    private let checkpoints: RunCheckpoints
    private let camera: Camera
    private let totalSteps: Int
    private let startedAt: Double
    /// Whether the run goes on from a checkpoint.
    private let resumes: Bool

    private var step: Int
    private var state: TrainingState
    private var monitor = CollapseMonitor()
    private var timer = StepTimer()
    private var skippedSamples = 0
    /// The ranks agreed to stop after this step.
    private var isStopping = false
    private var skippedNames: Set<String> = []
    private var lastSaved = -1

    /// Prepares a run: data, memory, run directory, initial or resumed weights.
    /// - Parameters:
    ///   - configuration: has no `problem`.
    ///   - configurationText: turns the resolved configuration into what `config.yaml` holds.
    ///   - startedAt: `Stopwatch.now` at the start of the process.
    /// - Throws: `TrainingFailure`, the same on all ranks; `CollectiveError`.
    package init(
        _ configuration: RunConfiguration, communicator: any Communicator, startedAt: Double,
        configurationText: (RunConfiguration) throws -> String
    ) throws {
        self.communicator = communicator
        self.startedAt = startedAt
        console = Console(isQuiet: communicator.rank != 0)

        if configuration.batchSize < communicator.size {
            throw TrainingFailure(
                "a global batch of \(configuration.batchSize) is smaller than the \(communicator.size) ranks; "
                    + "hint: --batch-size \(communicator.size) or more, or fewer ranks")
        }
        placement = try Placement.decide(communicator: communicator, requested: configuration.threads)
        data = try RunData.open(configuration, communicator: communicator)
        let shape = configuration.network(width: data.training.width, height: data.training.height)
        if let problem = shape.problem { throw TrainingFailure(problem) }

        var resolved = configuration
        if let epochs = configuration.epochs {
            resolved.steps = max(1, Int((epochs * Double(data.training.count) / Double(configuration.batchSize)).rounded(.up)))
        }
        resolved.threads = placement.threads
        totalSteps = resolved.steps

        let plan = MemoryPlan(
            resolved, network: shape, shard: (configuration.batchSize + communicator.size - 1) / communicator.size,
            ranks: communicator.size, threads: placement.threads)
        try MemoryCheck.run(needed: plan.total, communicator: communicator)
        state = TrainingState(
            network: shape, seed: resolved.seed, batchSize: resolved.batchSize, learningRate: resolved.learningRate,
            input: resolved.input, dataFingerprint: String(data.training.fingerprint, radix: 16),
            trainingSamples: data.training.count)
        directory = try RunDirectoryHandle(resolved, state: state, communicator: communicator)
        resolved.runDir = directory.path
        self.configuration = resolved

        // The loader's threads inherit this thread's affinity, so they start before the team is pinned.
        let resumed = try Int(communicator.maximum(Double(directory.checkpoint?.step ?? -1)))
        resumes = resumed >= 0
        let first = max(0, resumed)
        step = first
        let training = data.training
        loader = try communicator.together {
            try plan.makeLoader(training, configuration: resolved, communicator: communicator, step: first)
        }
        team = WorkerTeam(
            count: placement.threads, processors: placement.processors, spins: placement.isOversubscribed ? 0 : 20_000)
        let arena = try communicator.together { try Arena(capacity: plan.arena) }
        arena.touch(team: team)
        network = HandNetwork(shape, maximumSamples: plan.shard, team: team, arena: arena)
        adam = Adam(configuration: resolved.adam, weights: network.parameters, table: network.table, arena: arena)
        exchange =
            communicator.size == 1
            ? SoloExchange(adam: adam, table: network.table, threads: team.count, arena: arena)
            : AllreduceExchange(
                adam: adam, communicator: communicator, team: team, table: network.table, arena: arena)
        evaluator = Evaluator(
            source: data.heldOut,
            frames: resolved.validateFrames == 0
                ? data.heldOut.count : min(resolved.validateFrames, data.heldOut.count),
            conditioning: resolved.input, policy: resolved.onBadSample, maximumSamples: plan.shard, team: team,
            communicator: communicator, arena: arena)
        checkpoints = RunCheckpoints(
            store: directory.store, network: network, adam: adam, communicator: communicator)
        camera = Camera.icvl(width: data.training.width, height: data.training.height)
        try introduce(plan)
        // A number of threads that was found here would be wrong elsewhere: automatic stays automatic.
        var written = resolved
        written.threads = configuration.threads
        try begin { try configurationText(written) }
    }

    // MARK: Before the first step

    /// Says what will run, where, on what.
    private func introduce(_ plan: MemoryPlan) throws {
        console.line(
            "dtrain: preset \(configuration.preset.rawValue), output \(configuration.output.rawValue), "
                + "\(network.table.valueCount) parameters, global batch \(configuration.batchSize), \(totalSteps) steps")
        console.line(
            "data: \(data.origin), \(data.training.count) training and \(data.heldOut.count) held-out frames of "
                + "\(data.training.width)x\(data.training.height)")
        for note in data.notes + directory.notes { console.line("note: \(note)") }
        let lines = try communicator.allgather(
            Array(
                ("rank \(communicator.rank) on \(placement.describe(communicator.place)), "
                    + "\(MemoryCheck.gigabytes(plan.total)) needed").utf8))
        console.line("ranks: \(communicator.size), exchange \(communicator.size == 1 ? "none" : configuration.exchange.rawValue)")
        for line in lines { console.line("  " + String(decoding: line, as: UTF8.self)) }
        if let warning = placement.warning { console.warning(warning) }
        console.line("run directory: \(directory.path)")
    }

    /// Initial weights, or those of the checkpoint that the run goes on from; then the run directory is this run's.
    /// - Parameter configurationText: what `config.yaml` is to hold.
    private func begin(configurationText: () throws -> String) throws {
        let checkpoint = directory.checkpoint
        if !resumes {
            network.configuration.initialize(
                network.parameters, seed: configuration.seed, team: team,
                meanOutput: configuration.outputBias == .mean ? data.meanLabel() : nil)
        } else {
            let saved = try communicator.together { try checkpoint?.training(as: TrainingState.self) }
            state.validation = saved?.validation
            // All ranks must know whether the last step was validated: they validate together or not at all.
            let validated = try Int(communicator.maximum(Double(saved?.validationStep ?? -1)))
            state.validationStep = validated < 0 ? nil : validated
            try checkpoints.load(checkpoint)
            adam.restore(step: step)
            lastSaved = step
        }
        let aside = try communicator.together { try directory.begin(configurationText: configurationText()) }
        for path in aside { console.line("note: set aside: \(path)") }
        if resumes {
            console.line("resumed: \(checkpoint?.path ?? ""), step \(step)")
        } else if configuration.saveInitial {
            try save()
        }
        console.line(format("ready after %.1f s", Stopwatch.now - startedAt))
    }

    // MARK: The loop

    /// Trains until the last step; writes checkpoints, metrics and validations on the way.
    /// - Throws: `TrainingFailure`, the same on all ranks.
    package func run() throws {
        // An error is told on a line of its own, not behind a step's progress.
        defer { console.clearProgress() }
        timer.restart()
        let first = step
        while step < totalSteps {
            try trainStep()
            if step == first + 1 {
                console.line(format("first step done %.1f s after the start", Stopwatch.now - startedAt))
            }
            if step % configuration.validateEvery == 0 || step == totalSteps {
                try timer.measureElsewhere { try validate() }
            }
            if step % configuration.checkpointEvery == 0 || step == totalSteps || isStopping {
                try timer.measureElsewhere { try save() }
            }
            if isStopping && step < totalSteps { return try leave() }
        }
        if step == first { console.line("nothing to do: \(step) steps are done already; hint: a larger --steps") }
        try conclude()
        loader.stop()
        directory.close()
    }

    /// Ends a run that was asked to stop, its checkpoint written.
    private func leave() throws {
        loader.stop()
        directory.close()
        throw TrainingFailure(
            "stopped by a signal after step \(step), which is saved; hint: go on with --config \(directory.path)/config.yaml "
                + "--run-dir \(directory.path) --resume auto", exitCode: StopRequest.exitCode)
    }

    private func trainStep() throws {
        var statistics = StepStatistics(outputs: network.configuration.outputs, camera: camera)
        if StopRequest.signalNumber != 0 { statistics.setStopping() }
        var failure: String?
        var batch: Batch?
        do {
            batch = try timer.measureWaiting { try loader.next() }
        } catch {
            failure = "\(error); hint: repair the frame, or leave such frames out with --on-bad-sample skip"
            statistics.setFailed()
        }
        if let batch {
            timer.measureForward { _ = network.forward(input: batch.input.baseAddress!, samples: batch.count) }
            statistics.add(
                predictions: network.outputs, labels: batch.labels.baseAddress!, samples: batch.count,
                skipped: batch.bad.count, head: network.configuration.head)
        }
        try statistics.sum(over: communicator)
        if statistics.failures > 0 { try communicator.throwAgreed(failure) }
        guard let batch, statistics.samples > 0 else {
            throw TrainingFailure(
                "step \(step + 1): none of the batch's samples can be read; hint: check the data set with --on-bad-sample stop")
        }
        guard statistics.loss.isFinite else {
            throw TrainingFailure(
                "step \(step + 1): the loss is \(format("%g", statistics.loss)); nothing was updated, and no checkpoint holds it; "
                    + "hint: --input normalized --initial-values he, or a smaller --learning-rate")
        }
        let isDue = isLogged(step + 1)
        var inside: CollapseMonitor.Inside?
        try timer.measureBackward {
            network.beginBackward(
                labels: batch.labels.baseAddress!, samples: batch.count, scale: Float(1 / statistics.valueCount))
            if isDue {
                inside = try CollapseMonitor.look(
                    at: network, samples: batch.count, valueCount: statistics.valueCount, communicator: communicator)
            }
            adam.beginStep()
            exchange.resetCost()
            try network.finishBackward(input: batch.input.baseAddress!, samples: batch.count, sink: exchange)
        }
        isStopping = statistics.stops > 0
        if statistics.skipped > 0 { skippedSamples += try report(bad: batch.bad) }
        step += 1
        timer.finishStep(samples: statistics.samples, exchange: exchange.cost.seconds, bytes: exchange.cost.bytes)
        for warning in monitor.warnings(
            step: step, statistics: statistics, inside: inside, configuration: network.configuration)
        {
            console.warning(warning)
        }
        try log(statistics, inside: inside, isDue: isDue)
    }

    private func isLogged(_ step: Int) -> Bool {
        step == 1 || step % configuration.logEvery == 0 || step == totalSteps
    }

    /// Tells of skipped samples, each once in the run: in another epoch another rank may meet the same.
    /// - Parameter bad: those this rank met; all ranks call, in step.
    /// - Returns: how many are new to the run.
    private func report(bad: [BadSample]) throws -> Int {
        let own = bad.map(\.description).joined(separator: "\n")
        var new = 0
        for (rank, texts) in try communicator.allgather(Array(own.utf8)).enumerated() {
            for text in String(decoding: texts, as: UTF8.self).split(separator: "\n")
            where skippedNames.insert(String(text)).inserted {
                console.warning("rank \(rank): skipped \(text)")
                new += 1
            }
        }
        return new
    }

    // MARK: What rank 0 says and writes

    private func log(_ statistics: StepStatistics, inside: CollapseMonitor.Inside?, isDue: Bool) throws {
        guard communicator.rank == 0 || isDue else { return }
        let perStep = timer.elapsed / Double(timer.steps)
        let rate = timer.samples / timer.elapsed
        let left = perStep * Double(totalSteps - step)
        console.progress(
            "step \(step)/\(totalSteps)  loss \(format("%.1f", statistics.loss))"
                + "  joint error \(format("%.1f", statistics.jointErrorMillimetres)) mm"
                + "  \(format("%.0f", rate)) samples/s  \(format("%.0f", perStep * 1000)) ms/step"
                + "  \(duration(left)) left", isDue: isDue)
        guard isDue else { return }
        let milliseconds = 1000 / Double(timer.steps)
        var fields: [(String, MetricValue)] = [
            ("step", .integer(step)),
            ("epoch", .number(Double(step) * Double(configuration.batchSize) / Double(data.training.count))),
            ("loss", .number(statistics.loss)), ("joint_error_mm", .number(statistics.jointErrorMillimetres)),
            ("samples_per_second", .number(rate)), ("step_ms", .number(perStep * 1000)),
            ("wait_ms", .number(timer.waiting * milliseconds)), ("forward_ms", .number(timer.forward * milliseconds)),
            ("backward_ms", .number((timer.backward - timer.exchange) * milliseconds)),
            ("exchange_ms", .number(timer.exchange * milliseconds)),
            ("exchange_bytes", .number(Double(timer.bytes) / Double(timer.steps))),
            ("zero_output_share", .number(statistics.zeroOutputShare)),
            ("output_gradient_norm", .number(statistics.outputGradientNorm)),
            ("mean_squared_label", .number(statistics.meanSquaredLabel)),
        ]
        if let inside {
            fields += [
                ("hidden_gradient_norm", .number(inside.hiddenGradientNorm)),
                ("dead_unit_share", .number(inside.deadUnitShare)), ("dead_pooled_share", .number(inside.deadPooledShare)),
            ]
        }
        if skippedSamples > 0 { fields.append(("skipped_samples", .integer(skippedSamples))) }
        try write(fields)
        timer.restart()
    }

    private func validate() throws {
        let result = try evaluator.validate(network)
        if try communicator.maximum(Double(evaluator.newlyBad.count)) > 0 { _ = try report(bad: evaluator.newlyBad) }
        state.validation = result
        state.validationStep = step
        console.line(
            "step \(step): held-out joint error \(format("%.2f", result.jointErrorMillimetres)) mm over \(result.frames) "
                + "frames, loss \(format("%.1f", result.loss)), all joints within 40 mm in "
                + "\(format("%.1f", result.success40 * 100))% of them")
        try write([
            ("step", .integer(step)),
            (
                "validation",
                .object([
                    ("frames", .integer(result.frames)), ("loss", .number(result.loss)),
                    ("joint_error_mm", .number(result.jointErrorMillimetres)), ("success_20mm", .number(result.success20)),
                    ("success_40mm", .number(result.success40)), ("success_80mm", .number(result.success80)),
                ])
            ),
        ])
    }

    private func write(_ fields: [(String, MetricValue)]) throws {
        try communicator.together { try directory.metrics?.write(fields) }
    }

    private func save() throws {
        guard lastSaved != step else { return }
        let path = try checkpoints.save(step: step, state: state)
        lastSaved = step
        console.line("checkpoint: \(path)")
    }

    /// What came of it, against what a network must beat.
    private func conclude() throws {
        if state.validationStep != step { try validate() }
        let baseline = evaluator.constant(data.meanLabel())
        // A resumed validation is known to rank 0 alone, which is the one that speaks.
        if let result = state.validation {
            let share = result.jointErrorMillimetres / baseline.jointErrorMillimetres
            console.line(
                format("held-out joint error: %.2f mm", result.jointErrorMillimetres)
                    + format("; always predicting the mean label: %.2f mm", baseline.jointErrorMillimetres)
                    + format(" (%.0f%% of it)", share * 100))
        }
        if skippedSamples + data.skipped > 0 {
            console.line("samples left out because they could not be read: \(data.skipped) before, \(skippedSamples) in training")
        }
        try write([
            ("step", .integer(step)),
            (
                "mean_label_baseline",
                .object([
                    ("loss", .number(baseline.loss)), ("joint_error_mm", .number(baseline.jointErrorMillimetres)),
                ])
            ),
        ])
    }

    private func duration(_ seconds: Double) -> String {
        let whole = Int(min(seconds, 1e9))
        if whole < 60 { return "\(whole) s" }
        if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
        return "\(whole / 3600) h \(whole % 3600 / 60) min"
    }
}
