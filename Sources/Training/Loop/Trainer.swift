import Checkpoints
package import Collectives
import Diagnosis
import Exchange
import Glibc
import HandData
import Kernels
import Layers
import Memory
import Networks
import Optimizers
import Planning
import System
import Telemetry

/// The training loop of one rank. All ranks run it in lockstep; rank 0 speaks and writes.
package final class Trainer {
    let configuration: RunConfiguration
    let communicator: any Communicator
    let console: Console
    let data: RunData
    let placement: Placement
    let directory: RunDirectoryHandle
    let team: WorkerTeam
    let model: RunModel
    let policy: UpdatePolicy
    let replica: Replica
    var network: Network { replica.network }
    var optimizer: any Optimizer { replica.optimizer }
    /// Averaged weights, where the run has them.
    var average: AveragedWeights? { replica.average }
    var exchange: any GradientExchange { replica.exchange }
    /// Steps of an epoch, a fraction.
    let stepsPerEpoch: Double
    let division: Division
    let loader: BatchLoader
    let evaluator: Evaluator
    let checkpoints: RunCheckpoints
    let watchdog: Watchdog
    let supervision: Supervision?
    /// On rank 0.
    private(set) var savingNotice: SavingNotice?
    let faults: Faults
    let replicas: ReplicaCheck
    let camera: Camera
    let totalSteps: Int
    let startedAt: Double
    /// Whether the run goes on from a checkpoint.
    let resumes: Bool

    var step: Int
    var state: TrainingState
    var collapse = CollapseMonitor()
    var diagnosis: TrainingDiagnosis
    var timer = StepTimer()
    var pace = PaceMeter()
    /// What the layers were seen to do in the step under way, where they were looked into.
    var seenInside: (units: [(layer: String, dead: Double)], maps: [(layer: String, saturated: Double)])?
    var finite: FiniteCheck
    var stops: StopRequests
    /// Why the ranks agreed to stop after this step.
    var stopReason: StopReason?
    /// Checksums of the lines that told of skipped samples.
    var skippedNames: Set<UInt64> = []
    var lastSaved = -1
    /// Steps in a row without a sample that can be read.
    var emptySteps = 0
    /// Held-out frames that the last validation of this process could read.
    var validatedFrames: Int?
    /// The checkpoint that the run goes on from has no held-out error, though the step is one to validate: a frame that could not be
    /// read had ended the run there. The same on all ranks.
    private(set) var lacksValidation = false
    private var foundMeanLabel: [Float]?
    /// Starts, warnings and ends, for the report; on rank 0.
    let events = RunEventLog()
    /// What the view on a terminal shows of the steps before.
    let live = LiveHistory()
    /// With `--trace`.
    var trace: TraceRun?
    /// On rank 0, with `--tensorboard`.
    var tensorBoard: TensorBoardWriter?
    var tensorBoardIsLate = false
    /// The step of the last picture of predictions.
    var picturedStep = 0
    /// The metrics could not be written, and that was said.
    var metricsAreLate = false

    /// Prepares a run: data, memory, run directory, initial or resumed weights.
    /// - Parameters:
    ///   - configuration: has no `problem`.
    ///   - notes: lines for the user about what was found before.
    ///   - configurationText: turns the resolved configuration into what `config.yaml` holds.
    ///   - supervision: what `Supervision.begin` gave.
    ///   - startedAt: `Stopwatch.now` at the start of the process.
    /// - Throws: `TrainingFailure`, the same on all ranks; `CollectiveError`.
    package init(
        _ configuration: RunConfiguration, communicator: any Communicator, supervision: Supervision?, startedAt: Double,
        notes: [String] = [],
        configurationText: (RunConfiguration) throws -> String
    ) throws {
        self.communicator = communicator
        self.startedAt = startedAt
        self.supervision = supervision
        let terminal = Terminal.ofStandardOutput()
        console = Console(isQuiet: communicator.rank != 0, terminal: terminal)
        if communicator.rank == 0 {
            console.onWarning = { [events, live] in
                events.warn($0)
                live.warning = $0
            }
        }

        if configuration.batchSize < communicator.size {
            throw TrainingFailure(
                "a global batch of \(configuration.batchSize) is smaller than the \(communicator.size) ranks; "
                    + "hint: --batch-size \(communicator.size) or more, or fewer ranks")
        }
        faults = try Faults(rank: communicator.rank)
        watchdog = try Watchdog.start(
            communicator: communicator, timeout: Double(configuration.stallTimeout), supervision: supervision)
        var placement = try Placement.decide(communicator: communicator, requested: configuration.threads)
        data = try RunData.open(configuration, communicator: communicator, watchdog: watchdog)
        let model = try RunModel(configuration, width: data.training.width, height: data.training.height)
        self.model = model
        let policy = try model.policy(configuration)
        self.policy = policy
        let accumulate = configuration.model.accumulate
        stepsPerEpoch = Double(data.training.count) / Double(configuration.batchSize * accumulate)

        var resolved = configuration
        if let epochs = configuration.epochs {
            resolved.steps = max(1, Int((epochs * stepsPerEpoch).rounded(.up)))
        }
        totalSteps = resolved.steps

        var notes = notes
        let schedule = configuration.model.schedule
        if let problem = schedule.problem(stepsPerEpoch: stepsPerEpoch, totalSteps: totalSteps) {
            // A preset's own is made for long runs; a trial of a few steps ends within its warm-up.
            guard schedule == ModelSettings(preset: configuration.preset).schedule else {
                throw TrainingFailure(problem, exitCode: 64)
            }
            notes.append("the warm-up of the preset's schedule '\(schedule)' does not end in \(totalSteps) steps")
        }
        let settings = resolved
        let frame = (width: data.training.width, height: data.training.height)
        var setting = ExchangePlan.Setting(
            network: model.description, window: model.window, policy: policy, optimizer: resolved.optimizer, wire: resolved.wire,
            accumulate: accumulate, shard: (configuration.batchSize + communicator.size - 1) / communicator.size)
        var mostThreads = try Int(communicator.maximum(Double(placement.threads)))
        func makePlans(_ kind: ExchangeKind) -> (exchange: ExchangePlan, memory: MemoryPlan) {
            let exchange = ExchangePlan(
                kind, setting, rank: communicator.rank, ranks: communicator.size, threads: placement.threads,
                mostThreads: mostThreads, packsByNode: communicator.packsByNode)
            return (exchange, MemoryPlan(settings, model: model, frame: frame, exchange: exchange))
        }
        // What no exchange could do without is checked before the exchanges are measured, which takes memory and time.
        let kinds = ExchangeKind.allCases.filter { $0.problem(setting, ranks: communicator.size) == nil }
        if configuration.threads == 0 {
            let needed = kinds.map { makePlans($0).memory.total }.min() ?? 0
            placement = placement.limited(to: MemoryCheck.threads(holding: needed))
            mostThreads = try Int(communicator.maximum(Double(placement.threads)))
        }
        self.placement = placement
        resolved.threads = placement.threads
        try MemoryCheck.run(
            needed: kinds.map { makePlans($0).memory.total }.min() ?? 0, threads: placement.threads,
            communicator: communicator)
        let advice = try ExchangeAdvice.make(
            resolved, model: model, setting: setting, data: data.training, placement: placement, communicator: communicator)
        resolved.exchange = .kind(advice.kind)
        setting.divided = advice.divided
        if let problem = advice.kind.problem(setting, ranks: communicator.size) { throw TrainingFailure(problem) }
        diagnosis = TrainingDiagnosis(try Self.facts(resolved, communicator, placement, advice))
        let (exchangePlan, plan) = makePlans(advice.kind)
        try MemoryCheck.run(needed: plan.total, threads: placement.threads, communicator: communicator)
        state = TrainingState(
            network: model.window, architecture: model.window == nil ? model.description : nil,
            settings: TrainingState.compared(resolved), averagedUpdates: resolved.model.averaging == nil ? nil : 0,
            frames: FrameFormat(
                width: frame.width, height: frame.height, camera: model.pipeline.camera(width: frame.width, height: frame.height)),
            dataFingerprint: data.fingerprint,
            trainingSamples: data.training.count)
        directory = try RunDirectoryHandle(
            resolved, state: state, evaluation: data.evaluation(resolved),
            subject: SnapshotSubject(
                table: exchangePlan.ownership.table, stateNames: resolved.optimizer.stateNames, hasAverage: resolved.model.averaging != nil),
            communicator: communicator, console: console, watchdog: watchdog)
        resolved.runDir = directory.path
        self.configuration = resolved

        stops = StopRequests(
            rank: communicator.rank, runDirectory: directory.path, timeLimit: resolved.timeLimit, startedAt: startedAt)

        // The loader's threads inherit this thread's affinity, so they start before the team is pinned; so does the writer's.
        let resumed = try Int(communicator.maximum(Double(directory.checkpoint?.step ?? -1)))
        resumes = resumed >= 0
        let first = max(0, resumed)
        step = first
        let traced = resolved.trace.steps(after: first)
        trace = traced.map { TraceRun(steps: $0) }
        if resolved.trace != .none, traced.map({ $0.lowerBound > settings.steps }) ?? true {
            notes.append("--trace \(resolved.trace): this start makes none of these steps")
        }
        let training = data.training
        let trainingPipeline = model.pipeline(centre: data.centres.training, isVaried: true)
        loader = try communicator.together {
            try plan.makeLoader(
                training, pipeline: trainingPipeline, configuration: resolved, communicator: communicator, step: first)
        }
        let processors = placement.processors.isEmpty ? Processors.allowed() : placement.processors
        let writer = try communicator.together {
            communicator.rank == 0 || !exchangePlan.ownership.isReplicated ? try CheckpointWriter(processors: processors) : nil
        }
        team = try communicator.together {
            try WorkerTeam(
                count: placement.threads, processors: placement.processors, spins: placement.isOversubscribed ? 0 : 20_000)
        }
        let arena = try communicator.together { try Arena(capacity: plan.arena) }
        let workers = team
        let replica = try communicator.together {
            try Replica(
                exchangePlan, averaging: settings.model.averaging, communicator: communicator, team: workers, arena: arena)
        }
        self.replica = replica
        replica.network.pass.seed = resolved.seed
        division = exchangePlan.division
        evaluator = Evaluator(
            source: data.heldOut, frames: data.heldOutFrames(resolved),
            pipeline: model.pipeline(centre: data.centres.heldOut, isVaried: false), loss: model.description.loss, policy: resolved.onBadSample,
            maximumSamples: plan.shard, team: team,
            communicator: communicator, watchdog: watchdog, arena: arena)
        checkpoints = RunCheckpoints(
            store: directory.store, network: replica.network, optimizer: replica.optimizer, average: replica.average,
            ownership: exchangePlan.ownership,
            communicator: communicator, team: team, writer: writer, faults: faults, watchdog: watchdog,
            promised: plan.cache * communicator.place.localSize)
        finite = FiniteCheck(network: replica.network, source: data.training, communicator: communicator)
        replicas = ReplicaCheck(
            exchangePlan.ownership.replicated(
                TensorBases(
                    weights: replica.network.parameters, states: replica.optimizer.memory.states, average: replica.average?.values)),
            team: team)
        camera = model.pipeline.camera(width: data.training.width, height: data.training.height)
        if communicator.rank == 0 {
            let (watch, run) = (watchdog, directory.path)
            savingNotice = try SavingNotice(
                supervision: supervision, isWatched: terminal != nil,
                stepUnderWay: { watch.isWhole ? watch.stepToStopAfter : nil },
                note: { RunLock.note(saving: $0, lock: "\(run)/lock") })
        }
        try introduce(plan, advice, notes)
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

    /// Initial weights, or those of the checkpoint that the run goes on from; then the run directory is this run's.
    /// - Parameter configurationText: what `config.yaml` is to hold.
    private func begin(configurationText: () throws -> String) throws {
        let checkpoint = directory.checkpoint
        if !resumes {
            try initialize()
        } else {
            let saved = try communicator.together { try checkpoint?.training(as: TrainingState.self) }
            // An error over other frames is none to go on with.
            let isKept = !directory.evaluatesOtherFrames
            state.validation = isKept ? saved?.validation : nil
            // All ranks must know whether the last step was validated: they validate together or not at all.
            let validated = try Int(communicator.maximum(Double(isKept ? saved?.validationStep ?? -1 : -1)))
            state.validationStep = validated < 0 ? nil : validated
            let isCompared = try communicator.maximum(isKept ? 0 : 1) == 0
            lacksValidation = isCompared && isValidationDue && state.validationStep != step
            // Likewise when to stop early.
            let best = try communicator.maximum(isKept ? saved?.bestError ?? -1 : -1)
            let since = try Int(communicator.maximum(Double(isKept ? saved?.validationsSinceBest ?? -1 : -1)))
            (state.bestError, state.validationsSinceBest) = (best < 0 ? nil : best, since < 0 ? nil : since)
            state.skippedSamples = saved?.skippedSamples
            state.skippedSampleNames = saved?.skippedSampleNames
            skippedNames = Set(saved?.skippedSampleNames ?? [])
            state.skippedSteps = saved?.skippedSteps
            try checkpoints.load(checkpoint)
            // Rank 0 alone knows of steps that Adam did not make.
            optimizer.restore(step: try Int(communicator.maximum(Double(checkpoint == nil ? 0 : saved?.optimizerSteps ?? step))))
            average?.restore(updates: try Int(communicator.maximum(Double(saved?.averagedUpdates ?? 0))))
            lastSaved = step
        }
        network.weightsChanged()
        try finite.begin(team: team)
        checkpoints.begin(step: step)
        if (step / configuration.checkpointEvery + 1) * configuration.checkpointEvery < totalSteps { try checkpoints.prepareCopies() }
        let aside = try communicator.together { try directory.begin(configurationText: configurationText()) }
        if communicator.rank == 0 { events.begin(path: "\(directory.path)/events.jsonl", step: step) }
        if configuration.tensorboard { try communicator.together { try beginTensorBoard() } }
        if communicator.rank == 0 && showsPredictions { evaluator.show(PredictionSheet.frames) }
        for path in aside { console.line("note: set aside: \(path)") }
        if let note = try checkpoints.beginSnapshots(configuration.snapshotEvery, run: directory.path, step: step) { console.line(note) }
        if resumes {
            console.line("resumed: \(checkpoint?.path ?? ""), step \(step)")
        } else if configuration.saveInitial {
            try save(isLast: false)
        }
        console.line(format("ready after %.1f s", Stopwatch.now - startedAt))
    }

    private func initialize() throws {
        var poses: PoseStatistics?
        if model.description.needsPoses {
            let count = model.description.declarations.first { $0.initial == .poseComponents }?.shape[0] ?? 0
            poses = try communicator.together {
                try PosePrincipalComponents.find(
                    data.training, pipeline: model.pipeline(centre: data.centres.training, isVaried: true), seed: configuration.seed, count: count,
                    team: team)
            }
        }
        // Crops' labels are about 0 by themselves.
        let isMean = configuration.outputBias == .mean && model.pipeline.crop == nil
        model.description.initialize(
            network.parameters, seed: configuration.seed, team: team, meanOutput: isMean ? try meanLabel() : nil, poses: poses,
            division: division, rank: communicator.rank, table: network.table)
        average?.begin(team: team)
    }

    /// What always predicting the same would give: the mean label, in the network's units. All ranks call it; found once.
    func meanLabel() throws -> [Float] {
        if let foundMeanLabel { return foundMeanLabel }
        let found = try findMeanLabel()
        foundMeanLabel = found
        return found
    }

    private func findMeanLabel() throws -> [Float] {
        guard model.pipeline.crop != nil else { return try data.meanLabel(communicator: communicator, team: team) }
        return PosePrincipalComponents.mean(
            data.training, pipeline: model.pipeline(centre: data.centres.training, isVaried: false), seed: configuration.seed,
            team: team)
    }
}
