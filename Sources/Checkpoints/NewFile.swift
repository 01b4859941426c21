/// A file that is written from front to back; within `AtomicFile.replace` it appears under its name when it is whole.
package final class NewFile {
    private let file: OpenFile

    /// Creates a file that is not there yet.
    /// - Throws: `.system` or `.missing` (no such directory).
    package init(_ path: String) throws(CheckpointError) { file = try .creating(path) }

    /// Appends bytes.
    /// - Throws: `.system` from `write(2)`.
    package func append(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) { try file.write(bytes) }

    /// Appends bytes.
    package func append(_ bytes: [UInt8]) throws(CheckpointError) { try file.write(bytes) }

    /// Brings the file to stable storage.
    /// - Throws: `.system` from `fsync(2)`.
    package func finish() throws(CheckpointError) { try file.synchronize() }
}
