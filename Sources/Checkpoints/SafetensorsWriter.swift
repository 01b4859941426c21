import Glibc

/// Writes a safetensors file from front to back: the table first, then the tensors' bytes in any pieces, in order.
///
/// No tensor is ever held whole, so its pieces can come from other ranks. The checksum is taken on the way.
package final class SafetensorsWriter {
    /// The tensors of the file, in the order in which their bytes are expected.
    package let entries: [TensorEntry]
    /// The file being written.
    package var path: String { file.path }
    /// Bytes of tensors taken so far.
    package private(set) var writtenByteCount = 0

    private let header: SafetensorsHeader
    private let headerByteCount: Int
    private let file: OpenFile
    private var checksum = StreamingChecksum()

    /// Creates the file and writes its table.
    ///
    /// - Parameters:
    ///   - path: a name that is not there yet.
    ///   - entries: the tensors, in the order in which their bytes will come.
    ///   - metadata: text for other programs, kept under `__metadata__`.
    /// - Throws: `.refused` for an impossible table, `.system` where the file cannot be written.
    package init(
        path: String, entries: [TensorEntry], metadata: [String: String] = [:]
    ) throws(CheckpointError) {
        header = try SafetensorsHeader(entries: entries, metadata: metadata, path: path)
        self.entries = entries
        let bytes = header.encoded()
        headerByteCount = bytes.count
        guard bytes.count - 8 <= SafetensorsHeader.byteLimit else {
            throw CheckpointError(.refused, path: path, "the table takes \(bytes.count) bytes, too many for a header")
        }
        file = try .creating(path)
        try file.write(bytes)
        bytes.withUnsafeBytes { checksum.update($0) }
    }

    /// Appends the next bytes of the tensors; a piece may end anywhere.
    ///
    /// - Throws: `.refused` for more bytes than the table has room for, `.system` from `write(2)`.
    package func append(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
        guard bytes.count <= header.dataByteCount - writtenByteCount else {
            throw CheckpointError(
                .refused, path: path, "\(writtenByteCount + bytes.count) bytes for a table of \(header.dataByteCount)")
        }
        try file.write(bytes)
        checksum.update(bytes)
        writtenByteCount += bytes.count
    }

    /// Appends the next elements of the tensors.
    package func append(_ elements: UnsafeBufferPointer<Float>) throws(CheckpointError) {
        try append(UnsafeRawBufferPointer(elements))
    }

    /// Ends the file and brings it to stable storage (`fsync(2)`).
    ///
    /// - Returns: size and checksum of the whole file.
    /// - Throws: `.refused` when bytes are lacking, `.system` from `fsync(2)`.
    package func finish() throws(CheckpointError) -> FileDigest {
        guard writtenByteCount == header.dataByteCount else {
            let last = header.offsets.lastIndex { $0 <= writtenByteCount } ?? 0
            throw CheckpointError(
                .refused, path: path,
                "\(writtenByteCount) of \(header.dataByteCount) bytes came; "
                    + "tensor \(quoted(entries[last].name)) is not complete")
        }
        try file.synchronize()
        return FileDigest(bytes: headerByteCount + writtenByteCount, checksum: checksum.finish())
    }
}
