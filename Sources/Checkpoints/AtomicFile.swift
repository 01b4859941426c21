import Glibc

/// Replaces small files so that a reader, or a machine that loses power, sees the old content or the new, never a part.
package enum AtomicFile {
    /// Names of files being written begin with this.
    static let temporaryPrefix = ".tmp-"

    /// Writes under a temporary name in the same directory, syncs, renames, syncs the directory.
    ///
    /// A symbolic link at `path` is replaced, not followed. On failure the old file is untouched.
    /// - Throws: `.system` or `.missing` (no such directory).
    package static func write(_ path: String, _ bytes: [UInt8]) throws(CheckpointError) {
        let temporary = try temporary(for: path)
        do throws(CheckpointError) {
            try writeNew(temporary, bytes)
            try Directories.move(temporary, to: path)
        } catch {
            unlink(temporary)
            throw error
        }
        try Directories.synchronize(split(path).directory)
    }

    /// Lets `body` create a file under a temporary name, then gives it its own, replacing what had it.
    /// - Throws: what `body` throws; `.system`.
    package static func replace(
        _ path: String, _ body: (_ temporary: String) throws(CheckpointError) -> Void
    ) throws(CheckpointError) {
        let temporary = try temporary(for: path)
        do throws(CheckpointError) {
            try body(temporary)
            try Directories.move(temporary, to: path)
        } catch {
            unlink(temporary)
            throw error
        }
        try Directories.synchronize(split(path).directory)
    }

    /// A name in the directory of `path` that is free.
    static func temporary(for path: String) throws(CheckpointError) -> String {
        let (directory, name) = split(path)
        let temporary = "\(directory)/\(temporaryPrefix)\(name)-\(Directories.uniqueSuffix)"
        try Directories.remove(temporary)
        return temporary
    }

    /// `write` of text as UTF-8.
    package static func write(_ path: String, _ text: String) throws(CheckpointError) {
        try write(path, Array(text.utf8))
    }

    /// Creates a file and brings it to stable storage.
    static func writeNew(_ path: String, _ bytes: [UInt8]) throws(CheckpointError) {
        let file = try OpenFile.creating(path)
        try file.write(bytes)
        try file.synchronize()
    }

    private static func split(_ path: String) -> (directory: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        let directory = path[..<slash]
        return (directory.isEmpty ? "/" : String(directory), String(path[path.index(after: slash)...]))
    }
}
