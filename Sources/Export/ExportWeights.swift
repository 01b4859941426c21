import Checkpoints
import Layers

/// The weights that are exported, read when they are asked for.
struct ExportWeights: StoredWeights {
    let reader: SafetensorsReader

    /// The stored tensor of this name.
    private func entry(_ name: String) throws(CheckpointError) -> TensorEntry {
        guard let entry = reader.entry(named: name) else {
            throw CheckpointError(.missing, path: reader.path, "holds no tensor named \(name)")
        }
        return entry
    }

    func shape(of name: String) throws -> [Int] { try entry(name).shape }

    /// All values of a tensor.
    func values(_ name: String) throws(CheckpointError) -> [Float] {
        let count = try entry(name).elementCount
        var values = [Float](repeating: 0, count: count)
        let result: Result<Void, CheckpointError> = values.withUnsafeMutableBufferPointer { buffer in
            Result { () throws(CheckpointError) in try reader.read(name, elements: 0..<count, into: buffer) }
        }
        try result.get()
        return values
    }

    /// The bytes of a tensor, in pieces of a few MiB.
    func forEachPiece(
        of name: String, _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void
    ) throws(CheckpointError) {
        let count = try entry(name).elementCount
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: min(max(1, count), 1 << 20))
        defer { buffer.deallocate() }
        for start in stride(from: 0, to: count, by: buffer.count) {
            let piece = UnsafeMutableBufferPointer(rebasing: buffer[..<min(buffer.count, count - start)])
            try reader.read(name, elements: start..<start + piece.count, into: piece)
            try body(UnsafeRawBufferPointer(piece))
        }
    }
}
