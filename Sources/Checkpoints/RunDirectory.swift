package import Glibc

/// The directory of one run, held by this process alone until it is closed:
/// `config.yaml`, `metrics.jsonl`, `checkpoints/`, and, while the run lasts, `lock`.
package final class RunDirectory {
    /// What to do with a directory that already holds a run.
    package enum ExistingRun: Sendable {
        /// Leave it alone: the new run gets an error.
        case refuse
        /// Go on with it.
        case resume
    }

    package let path: String
    /// Whether the directory held a run's files when it was opened.
    package let holdsRun: Bool
    private var lock: RunLock?

    /// The resolved configuration.
    package var configurationPath: String { "\(path)/config.yaml" }
    /// One line a logged step.
    package var metricsPath: String { "\(path)/metrics.jsonl" }
    /// The directory of a `CheckpointStore`.
    package var checkpointsPath: String { "\(path)/checkpoints" }
    /// The holder found dead, when its lock was taken over.
    package var takenOverFrom: LockRecord? { lock?.takenOverFrom }

    /// The mode of a run directory that dtrain makes: its owner's alone.
    package static let mode: mode_t = 0o700

    /// Creates the directory if need be, proves that it can be written, and locks it.
    ///
    /// One that is made is for its owner alone. One that is there keeps its mode, so that a group can share it; what is written
    /// into it goes by the umask.
    ///
    /// Files that no run writes are left alone and do not matter.
    /// - Throws: `.locked` naming the holder, `.refused` for another run's files and for a directory that a stranger may have
    ///   put there, `.system` or `.missing` where it cannot be written.
    package init(_ path: String, existing: ExistingRun) throws(CheckpointError) {
        let trimmed = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        guard !trimmed.isEmpty else { throw CheckpointError(.refused, path: "\"\"", "is no name for a run directory") }
        self.path = trimmed
        try Directories.create(trimmed, mode: Self.mode)
        try DirectoryTrust.require(trimmed)
        let lock = try RunLock.acquire("\(trimmed)/lock")
        let found = try Self.runFiles(in: trimmed)
        holdsRun = !found.isEmpty
        if existing == .refuse, !found.isEmpty {
            throw CheckpointError(
                .refused, path: trimmed, "holds another run (\(found.joined(separator: ", ")))",
                hint: "resume it (--resume auto), or choose another directory (--run-dir)")
        }
        try Self.removeLeftovers(in: trimmed)
        self.lock = lock
    }

    /// Gives the lock back; the same happens when the object goes, and when the process ends in any way.
    package func close() {
        lock = nil
    }

    /// Files of a run, by name. An empty `checkpoints` does not count: there is nothing in it to lose.
    private static func runFiles(in path: String) throws(CheckpointError) -> [String] {
        var found: [String] = []
        for name in try Directories.names(in: path) ?? [] {
            switch name {
            case "config.yaml", "metrics.jsonl": found.append(name)
            case "checkpoints":
                let content = try Directories.names(in: "\(path)/\(name)") ?? []
                if content.contains(where: { !$0.hasPrefix(".") }) { found.append(name) }
            default: break
            }
        }
        return found
    }

    /// What a kill within `AtomicFile.write` left.
    private static func removeLeftovers(in path: String) throws(CheckpointError) {
        for name in try Directories.names(in: path) ?? [] {
            if ["config.yaml", "metrics.jsonl"].contains(where: { name.hasPrefix("\(AtomicFile.temporaryPrefix)\($0)-") }) {
                try Directories.remove("\(path)/\(name)")
            }
        }
    }
}
