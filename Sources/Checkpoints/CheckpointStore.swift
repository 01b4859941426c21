import Glibc

/// The checkpoints of one run: `<directory>/step-00000100/{model.safetensors, optimizer.safetensors, state.json}`, and
/// `best`, a relative link to the best of them.
///
/// A checkpoint is whole or it does not exist: it is written under a temporary name, synced, and renamed. Removal is the
/// same backwards: a rename to a temporary name, then the deletion.
/// One process at a time may write (`RunDirectory` sees to it); any may read.
package struct CheckpointStore: Sendable {
    static let temporaryPrefix = ".tmp-"
    static let removingPrefix = ".removing-"
    static let replacedPrefix = ".replaced-"
    static let bestName = "best"

    package let directory: String
    /// How many of the newest checkpoints are kept, at least 1.
    package let keepNewest: Int
    /// The lock that the writer must hold, still, whenever it begins a checkpoint; nil: none is asked for.
    package let lock: String?
    /// What scores are measured on from now on; those of checkpoints that name another are not compared with them.
    package let evaluation: String?

    package init(directory: String, keepNewest: Int = 3, lock: String? = nil, evaluation: String? = nil) {
        self.evaluation = evaluation
        precondition(keepNewest >= 1, "keepNewest is \(keepNewest)")
        self.directory = directory
        self.keepNewest = keepNewest
        self.lock = lock
    }

    /// `step-00000100`: sorts by step up to eight digits.
    package static func name(ofStep step: Int) -> String {
        let digits = String(step)
        return "step-" + String(repeating: "0", count: max(0, 8 - digits.count)) + digits
    }

    static func step(ofName name: String) -> Int? {
        guard name.hasPrefix("step-"), let step = Int(name.dropFirst(5)), step >= 0, Self.name(ofStep: step) == name
        else { return nil }
        return step
    }

    /// Where the checkpoint of a step lies, or would lie.
    package func path(ofStep step: Int) -> String {
        "\(directory)/\(Self.name(ofStep: step))"
    }

    // MARK: Reading

    /// A checkpoint found in the directory, by its state and its files' sizes.
    package struct Listing: Sendable {
        package let step: Int
        package let path: String
        /// The checkpoint, or what is wrong with it at a first look (checksums of large files are not compared).
        package let content: Result<Checkpoint, CheckpointError>
    }

    /// All checkpoints, oldest first; none when there is no directory.
    ///
    /// - Throws: `.system` when the directory cannot be listed.
    package func list() throws(CheckpointError) -> [Listing] {
        try steps().map { step in
            let path = path(ofStep: step)
            let content = Result { () throws(CheckpointError) in try Checkpoint.open(path, verifying: .sizes) }
            return Listing(step: step, path: path, content: content)
        }
    }

    /// What `newestGood` found.
    package struct Search: Sendable {
        /// The newest checkpoint that is sound to the last bit; nil when there is none.
        package let checkpoint: Checkpoint?
        /// The newer ones that are not, newest first, each with its reason.
        package let damaged: [CheckpointError]
    }

    /// Walks from the newest checkpoint to older ones until one passes every check.
    ///
    /// - Throws: `.system` when the directory cannot be listed, or storage does not answer.
    package func newestGood() throws(CheckpointError) -> Search {
        var damaged: [CheckpointError] = []
        for step in try steps().reversed() {
            do throws(CheckpointError) {
                return Search(checkpoint: try Checkpoint.open(path(ofStep: step), verifying: .checksums), damaged: damaged)
            } catch {
                // An older one must not take the place of one that is whole behind a server that does not answer.
                if error.isStorageAway { throw error }
                damaged.append(error)
            }
        }
        return Search(checkpoint: nil, damaged: damaged)
    }

    /// The checkpoint that `best` points at, by its state and its files' sizes; nil where there is no such link, or nothing behind it.
    /// - Throws: as `Checkpoint.open`.
    package func best() throws(CheckpointError) -> Checkpoint? {
        let link = "\(directory)/\(Self.bestName)"
        return Directories.exists("\(link)/\(CheckpointState.fileName)") ? try Checkpoint.open(link, verifying: .sizes) : nil
    }

    private func steps() throws(CheckpointError) -> [Int] {
        (try Directories.names(in: directory) ?? []).compactMap(Self.step(ofName:)).sorted()
    }

    // MARK: Writing

    /// Creates the directory and clears what a killed writer left behind. Called once, by the run that holds the lock.
    ///
    /// - Returns: the names of the leftovers removed or put back.
    /// - Throws: `.system`.
    @discardableResult
    package func prepare() throws(CheckpointError) -> [String] {
        try Directories.create(directory)
        var leftovers: [String] = []
        for name in try Directories.names(in: directory) ?? [] {
            if name.hasPrefix(Self.replacedPrefix + "step-") {
                // Killed between the two renames of a replacement: the old one is the only one.
                let original = name.dropFirst(Self.replacedPrefix.count).split(separator: "-").prefix(2)
                    .joined(separator: "-")
                let target = "\(directory)/\(original)"
                if Self.step(ofName: original) != nil, !Directories.exists(target) {
                    try Directories.move("\(directory)/\(name)", to: target)
                } else {
                    try Directories.remove("\(directory)/\(name)")
                }
                leftovers.append(name)
            } else if [Self.temporaryPrefix + "step-", Self.temporaryPrefix + Self.bestName, Self.removingPrefix]
                .contains(where: name.hasPrefix)
            {
                try Directories.remove("\(directory)/\(name)")
                leftovers.append(name)
            }
        }
        return leftovers
    }

    /// Begins a checkpoint. One of the same step, if there is one, stays until the new one is whole.
    ///
    /// - Throws: `.system` when nothing can be written here; `.locked` when the directory is not the writer's any more.
    package func begin(step: Int) throws(CheckpointError) -> PendingCheckpoint {
        precondition(step >= 0, "step \(step)")
        if let lock { try RunLock.requireHeld(lock) }
        return try PendingCheckpoint(store: self, step: step)
    }

    /// Takes checkpoints newer than a step out of the series, as `aside-step-...`, or `aside-2-step-...` where that is there: a
    /// run that goes on from an older one makes its own, and must not find those of another course.
    ///
    /// - Returns: their new paths.
    /// - Throws: `.system`.
    @discardableResult
    package func setAside(newerThan step: Int) throws(CheckpointError) -> [String] {
        var moved: [String] = []
        for newer in try steps() where newer > step {
            let target = asidePath(Self.name(ofStep: newer))
            try Directories.move(path(ofStep: newer), to: target)
            moved.append(target)
        }
        if !moved.isEmpty {
            try Directories.synchronize(directory)
            _ = try linkBest(among: try sound())
        }
        return moved
    }

    /// Gives a finished temporary directory its name. Called by `PendingCheckpoint`.
    func publish(_ temporaryPath: String, step: Int) throws(CheckpointError) {
        let target = path(ofStep: step)
        guard Directories.exists(target) else {
            try Directories.move(temporaryPath, to: target)
            return try Directories.synchronize(directory)
        }
        let replaced = "\(directory)/\(Self.replacedPrefix)\(Self.name(ofStep: step))-\(Directories.uniqueSuffix)"
        try Directories.remove(replaced)
        try Directories.move(target, to: replaced)
        do throws(CheckpointError) {
            try Directories.move(temporaryPath, to: target)
        } catch {
            try Directories.move(replaced, to: target)
            throw error
        }
        try Directories.synchronize(directory)
        // The new one is safe; a leftover of the old is cleared at the next start.
        try? Directories.remove(replaced)
    }

    /// The link to the best and the removal of the old, after a checkpoint is safe. Called by `PendingCheckpoint`.
    func finishCommit(of checkpoint: Checkpoint) -> CommittedCheckpoint {
        var problems: [CheckpointError] = []
        var removed: [Int] = []
        var best: Int?
        do throws(CheckpointError) {
            let sound = try sound()
            best = try linkBest(among: sound)
            // Damaged ones do not count; they go, like the good ones, when enough good ones are newer.
            let oldestKept = sound.count < keepNewest ? 0 : sound[sound.count - keepNewest].step
            for old in try steps() where old < oldestKept && old != best {
                do throws(CheckpointError) {
                    try remove(step: old)
                    removed.append(old)
                } catch {
                    problems.append(error)
                }
            }
        } catch {
            problems.append(error)
        }
        return CommittedCheckpoint(checkpoint: checkpoint, removed: removed, best: best, problems: problems)
    }

    private func sound() throws(CheckpointError) -> [Checkpoint] {
        try list().compactMap { try? $0.content.get() }
    }

    /// The checkpoints with a score that may be compared: measured as this store's are; before there is any, all.
    private func scored(_ checkpoints: [Checkpoint]) -> [(step: Int, score: Double)] {
        let all = checkpoints.filter { $0.state.score != nil }
        let comparable = all.filter { evaluation == nil || $0.state.evaluation == nil || $0.state.evaluation == evaluation }
        return (comparable.isEmpty ? all : comparable).map { ($0.step, $0.state.score!) }
    }

    /// Points `best` at the lowest score, the earliest where equal; removes the link when there is no score.
    private func linkBest(among checkpoints: [Checkpoint]) throws(CheckpointError) -> Int? {
        let link = "\(directory)/\(Self.bestName)"
        try clearDirectory(at: link)
        guard let (step, _) = scored(checkpoints).min(by: { ($0.score, $0.step) < ($1.score, $1.step) }) else {
            try Directories.remove(link)
            return nil
        }
        let temporary = "\(directory)/\(Self.temporaryPrefix)\(Self.bestName)-\(Directories.uniqueSuffix)"
        try Directories.remove(temporary)
        guard symlink(Self.name(ofStep: step), temporary) == 0 else {
            throw .system("make the link", temporary, code: errno)
        }
        do throws(CheckpointError) {
            try Directories.move(temporary, to: link)
        } catch {
            unlink(temporary)
            throw error
        }
        try Directories.synchronize(directory)
        return step
    }

    /// Makes room for the link where a copy of the run that followed links left a directory in its place: a checkpoint that
    /// another name holds too is removed, anything else is set aside as `aside-best`.
    private func clearDirectory(at link: String) throws(CheckpointError) {
        var status = stat()
        guard lstat(link, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return }
        func state(_ path: String) -> [UInt8]? {
            guard let checkpoint = try? Checkpoint.open(path, verifying: .sizes) else { return nil }
            return try? OpenFile.contents(of: "\(checkpoint.path)/\(CheckpointState.fileName)", limit: CheckpointState.byteLimit)
        }
        if let copy = try? Checkpoint.open(link, verifying: .sizes), let own = state(link), own == state(path(ofStep: copy.step)) {
            return try Directories.remove(link)
        }
        try Directories.move(link, to: asidePath(Self.bestName))
    }

    /// A name that is not there yet, for what is set aside.
    private func asidePath(_ name: String) -> String {
        var (target, number) = ("\(directory)/aside-\(name)", 1)
        while Directories.exists(target) {
            number += 1
            target = "\(directory)/aside-\(number)-\(name)"
        }
        return target
    }

    private func remove(step: Int) throws(CheckpointError) {
        let removing = "\(directory)/\(Self.removingPrefix)\(Self.name(ofStep: step))-\(Directories.uniqueSuffix)"
        try Directories.remove(removing)
        try Directories.move(path(ofStep: step), to: removing)
        try Directories.synchronize(directory)
        try Directories.remove(removing)
    }
}
