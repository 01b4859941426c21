import Glibc

/// A checkpoint on disk whose state was read and whose files were checked.
package struct Checkpoint: Sendable {
    /// How far the files are checked when a checkpoint is opened.
    package enum Verification: Sendable {
        /// They are there and have the right size: cheap.
        case sizes
        /// Every byte is read and the checksums are compared: the time to read the files once.
        case checksums
    }

    /// Its directory.
    package let path: String
    package let state: CheckpointState

    /// Training steps done.
    package var step: Int { state.step }

    /// Opens the checkpoint in a directory. One that is named `step-...` must hold that step; other names say nothing.
    ///
    /// - Throws: `.missing`, `.damaged` naming the file and what is wrong with it, `.unsupported`, `.system`.
    package static func open(
        _ path: String, verifying verification: Verification = .checksums
    ) throws(CheckpointError) -> Checkpoint {
        let statePath = "\(path)/\(CheckpointState.fileName)"
        guard Directories.exists(statePath) else { throw notACheckpoint(path) }
        let checkpoint = Checkpoint(path: path, state: try CheckpointState(path: statePath))
        if let step = CheckpointStore.step(ofName: String(path.split(separator: "/").last ?? "")),
            step != checkpoint.step
        {
            throw .damaged(path, "holds step \(checkpoint.step)", hint: "it was renamed; name it as it was")
        }
        for (name, digest) in checkpoint.state.files.sorted(by: { $0.key < $1.key }) {
            try checkpoint.verify(name, digest, verification)
        }
        return checkpoint
    }

    /// Opens one of the checkpoint's safetensors files.
    ///
    /// - Throws: `.missing` for a file the checkpoint does not list; else as `SafetensorsReader`.
    package func reader(_ name: String) throws(CheckpointError) -> SafetensorsReader {
        guard state.files[name] != nil else {
            throw CheckpointError(.missing, path: path, "this checkpoint has no file \(quoted(name))")
        }
        return try SafetensorsReader(path: "\(path)/\(name)")
    }

    /// What the trainer stored in `state.json`.
    ///
    /// - Throws: `.damaged`, naming the member, when the content does not fit `type`.
    package func training<Training: Decodable>(as type: Training.Type) throws(CheckpointError) -> Training {
        do throws(CheckpointError) {
            return try state.training(as: type)
        } catch {
            throw CheckpointError(error.kind, path: "\(path)/\(error.path)", error.reason, hint: error.hint)
        }
    }

    /// Reads one of its files and compares the checksum.
    /// - Throws: `.damaged`, `.missing` for a file it does not list, `.system`.
    package func verify(_ name: String) throws(CheckpointError) {
        guard let digest = state.files[name] else {
            throw CheckpointError(.missing, path: path, "this checkpoint has no file \(quoted(name))")
        }
        try verify(name, digest, .checksums)
    }

    private func verify(
        _ name: String, _ digest: FileDigest, _ verification: Verification
    ) throws(CheckpointError) {
        let filePath = "\(path)/\(name)"
        guard Directories.exists(filePath) else { throw .damaged(filePath, "is missing from its checkpoint") }
        let file = try OpenFile.reading(filePath)
        let byteCount = try file.byteCount()
        guard byteCount == digest.bytes else {
            throw .damaged(filePath, "is \(byteCount) bytes long; \(digest.bytes) were written")
        }
        if verification == .checksums {
            guard try Self.checksum(of: file) == digest.checksum else {
                throw .damaged(filePath, "was changed or damaged since it was written: its checksum differs")
            }
        }
    }

    /// Reads a file once, in chunks that stay in cache.
    private static func checksum(of file: borrowing OpenFile) throws(CheckpointError) -> Checksum {
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { chunk.deallocate() }
        var checksum = StreamingChecksum()
        var offset = 0
        while true {
            let count = try file.read(at: offset, into: chunk)
            checksum.update(UnsafeRawBufferPointer(rebasing: chunk[..<count]))
            if count < chunk.count { return checksum.finish() }
            offset += count
        }
    }

    private static func notACheckpoint(_ path: String) -> CheckpointError {
        var status = stat()
        guard stat(path, &status) == 0 else { return .system("open the checkpoint", path, code: errno) }
        let hint =
            if status.st_mode & S_IFMT != S_IFDIR {
                "give the directory step-... that holds the file"
            } else if Directories.exists("\(path)/checkpoints") {
                "this is a run directory; give one of \(path)/checkpoints/, such as best"
            } else {
                "a checkpoint is a directory step-... with state.json in it"
            }
        return CheckpointError(.missing, path: path, "is not a checkpoint", hint: hint)
    }
}
