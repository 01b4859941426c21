import Checkpoints
import Collectives
import Glibc
import Telemetry

/// The run directory as all ranks see it: rank 0 holds and writes it, the others know its path.
final class RunDirectoryHandle {
    let path: String
    let store: CheckpointStore
    /// The checkpoint the run goes on from; nil on other ranks, and where it starts anew.
    private(set) var checkpoint: Checkpoint?
    /// On rank 0.
    private(set) var metrics: MetricsWriter?
    /// Lines for the console about what was found.
    private(set) var notes: [String] = []
    /// Whether the checkpoint's held-out error is over other frames than this run's, on rank 0.
    private(set) var evaluatesOtherFrames = false
    private var directory: RunDirectory?

    /// Opens or creates the run directory on rank 0, and finds the checkpoint to go on from. What an earlier run left there
    /// stays as it is until `begin`, as this run may yet be refused.
    /// - Parameters:
    ///   - state: of the run that begins; the checkpoint must fit it.
    ///   - evaluation: the frames that scores are measured on.
    ///   - subject: the tensors of the run.
    /// - Throws: `TrainingFailure`, the same on all ranks.
    init(
        _ configuration: RunConfiguration, state: TrainingState, evaluation: String, subject: SnapshotSubject,
        communicator: any Communicator, console: Console, watchdog: Watchdog
    ) throws {
        let chosen = try communicator.together { communicator.rank == 0 ? try Self.choosePath(configuration) : "" }
        let path = try communicator.broadcast(chosen)
        self.path = path
        store = CheckpointStore(
            directory: "\(path)/checkpoints", keepNewest: configuration.keepCheckpoints, lock: "\(path)/lock",
            evaluation: evaluation)
        let opened = try communicator.together { () -> Opened? in
            guard communicator.rank == 0 else { return nil }
            if configuration.resume != "never" { Self.waitForSaving(path, console, watchdog) }
            return try Self.open(path, configuration, state: state, store: store)
        }
        directory = opened?.directory
        checkpoint = opened?.checkpoint
        notes = opened?.notes ?? []
        if configuration.resume == "auto" {
            try recover(configuration, state: state, evaluation: evaluation, subject, communicator, watchdog)
        }
        if let before = checkpoint?.state.evaluation, before != evaluation {
            evaluatesOtherFrames = true
            notes.append(
                "held-out errors were measured on \(before) so far, and are on \(evaluation) from now on: they are not compared, and "
                    + "'best' starts anew with the next one")
        }
    }

    /// Makes the newest snapshot that the nodes hold a checkpoint, where it is newer than the newest one on disk; all ranks call.
    private func recover(
        _ configuration: RunConfiguration, state: TrainingState, evaluation: String, _ subject: SnapshotSubject,
        _ communicator: any Communicator, _ watchdog: Watchdog
    ) throws {
        let onDisk = try Int(communicator.maximum(Double(checkpoint?.step ?? -1)))
        guard let recovery = try SnapshotRecovery(run: path, subject: subject, communicator: communicator, beat: { watchdog.beat() }),
            let step = recovery.newestStep, step > onDisk, let saved = try recovery.state(of: step, evaluation: evaluation)
        else { return }
        try state.requireSameRun(as: saved.state, of: "the snapshot of step \(step)", allowing: configuration.allowChange)
        let write = CheckpointWrite(
            store: store, step: step, state: saved.state, score: saved.score, table: subject.table, stateNames: subject.stateNames,
            hasAverage: subject.hasAverage, faults: 0)
        guard let outcome = try recovery.promote(step: step, write) else { return }
        switch outcome.result {
        case .success(let path):
            checkpoint = try? Checkpoint.open(path, verifying: .sizes)
            notes.append(
                "going on from the snapshot of step \(step) in the nodes' memory, now a checkpoint; the newest before it was "
                    + (onDisk < 0 ? "none" : "of step \(onDisk)"))
        case .failure(let error):
            notes.append("the snapshot of step \(step) in the nodes' memory could not be made a checkpoint: \(error)")
        }
    }

    /// Makes the directory this run's, on rank 0: checkpoints newer than the one it goes on from are set aside, later lines
    /// of `metrics.jsonl` are cut off, `config.yaml` is written. Called when nothing can refuse the run any more.
    /// - Returns: the checkpoints that were set aside.
    /// - Throws: `CheckpointError`, `MetricsWriter.WriteError`.
    func begin(configurationText: String) throws -> [String] {
        guard let directory else { return [] }
        let step = checkpoint?.step ?? 0
        let aside = try store.setAside(newerThan: checkpoint == nil ? -1 : step)
        _ = try JSONLines.truncate(directory.metricsPath, afterStep: step)
        try AtomicFile.write(directory.configurationPath, Array(configurationText.utf8))
        metrics = try MetricsWriter(path: directory.metricsPath)
        return aside
    }

    /// Gives the directory back.
    func close() { directory?.close() }

    /// Waits while another run saves its last step in this directory, as one does that outlives its mpirun.
    private static func waitForSaving(_ path: String, _ console: Console, _ watchdog: Watchdog) {
        var isSaid = false
        while let holder = RunLock.holder(of: "\(path)/lock"), let step = holder.saving, RunLock.isHeld("\(path)/lock"),
            StopSignal.number == 0
        {
            if !isSaid {
                console.line("waiting for the run before, which saves step \(step): \(holder)")
                isSaid = true
            }
            watchdog.beat()
            usleep(100_000)
        }
    }

    private struct Opened {
        let directory: RunDirectory
        let checkpoint: Checkpoint?
        let notes: [String]
    }

    private static func open(
        _ path: String, _ configuration: RunConfiguration, state: TrainingState, store: CheckpointStore
    ) throws -> Opened {
        var notes: [String] = []
        var given: Checkpoint?
        if configuration.resume != "auto" && configuration.resume != "never" {
            do {
                given = try Checkpoint.open(configuration.resume)
            } catch {
                throw error.hinting(
                    error.kind == .damaged
                        ? "--resume auto --run-dir RUN goes on from the newest checkpoint of the run that is whole"
                        : "--resume is auto, never, or a checkpoint: a directory step-...")
            }
            if let given { try state.requireSameRun(as: given, allowing: configuration.allowChange) }
        }
        let continues = configuration.resume == "auto" || runOf(checkpoint: configuration.resume) == path
        let directory: RunDirectory
        do {
            directory = try RunDirectory(path, existing: continues ? .resume : .refuse)
        } catch {
            throw error.hinting("choose another directory with --run-dir")
        }
        if let dead = directory.takenOverFrom { notes.append("the lock of a run that ended was taken over: \(dead)") }
        let unfinished = try store.prepare().filter { $0.hasPrefix(".tmp-step-") }
        notes += unfinished.map { name in
            let step = name.dropFirst(".tmp-step-".count).split(separator: "-").first.flatMap { Int($0) } ?? 0
            return "the run before was killed while it saved step \(step): that checkpoint is not complete, and was removed"
        }
        var checkpoint = given
        if configuration.resume == "auto" {
            let search = try store.newestGood()
            notes += search.damaged.map { "damaged checkpoint passed over: \($0)" }
            checkpoint = search.checkpoint
            if let checkpoint { try state.requireSameRun(as: checkpoint, allowing: configuration.allowChange) }
            if checkpoint == nil && !search.damaged.isEmpty {
                throw TrainingFailure(
                    notes + ["\(path): every checkpoint is damaged; hint: start anew with another --run-dir"])
            }
        }
        return Opened(directory: directory, checkpoint: checkpoint, notes: notes)
    }

    /// The run directory: the one given, that of the checkpoint given, or a new one named by the time.
    private static func choosePath(_ configuration: RunConfiguration) throws -> String {
        if let given = configuration.runDir { return given.count > 1 && given.hasSuffix("/") ? String(given.dropLast()) : given }
        if configuration.resume == "auto" {
            throw TrainingFailure("--resume auto needs to know the run; hint: give its --run-dir")
        }
        if let run = runOf(checkpoint: configuration.resume) { return run }
        var now = time(nil)
        var local = tm()
        localtime_r(&now, &local)
        func digits(_ value: Int32) -> String { format("%02d", value) }
        let stamp =
            "\(local.tm_year + 1900)\(digits(local.tm_mon + 1))\(digits(local.tm_mday))-"
            + "\(digits(local.tm_hour))\(digits(local.tm_min))\(digits(local.tm_sec))"
        mkdir("runs", 0o777)
        // Two starts within a second choose alike: who makes the directory has it.
        let name = "runs/\(stamp)-\(configuration.preset.rawValue)"
        var (path, number) = (name, 1)
        while mkdir(path, RunDirectory.mode) != 0, errno == EEXIST {
            number += 1
            path = "\(name)-\(number)"
        }
        return path
    }

    /// `RUN` of a path `RUN/checkpoints/step-...`, or nil.
    private static func runOf(checkpoint path: String) -> String? {
        let parts = (path.hasSuffix("/") ? path.dropLast() : path[...]).split(
            separator: "/", omittingEmptySubsequences: false)
        guard parts.count >= 3, parts[parts.count - 2] == "checkpoints" else { return nil }
        return parts.dropLast(2).joined(separator: "/")
    }
}

extension CheckpointError {
    /// The error with the flag that cures it, where it names no cure itself.
    fileprivate func hinting(_ hint: String) -> CheckpointError {
        self.hint == nil ? CheckpointError(kind, path: path, reason, hint: hint) : self
    }
}
