package import Checkpoints
import Layers
import Networks
import Protobuf
package import Training

/// A trained model for other programs: as an ONNX file, as safetensors, as a PyTorch module.
package struct ModelExport {
    private let model: TrainedModel
    private let weights: ExportWeights
    private let words: ExportDescription

    package init(_ model: TrainedModel) {
        self.model = model
        weights = ExportWeights(reader: model.weights)
        words = ExportDescription(model)
    }

    // MARK: ONNX

    /// Largest message that Protocol Buffers can have.
    private static let largestMessage = Int(Int32.max)

    /// The operator set of ONNX files written here.
    package static var operatorSet: Int { ONNXGraph.operatorSet }

    /// Writes `path` whole, replacing what was there.
    /// - Returns: its bytes.
    /// - Throws: `ExportError` for a model that no ONNX file can hold; `CheckpointError`.
    package func writeONNX(_ path: String) throws -> Int {
        let message = try onnx()
        guard message.byteCount <= Self.largestMessage else {
            throw ExportError(
                "the model takes \(message.byteCount >> 20) MiB, and an ONNX file at most \(Self.largestMessage >> 20); hint: --pytorch and "
                    + "--safetensors have no such limit")
        }
        try AtomicFile.replace(path) { (temporary) throws(CheckpointError) in
            let file = try NewFile(temporary)
            for piece in message.pieces {
                switch piece {
                case .bytes(let bytes): try file.append(bytes)
                case .stored(let tensor, _):
                    try weights.forEachPiece(of: tensor) { (bytes) throws(CheckpointError) in try file.append(bytes) }
                }
            }
            try file.finish()
        }
        return message.byteCount
    }

    /// ModelProto.
    private func onnx() throws -> ProtobufMessage {
        let description = model.description
        var graph = ONNXGraph(input: description.input, weights: weights)
        let last = try graph.append(description.layers, graph.input, "")
        var message = ProtobufMessage()
        message.integer(1, ONNXGraph.intermediateVersion)
        message.text(2, "dtrain")
        message.text(6, words.summary)
        message.message(7, graph.finish(last, name: "hand-joints", words: (words.summary, words.input, words.output)))
        var operators = ProtobufMessage()
        operators.text(1, "")
        operators.integer(2, ONNXGraph.operatorSet)
        message.message(8, operators)
        for (key, value) in words.metadata {
            var entry = ProtobufMessage()
            entry.text(1, key)
            entry.text(2, value)
            message.message(14, entry)
        }
        return message
    }

    // MARK: Safetensors

    /// Writes the averaged weights, where there are any, else the weights, by the names that checkpoints have.
    /// - Returns: its bytes.
    package func writeSafetensors(_ path: String) throws(CheckpointError) -> Int {
        var bytes = 0
        try AtomicFile.replace(path) { (temporary) throws(CheckpointError) in
            let writer = try SafetensorsWriter(
                path: temporary, entries: model.weights.entries,
                metadata: Dictionary(uniqueKeysWithValues: words.metadata.map { ($0.key, $0.value) }))
            for entry in model.weights.entries {
                try weights.forEachPiece(of: entry.name) { (piece) throws(CheckpointError) in try writer.append(piece) }
            }
            bytes = try writer.finish().bytes
        }
        return bytes
    }

    // MARK: PyTorch

    /// Writes a module that loads what `writeSafetensors` writes.
    /// - Parameter weightsName: the weights' file, relative to the module's.
    /// - Throws: `CheckpointError`.
    package func writePyTorch(_ path: String, weightsName: String) throws {
        try AtomicFile.write(path, try TorchSource.text(model, words, weightsName: weightsName))
    }
}

/// Why a model cannot be exported: one line.
package struct ExportError: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}
