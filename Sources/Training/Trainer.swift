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
    let configuration: RunConfiguration
    let communicator: any Communicator
    let console: Console
    let data: RunData
    let placement: Placement
    let directory: RunDirectoryHandle
    let team: WorkerTeam
    let network: HandNetwork
    let adam: Adam
    let exchange: any GradientExchange
    /// The rows of the large layer that this rank holds, if not all.
    let largeRows: [Range<Int>]?
    let loader: BatchLoader
    let evaluator: Evaluator
    let checkpoints: RunCheckpoints
    let watchdog: Watchdog
    let faults: Faults
    let replicas: ReplicaCheck
    let camera: Camera
    let totalSteps: Int
    let startedAt: Double
    /// Whether the run goes on from a checkpoint.
    let resumes: Bool

    var step: Int
    var state: TrainingState
    var monitor = CollapseMonitor()
    var timer = StepTimer()
    var finite: FiniteCheck
    var stops: StopRequests
    /// Why the ranks agreed to stop after this step.
    var stopReason: StopReason?
    /// Checksums of the lines that told of skipped samples.
    var skippedNames: Set<UInt64> = []
    var lastSaved = -1
    /// The metrics could not be written, and that was said.
    var metricsAreLate = false

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
        faults = try Faults(rank: communicator.rank)
        watchdog = try Watchdog.start(communicator: communicator, timeout: Double(configuration.stallTimeout))
        let placement = try Placement.decide(communicator: communicator, requested: configuration.threads)
        self.placement = placement
        data = try RunData.open(configuration, communicator: communicator, watchdog: watchdog)
        let shape = configuration.network(width: data.training.width, height: data.training.height)
        if let problem = shape.problem { throw TrainingFailure(problem) }

        var resolved = configuration
        if let epochs = configuration.epochs {
            resolved.steps = max(1, Int((epochs * Double(data.training.count) / Double(configuration.batchSize)).rounded(.up)))
        }
        resolved.threads = placement.threads
        totalSteps = resolved.steps

        let settings = resolved
        func makePlans(_ kind: ExchangeKind) -> (exchange: ExchangePlan, memory: MemoryPlan) {
            let exchange = ExchangePlan(
                kind, wire: settings.wire, network: shape,
                shard: (configuration.batchSize + communicator.size - 1) / communicator.size, rank: communicator.rank,
                ranks: communicator.size, threads: placement.threads)
            return (exchange, MemoryPlan(settings, network: shape, exchange: exchange))
        }
        // What no exchange could do without is checked before the exchanges are measured, which takes memory and time.
        let kinds = ExchangeKind.allCases.filter {
            $0 != .auto && $0.problem(network: shape, ranks: communicator.size) == nil
        }
        try MemoryCheck.run(needed: kinds.map { makePlans($0).memory.total }.min() ?? 0, communicator: communicator)
        let advice = try ExchangeAdvice.make(
            resolved, network: shape, data: data.training, placement: placement, communicator: communicator)
        resolved.exchange = advice.kind
        if let problem = advice.kind.problem(network: shape, ranks: communicator.size) { throw TrainingFailure(problem) }
        let (exchangePlan, plan) = makePlans(advice.kind)
        try MemoryCheck.run(needed: plan.total, communicator: communicator)
        state = TrainingState(
            network: shape, seed: resolved.seed, batchSize: resolved.batchSize, learningRate: resolved.learningRate,
            input: resolved.input, onBadSample: resolved.onBadSample,
            dataFingerprint: String(data.training.fingerprint, radix: 16),
            trainingSamples: data.training.count)
        directory = try RunDirectoryHandle(resolved, state: state, communicator: communicator)
        resolved.runDir = directory.path
        self.configuration = resolved

        stops = StopRequests(
            rank: communicator.rank, runDirectory: directory.path, timeLimit: resolved.timeLimit, startedAt: startedAt)

        // The loader's threads inherit this thread's affinity, so they start before the team is pinned; so does the writer's.
        let resumed = try Int(communicator.maximum(Double(directory.checkpoint?.step ?? -1)))
        resumes = resumed >= 0
        let first = max(0, resumed)
        step = first
        let training = data.training
        loader = try communicator.together {
            try plan.makeLoader(training, configuration: resolved, communicator: communicator, step: first)
        }
        let processors = placement.processors.isEmpty ? Processors.allowed() : placement.processors
        let writer = try communicator.together {
            communicator.rank == 0 ? try CheckpointWriter(processors: processors) : nil
        }
        team = WorkerTeam(
            count: placement.threads, processors: placement.processors, spins: placement.isOversubscribed ? 0 : 20_000)
        let arena = try communicator.together { try Arena(capacity: plan.arena) }
        arena.touch(team: team)
        network = HandNetwork(
            shape, maximumSamples: plan.shard, team: team, largeRows: exchangePlan.largeRowCount, arena: arena)
        adam = Adam(
            configuration: resolved.adam, weights: network.parameters, table: network.table, holding: exchangePlan.held,
            arena: arena)
        let (divided, optimizer, workers) = (network, adam, team)
        exchange = try communicator.together {
            try exchangePlan.make(
                adam: optimizer, network: divided, communicator: communicator, team: workers, arena: arena)
        }
        largeRows = exchangePlan.largeRows
        evaluator = Evaluator(
            source: data.heldOut,
            frames: resolved.validateFrames == 0
                ? data.heldOut.count : min(resolved.validateFrames, data.heldOut.count),
            conditioning: resolved.input, policy: resolved.onBadSample, maximumSamples: plan.shard, team: team,
            communicator: communicator, watchdog: watchdog, arena: arena)
        checkpoints = RunCheckpoints(
            store: directory.store, network: network, adam: adam, ownership: exchangePlan.ownership,
            communicator: communicator, team: team, writer: writer, faults: faults, watchdog: watchdog)
        finite = FiniteCheck(network: network, source: data.training, communicator: communicator)
        replicas = ReplicaCheck(
            exchangePlan.ownership.replicated(
                weights: network.parameters, firstMoments: adam.firstMoments, secondMoments: adam.secondMoments),
            team: team)
        camera = Camera.icvl(width: data.training.width, height: data.training.height)
        try introduce(plan, advice)
        // What was found here would be wrong elsewhere: automatic stays automatic.
        var written = resolved
        written.threads = configuration.threads
        written.exchange = configuration.exchange
        // Permission to change something is given once.
        written.allowChange = .none
        try begin { try configurationText(written) }
        if !resumes && !advice.predictions.isEmpty {
            write([
                ("step", .integer(step)), ("exchange", .text(resolved.exchange.rawValue)),
                ("predicted", .object(advice.predictions.map { ($0.kind.rawValue, $0.metrics) })),
            ])
        }
    }

    // MARK: Before the first step

    /// Says what will run, where, on what.
    private func introduce(_ plan: MemoryPlan, _ advice: ExchangeAdvice) throws {
        console.line(
            "dtrain: preset \(configuration.preset.rawValue), output \(configuration.output.rawValue), "
                + "\(network.configuration.table.valueCount) parameters, global batch \(configuration.batchSize), \(totalSteps) steps")
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
        for line in advice.lines { console.line(line) }
        if let warning = placement.warning { console.warning(warning) }
        if !faults.isEmpty { console.warning("DTRAIN_FAULT is set: this run is made to fail, for a test") }
        console.line("run directory: \(directory.path)")
    }

    /// Initial weights, or those of the checkpoint that the run goes on from; then the run directory is this run's.
    /// - Parameter configurationText: what `config.yaml` is to hold.
    private func begin(configurationText: () throws -> String) throws {
        let checkpoint = directory.checkpoint
        if !resumes {
            network.configuration.initialize(
                network.parameters, seed: configuration.seed, team: team,
                meanOutput: configuration.outputBias == .mean ? data.meanLabel() : nil, largeRows: largeRows)
        } else {
            let saved = try communicator.together { try checkpoint?.training(as: TrainingState.self) }
            state.validation = saved?.validation
            // All ranks must know whether the last step was validated: they validate together or not at all.
            let validated = try Int(communicator.maximum(Double(saved?.validationStep ?? -1)))
            state.validationStep = validated < 0 ? nil : validated
            state.skippedSamples = saved?.skippedSamples
            state.skippedSampleNames = saved?.skippedSampleNames
            skippedNames = Set(saved?.skippedSampleNames ?? [])
            state.skippedSteps = saved?.skippedSteps
            try checkpoints.load(checkpoint)
            // Rank 0 alone knows of steps that Adam did not make.
            adam.restore(step: try Int(communicator.maximum(Double(checkpoint == nil ? 0 : saved?.optimizerSteps ?? step))))
            lastSaved = step
        }
        try finite.begin(team: team)
        checkpoints.begin(step: step)
        if (step / configuration.checkpointEvery + 1) * configuration.checkpointEvery < totalSteps { checkpoints.prepareCopies() }
        let aside = try communicator.together { try directory.begin(configurationText: configurationText()) }
        for path in aside { console.line("note: set aside: \(path)") }
        if resumes {
            console.line("resumed: \(checkpoint?.path ?? ""), step \(step)")
        } else if configuration.saveInitial {
            try save(isLast: false)
        }
        console.line(format("ready after %.1f s", Stopwatch.now - startedAt))
    }
}
