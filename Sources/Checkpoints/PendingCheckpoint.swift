import Glibc

/// A checkpoint being written, under a temporary name. It becomes one by `commit`; without it, or after an error, it
/// vanishes with all its files.
package struct PendingCheckpoint: ~Copyable {
    package let step: Int
    private let store: CheckpointStore
    private let temporaryPath: String
    private var files: [String: FileDigest] = [:]
    private var isOpen = true

    init(store: CheckpointStore, step: Int) throws(CheckpointError) {
        self.step = step
        self.store = store
        let name = "\(CheckpointStore.temporaryPrefix)\(CheckpointStore.name(ofStep: step))-\(Directories.uniqueSuffix)"
        temporaryPath = "\(store.directory)/\(name)"
        try Directories.remove(temporaryPath)
        // Not its parents: a store that was removed or renamed is not begun anew.
        try Directories.createOne(temporaryPath)
    }

    deinit {
        // Whatever is left after a failure here is removed at the next start.
        if isOpen { try? Directories.remove(temporaryPath) }
    }

    /// Writes one safetensors file.
    ///
    /// - Parameters:
    ///   - name: a plain file name, such as `model.safetensors`.
    ///   - entries: its tensors, in the order in which `body` appends their bytes.
    ///   - metadata: text for other programs.
    ///   - body: appends all tensors' bytes.
    /// - Throws: `CheckpointError`, or what `body` throws. The temporary directory is gone then.
    package mutating func file(
        _ name: String, entries: [TensorEntry], metadata: [String: String] = [:],
        _ body: (SafetensorsWriter) throws -> Void
    ) throws {
        try requireOpen()
        do {
            guard CheckpointState.isPlainFileName(name), files[name] == nil else {
                throw CheckpointError(.refused, path: temporaryPath, "\(quoted(name)) cannot be the name of a file")
            }
            let writer = try SafetensorsWriter(
                path: "\(temporaryPath)/\(name)", entries: entries, metadata: metadata)
            try body(writer)
            files[name] = try writer.finish()
        } catch {
            abandon()
            throw error
        }
    }

    /// Makes the checkpoint: `state.json`, sync, rename, sync of the parent; then the link to the best one and the
    /// removal of old ones.
    ///
    /// - Parameters:
    ///   - training: what the trainer needs to go on; any Codable.
    ///   - score: what the best checkpoint is chosen by, lower is better; nil, or not finite, is never the best.
    /// - Throws: `CheckpointError`; the checkpoint does not exist then, and the older ones are untouched.
    package consuming func commit<Training: Encodable>(
        training: Training, score: Double? = nil
    ) throws(CheckpointError) -> CommittedCheckpoint {
        try requireOpen()
        let finiteScore = score.flatMap { $0.isFinite ? $0 : nil }
        let state = try CheckpointState.encode(
            step: step, score: finiteScore, evaluation: finiteScore == nil ? nil : store.evaluation, files: files, training: training)
        let path = store.path(ofStep: step)
        let checkpoint = Checkpoint(path: path, state: try CheckpointState(sealed: state, path: path))
        try AtomicFile.writeNew("\(temporaryPath)/\(CheckpointState.fileName)", state)
        try Directories.synchronize(temporaryPath)
        try store.publish(temporaryPath, step: step)
        isOpen = false
        return store.finishCommit(of: checkpoint)
    }

    /// Gives up: removes what was written.
    package consuming func cancel() {
        abandon()
    }

    private mutating func abandon() {
        if isOpen { try? Directories.remove(temporaryPath) }
        isOpen = false
    }

    private borrowing func requireOpen() throws(CheckpointError) {
        guard isOpen else {
            throw CheckpointError(.refused, path: temporaryPath, "this checkpoint was given up after an error")
        }
    }
}

/// What a commit did.
package struct CommittedCheckpoint: Sendable {
    package let checkpoint: Checkpoint
    /// Steps of older checkpoints that were removed.
    package let removed: [Int]
    /// The step of the best checkpoint, if any has a score.
    package let best: Int?
    /// What went wrong after the checkpoint was safe: an old one that could not be removed, a link not made.
    package let problems: [CheckpointError]
}
