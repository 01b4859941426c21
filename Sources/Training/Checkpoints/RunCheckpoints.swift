import Checkpoints
import Collectives
import Exchange
import Glibc
import Memory
import Networks
import Optimizers
import System
import Telemetry

/// Checkpoints of a run: rank 0 writes and reads. What it does not hold comes from its owners, and goes to them, in pieces; so a
/// checkpoint is the same whatever the exchange and the number of ranks.
///
/// Where rank 0 holds all of every tensor it copies them and goes on while a thread writes the copy. Where tensors lie in pieces
/// on several ranks each copies its own, and the copies travel to rank 0 beside training (`CheckpointParts`). All ranks wait for the
/// last checkpoint, and for each where memory is short for copies: then pieces are streamed from the tensors themselves.
final class RunCheckpoints {
    /// What `save` did, for the metrics.
    struct Pause {
        /// Seconds the step waited, in all.
        let seconds: Double
        /// Of these, for the checkpoint before.
        let waited: Double
        /// Whether the writing goes on beside training.
        let isInBackground: Bool
    }

    /// Seconds between two looks at what travels, while nothing else is done.
    private static let lookEvery = 200e-6
    /// So many checkpoints in a row that cannot be written end the run.
    private static let mostFailures = 3

    private let store: CheckpointStore
    private let network: Network
    /// In the nodes' memory, where the run keeps any.
    private(set) var snapshots: NodeSnapshots?
    private let stateNames: [String]
    private let bases: TensorBases
    private let ownership: Ownership
    private let stream: TensorStream
    private let communicator: any Communicator
    private let team: WorkerTeam
    private let faults: Faults
    private let watchdog: Watchdog
    /// Bytes that the ranks of this node will yet take.
    private let promised: Int
    /// On rank 0, and wherever a copy's memory is to be made present.
    private let writer: CheckpointWriter?
    /// Where tensors lie on several ranks and there is memory for copies; on all ranks or on none.
    private var parts: CheckpointParts?

    private var copy: CheckpointCopy?
    private var hasNoMemory = false
    private var injected = 0
    private var failures = 0
    private var lastFailure: CheckpointError?
    private var news: [String] = []
    /// When training began or went on after the last checkpoint, and at which step.
    private var trainingSince: (time: Double, step: Int)?

    /// - Parameters:
    ///   - writer: on rank 0, and on all ranks where tensors lie on several.
    ///   - promised: bytes that the ranks of this node will yet take.
    init(
        store: CheckpointStore, network: Network, optimizer: any Optimizer, average: AveragedWeights?, ownership: Ownership,
        communicator: any Communicator, team: WorkerTeam, writer: CheckpointWriter?, faults: Faults, watchdog: Watchdog,
        promised: Int
    ) {
        self.store = store
        self.network = network
        stateNames = optimizer.stateNames
        bases = TensorBases(
            weights: network.parameters, states: optimizer.memory.states, average: average?.values)
        self.ownership = ownership
        stream = TensorStream(ownership: ownership, bases: bases, communicator: communicator)
        self.communicator = communicator
        self.team = team
        self.writer = writer
        self.faults = faults
        self.watchdog = watchdog
        self.promised = promised
    }

    deinit { parts?.close() }

    /// What rank 0 is to say, since it was last asked: checkpoints that were written, or could not be.
    func takeNews() -> [String] {
        noteOutcome()
        defer { news = [] }
        return news
    }

    /// Why the run must end, on rank 0: too many checkpoints in a row could not be written.
    var problem: String? {
        guard failures >= Self.mostFailures, let lastFailure else { return nil }
        return "\(failures) checkpoints in a row could not be written, the last because of \(lastFailure)"
    }

    /// Saves the state after `step`: at once if it is the last or memory is short, else beside training. All ranks call.
    /// - Parameter stepsLeft: until the next checkpoint, by which this one is to be written.
    /// - Returns: what it cost, on rank 0.
    /// - Throws: `CollectiveError`.
    func save(step: Int, state: TrainingState, isLast: Bool, stepsLeft: Int) throws -> Pause? {
        let start = Stopwatch.now
        try settle()
        noteOutcome()
        let waited = Stopwatch.now - start
        // What is not kept whole on rank 0 is copied by all ranks, or by none.
        let isStreamed = !ownership.isReplicated && parts == nil
        if isStreamed && communicator.rank > 0 { try stream.serve() }
        let arriving = try parts?.take(team: team)
        guard communicator.rank == 0, let writer else {
            if isLast { try settle() }
            return nil
        }
        let write = makeWrite(step: step, state: state)
        if isStreamed {
            try note(writeStreaming(write))
            return Pause(seconds: Stopwatch.now - start, waited: waited, isInBackground: false)
        }
        let own = CheckpointTensors(table: network.table, bases: bases)
        let copied = arriving ?? (isLast ? nil : copied(own))
        let interval = trainingSince.map { (start - $0.time) / Double(max(1, step - $0.step)) * Double(stepsLeft) }
        writer.start(write, of: copied ?? own, interval: trainingSince?.step == step ? nil : interval)
        let isInBackground = copied != nil && !isLast
        if !isInBackground { try settle() }
        trainingSince = (Stopwatch.now, step)
        return Pause(seconds: Stopwatch.now - start, waited: waited, isInBackground: isInBackground)
    }

    private func makeWrite(step: Int, state: TrainingState) -> CheckpointWrite {
        let injecting = max(0, min(faults.writeErrors(step: step) - injected, CheckpointWrite.tries))
        injected += injecting
        return CheckpointWrite(
            store: store, step: step, state: state,
            score: Self.score(state, step: step), table: ownership.table, stateNames: stateNames,
            hasAverage: bases.average != nil,
            faults: injecting)
    }

    /// Writes pieces as their owners send them; all ranks wait.
    private func writeStreaming(_ write: CheckpointWrite) throws -> CheckpointWrite.Outcome {
        let outcome = try write.run(advanced: watchdog.beat) { kind, index, writer in
            try stream.collect(kind, parameter: index) {
                try writer.append($0)
                watchdog.beat()
            }
        }
        try stream.end()
        return outcome
    }

    /// Waits, asleep, until what was saved last is written and has let all ranks go.
    private func settle() throws(CollectiveError) {
        guard let parts else {
            writer?.wait { watchdog.beat() }
            return
        }
        try writer?.wait(every: Self.lookEvery, advanced: watchdog.beat) { () throws(CollectiveError) in try advance() }
        while !parts.isIdle {
            usleep(UInt32(Self.lookEvery * 1e6))
            if try advance() { watchdog.beat() }
        }
    }

    /// Moves along what travels beside training, without waiting. To be called often.
    /// - Returns: whether it went on.
    @discardableResult func advance() throws(CollectiveError) -> Bool {
        guard let parts else { return false }
        return try parts.poll { !(writer?.isBusy ?? false) }
    }

    private func noteOutcome() { if let outcome = writer?.takeOutcome() { note(outcome) } }

    /// Waits until what was saved last is on disk.
    /// - Throws: `TrainingFailure`, the same on all ranks, when it could not be written.
    func finish() throws {
        try settle()
        noteOutcome()
        try communicator.throwAgreed(
            failures == 0 ? nil : lastFailure.map { "the last checkpoint could not be written: \($0)" })
    }

    /// Training goes on from `step`, now.
    func begin(step: Int) { trainingSince = (Stopwatch.now, step) }

    /// Makes room for the copies from which checkpoints will be written beside training, so that the first need not wait for it.
    /// All ranks call it.
    func prepareCopies() throws {
        guard ownership.isReplicated else { return try prepareParts() }
        guard let writer, let arena = room(for: network.table)?.arena else { return }
        writer.populate(arena)
    }

    private func prepareParts() throws {
        let parts = TensorParts(
            ownership, ranks: communicator.size, states: stateNames.count, hasAverage: bases.average != nil)
        let needed = faults.has(.shortMemory) ? nil : CheckpointParts.bytes(parts, rank: communicator.rank)
        guard try MemoryCheck.hasRoom(for: needed, promised: promised, communicator: communicator) else { return noteShortMemory() }
        let messages = try communicator.sideMessages()
        let made = try? CheckpointParts(parts, bases: bases, communicator: communicator, messages: messages)
        guard try communicator.maximum(made == nil ? 1 : 0) == 0, let made else { return noteShortMemory() }
        self.parts = made
        writer?.populate(made.arena)
        communicator.meanwhile = { [weak self] () throws(CollectiveError) in try self?.advance() }
    }

    private func noteShortMemory() {
        news.append("note: memory is short for a copy of the weights, so training waits while a checkpoint is written")
    }

    private func copied(_ tensors: CheckpointTensors) -> CheckpointTensors? {
        room(for: tensors.table)?.take(tensors, team: team)
    }

    private func room(for table: ParameterTable) -> CheckpointCopy? {
        if copy == nil && !hasNoMemory {
            copy = faults.has(.shortMemory) ? nil : CheckpointCopy(table: table, like: bases, promised: promised)
            hasNoMemory = copy == nil
            if hasNoMemory { noteShortMemory() }
        }
        return copy
    }

    private func note(_ outcome: CheckpointWrite.Outcome) {
        news += outcome.problems.map { "warning: \($0)" }
        switch outcome.result {
        case .success(let path):
            (failures, lastFailure) = (0, nil)
            news.append("checkpoint: \(path)" + format(", written in %.2f s", outcome.seconds))
        case .failure(let error):
            failures += 1
            lastFailure = error
            news.append(
                "warning: checkpoint of step \(outcome.step) could not be written: \(error); the checkpoints before are as they "
                    + "were, and training goes on; \(Self.mostFailures) such in a row end it")
        }
    }

    // MARK: Snapshots

    /// Takes the memory for snapshots; all ranks call, before the first step.
    /// - Parameter directory: the run's.
    /// - Returns: a line for the user, where there is no memory.
    func beginSnapshots(_ interval: SnapshotInterval, run directory: String, step: Int) throws -> String? {
        let subject = SnapshotSubject(table: ownership.table, stateNames: stateNames, hasAverage: bases.average != nil)
        let begun = try NodeSnapshots.begin(
            interval, run: directory, subject: subject, ownership: ownership, bases: bases, communicator: communicator, team: team,
            step: step)
        snapshots = begun.snapshots
        return begun.note
    }

    /// Takes a snapshot, where one is due after `step`; all ranks call.
    func keepSnapshot(step: Int, state: @autoclosure () -> TrainingState) throws -> NodeSnapshots.Cost? {
        guard let snapshots, snapshots.isDue(step) else { return nil }
        watchdog.enter(.checkpoint, step: step)
        let state = state()
        return try snapshots.take(step: step, state: state, score: Self.score(state, step: step), evaluation: store.evaluation)
    }

    private static func score(_ state: TrainingState, step: Int) -> Double? {
        state.validationStep == step ? state.validation?.jointErrorMillimetres : nil
    }

    // MARK: Loading

    /// Loads weights and moments from a checkpoint that rank 0 has opened.
    /// - Parameter checkpoint: on rank 0; nil elsewhere.
    func load(_ checkpoint: Checkpoint?) throws {
        try communicator.together {
            guard let checkpoint else { return try stream.serve() }
            let given = Result { try give(checkpoint) }
            try stream.end()
            try given.get()
        }
    }

    /// The step of the best checkpoint, on all ranks; nil where there is none.
    /// - Throws: `TrainingFailure`, on all ranks, where it cannot be opened.
    func bestStep() throws -> Int? {
        let own = try communicator.together { communicator.rank == 0 ? try store.best()?.step ?? -1 : -1 }
        let step = try Int(communicator.maximum(Double(own)))
        return step < 0 ? nil : step
    }

    /// Puts the weights of the best checkpoint in the place of the network's: averaged ones where the run averages. All ranks call.
    func loadBest() throws {
        try communicator.together {
            guard communicator.rank == 0 else { return try stream.serve() }
            let given = Result { try giveBest() }
            try stream.end()
            try given.get()
        }
    }

    private func giveBest() throws {
        let name = bases.average == nil ? CheckpointWrite.modelFile : CheckpointWrite.averageFile
        guard let checkpoint = try store.best() else { return }
        try checkpoint.verify(name)
        let reader = try checkpoint.reader(name)
        for (index, parameter) in ownership.table.parameters.enumerated() {
            try give(.weights, of: index, from: reader, named: parameter.name)
        }
    }

    private func give(_ checkpoint: Checkpoint) throws {
        let model = try checkpoint.reader(CheckpointWrite.modelFile)
        let optimizer = try checkpoint.reader(CheckpointWrite.optimizerFile)
        let average = bases.average == nil ? nil : try checkpoint.reader(CheckpointWrite.averageFile)
        for (index, parameter) in ownership.table.parameters.enumerated() {
            try give(.weights, of: index, from: model, named: parameter.name)
            if let average { try give(.average, of: index, from: average, named: parameter.name) }
            for (state, name) in stateNames.enumerated() {
                try give(.state(state), of: index, from: optimizer, named: "\(parameter.name).\(name)")
            }
        }
    }

    private func give(
        _ kind: Ownership.Kind, of index: Int, from reader: SafetensorsReader, named name: String
    ) throws {
        let parameter = ownership.table.parameters[index]
        guard let entry = reader.entry(named: name) else {
            throw TrainingFailure("\(reader.path): has no tensor '\(name)'; hint: is it a checkpoint of dtrain?")
        }
        guard entry.shape == parameter.shape else {
            throw TrainingFailure(
                "\(reader.path): '\(name)' has shape \(entry.shape), this network needs \(parameter.shape); "
                    + "hint: give the --pool, --hidden and image size it was trained with")
        }
        try stream.distribute(kind, parameter: index) {
            try reader.read(name, elements: $0, into: $1)
            watchdog.beat()
        }
    }
}
