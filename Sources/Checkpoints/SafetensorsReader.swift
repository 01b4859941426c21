import Glibc

/// A safetensors file opened for reading. Its table is read and checked at once; tensors are read piece by piece.
///
/// Reads share no position: several threads may read at the same time.
package final class SafetensorsReader: Sendable {
    /// The tensors, in the order of their data.
    package var entries: [TensorEntry] { header.entries }
    /// Text that the writer added.
    package var metadata: [String: String] { header.metadata }
    /// The file.
    package var path: String { file.path }

    private let file: OpenFile
    private let header: SafetensorsHeader
    /// Where the tensors' bytes begin in the file.
    private let dataStart: Int
    private let places: [String: Int]

    /// Opens a file and checks its whole table against the format and the file's size.
    ///
    /// - Throws: `.missing`, `.system`, or `.damaged` with what is wrong and where.
    package init(path: String) throws(CheckpointError) {
        let file = try OpenFile.reading(path)
        let byteCount = try file.byteCount()
        let headerByteCount = try Self.headerByteCount(of: file, fileByteCount: byteCount)
        var json = [UInt8](repeating: 0, count: headerByteCount)
        let result: Result<Int, CheckpointError> = json.withUnsafeMutableBytes { buffer in
            Result { () throws(CheckpointError) in try file.read(at: 8, into: buffer) }
        }
        guard try result.get() == headerByteCount else { throw .damaged(path, "ends within its header") }
        dataStart = 8 + headerByteCount
        header = try SafetensorsHeader(parsing: json, dataByteCount: byteCount - dataStart, path: path)
        places = Dictionary(uniqueKeysWithValues: zip(header.entries.map(\.name), header.entries.indices))
        self.file = file
    }

    /// The header's length, checked before anything of that size is allocated.
    private static func headerByteCount(
        of file: borrowing OpenFile, fileByteCount: Int
    ) throws(CheckpointError) -> Int {
        var word: UInt64 = 0
        let result: Result<Int, CheckpointError> = withUnsafeMutableBytes(of: &word) { buffer in
            do throws(CheckpointError) {
                return .success(try file.read(at: 0, into: buffer))
            } catch {
                return .failure(error)
            }
        }
        guard try result.get() == 8, fileByteCount >= 8 else {
            throw .damaged(file.path, "is \(fileByteCount) bytes long, too short for a safetensors file")
        }
        let length = UInt64(littleEndian: word)
        guard length <= UInt64(fileByteCount - 8) else {
            throw .damaged(
                file.path, "announces a header of \(length) bytes and has \(fileByteCount) in all",
                hint: "the file was cut short, or it is not a safetensors file")
        }
        guard length <= UInt64(SafetensorsHeader.byteLimit) else {
            throw .damaged(file.path, "announces a header of \(length) bytes; \(SafetensorsHeader.byteLimit) are the most")
        }
        return Int(length)
    }

    /// The entry of a tensor; nil when the file has none of this name.
    package func entry(named name: String) -> TensorEntry? {
        places[name].map { header.entries[$0] }
    }

    /// Reads some elements of a tensor.
    ///
    /// - Parameters:
    ///   - name: the tensor.
    ///   - elements: which of its elements, counted row-major.
    ///   - buffer: room for exactly these elements; overwritten.
    /// - Throws: `.missing` for a name the file lacks, `.refused` for a range or buffer that does not fit, `.system`.
    package func read(
        _ name: String, elements: Range<Int>, into buffer: UnsafeMutableRawBufferPointer
    ) throws(CheckpointError) {
        guard let place = places[name] else {
            throw CheckpointError(.missing, path: path, "holds no tensor named \(quoted(name))")
        }
        let entry = header.entries[place]
        let size = entry.type.byteCount
        guard elements.lowerBound >= 0, elements.upperBound <= entry.elementCount else {
            throw CheckpointError(
                .refused, path: path,
                "tensor \(quoted(name)) has \(entry.elementCount) elements; \(elements) were asked for")
        }
        guard buffer.count == elements.count * size else {
            throw CheckpointError(
                .refused, path: path,
                "\(elements.count) elements of \(entry.type.rawValue) do not fit a buffer of \(buffer.count) bytes")
        }
        let start = dataStart + header.offsets[place] + elements.lowerBound * size
        guard try file.read(at: start, into: buffer) == buffer.count else {
            throw .damaged(path, "ends within tensor \(quoted(name))")
        }
    }

    /// Reads some elements of a tensor of 32-bit floats.
    ///
    /// - Throws: `.unsupported` for another element type; else as the other `read`.
    package func read(
        _ name: String, elements: Range<Int>, into buffer: UnsafeMutableBufferPointer<Float>
    ) throws(CheckpointError) {
        if let entry = entry(named: name), entry.type != .float32 {
            throw CheckpointError(
                .unsupported, path: path, "tensor \(quoted(name)) holds \(entry.type.rawValue), not F32",
                hint: "convert it to 32-bit floats first")
        }
        try read(name, elements: elements, into: UnsafeMutableRawBufferPointer(buffer))
    }
}
