import FoundationEssentials

/// The content of `state.json`: what a checkpoint holds, and where training stood.
///
/// The file seals itself: its first member is the checksum of the whole file, taken with zeros in the digits' place, so
/// that a flipped bit in a counter is found as surely as one in a weight. Equal content gives equal bytes.
package struct CheckpointState: Sendable {
    /// The only version of the format so far.
    package static let format = 1
    /// Largest `state.json` that is read, bytes.
    static let byteLimit = 16 << 20
    static let fileName = "state.json"

    /// Training steps done.
    package let step: Int
    /// What "best" is judged by, lower is better; nil when it was not measured.
    package let score: Double?
    /// What the score was measured on: scores that name another are not comparable. Nil: not known.
    package let evaluation: String?
    /// Size and checksum of every other file of the checkpoint, by name.
    package let files: [String: FileDigest]
    private let json: [UInt8]

    /// Decodes what the trainer stored.
    ///
    /// - Throws: `.damaged`, naming the member, when the content does not fit `type`.
    package func training<Training: Decodable>(as type: Training.Type) throws(CheckpointError) -> Training {
        try Self.decode(Contents<Training>.self, json, path: Self.fileName).training
    }

    private static let sealPrefix = Array("{\n  \"checksum\" : \"".utf8)
    private static let blankSeal = Array(Checksum(value: 0).description.utf8)

    /// The bytes of a `state.json`.
    ///
    /// - Throws: `.refused` when `training` cannot be written as JSON.
    package static func encode<Training: Encodable>(
        step: Int, score: Double?, evaluation: String? = nil, files: [String: FileDigest], training: Training
    ) throws(CheckpointError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "infinity", negativeInfinity: "-infinity", nan: "nan")
        let contents = Contents(
            format: format, step: step, score: score, evaluation: evaluation, files: files, training: training)
        let body: Data
        do {
            body = try encoder.encode(contents)
        } catch {
            throw CheckpointError(
                .refused, path: fileName, "the state of training cannot be written as JSON: \(describe(error))")
        }
        var bytes = sealPrefix + blankSeal + Array("\",".utf8) + body.dropFirst() + Array("\n".utf8)
        let seal = bytes.withUnsafeBytes { StreamingChecksum.of($0) }
        bytes.replaceSubrange(sealRange, with: seal.description.utf8)
        return bytes
    }

    /// Reads and checks a `state.json`.
    ///
    /// - Throws: `.damaged`, `.unsupported` for another format, `.missing`, `.system`.
    init(path: String) throws(CheckpointError) {
        try self.init(sealed: try OpenFile.contents(of: path, limit: Self.byteLimit), path: path)
    }

    /// Reads and checks the bytes of a `state.json`; `path` is for the errors.
    ///
    /// - Throws: `.damaged`, `.unsupported`.
    package init(sealed: [UInt8], path: String) throws(CheckpointError) {
        var bytes = sealed
        guard bytes.starts(with: Self.sealPrefix), bytes.count > Self.sealRange.upperBound,
            let text = String(validating: bytes[Self.sealRange], as: UTF8.self), let seal = Checksum(text)
        else { throw .damaged(path, "does not begin with its checksum") }
        bytes.replaceSubrange(Self.sealRange, with: Self.blankSeal)
        guard bytes.withUnsafeBytes({ StreamingChecksum.of($0) }) == seal else {
            throw .damaged(path, "was changed or damaged since it was written: its checksum differs")
        }
        let version = try Self.decode(Version.self, bytes, path: path).format
        guard version == Self.format else {
            throw CheckpointError(
                .unsupported, path: path, "has format \(version), and this program reads \(Self.format)",
                hint: "use the version of dtrain that wrote it")
        }
        let head = try Self.decode(Head.self, bytes, path: path)
        guard head.step >= 0 else { throw .damaged(path, "has step \(head.step)") }
        for (name, digest) in head.files {
            guard Self.isPlainFileName(name) else {
                throw .damaged(path, "names a file outside the checkpoint: \(quoted(name))")
            }
            guard digest.bytes >= 0 else { throw .damaged(path, "gives \(quoted(name)) \(digest.bytes) bytes") }
        }
        step = head.step
        score = head.score
        evaluation = head.evaluation
        files = head.files
        json = bytes
    }

    private static var sealRange: Range<Int> { sealPrefix.count..<sealPrefix.count + blankSeal.count }

    /// Whether a name stays within its directory.
    static func isPlainFileName(_ name: String) -> Bool {
        !name.isEmpty && !name.hasPrefix(".") && !name.utf8.contains(UInt8(ascii: "/")) && !name.utf8.contains(0)
            && name != fileName
    }

    private static func decode<Value: Decodable>(
        _ type: Value.Type, _ json: [UInt8], path: String
    ) throws(CheckpointError) -> Value {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "infinity", negativeInfinity: "-infinity", nan: "nan")
        do {
            return try decoder.decode(type, from: Data(json))
        } catch {
            throw .damaged(path, "does not hold what is expected: \(describe(error))")
        }
    }

    /// A coding error on one line: the member and what is wrong with it.
    private static func describe(_ error: any Error) -> String {
        func place(_ path: [any CodingKey]) -> String {
            path.isEmpty ? "the file" : quoted(path.map(\.stringValue).joined(separator: "."))
        }
        return switch error {
        case DecodingError.keyNotFound(let key, let context):
            "\(quoted(key.stringValue)) is missing in \(place(context.codingPath))"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
            DecodingError.dataCorrupted(let context):
            "\(place(context.codingPath)): \(context.debugDescription)"
        case EncodingError.invalidValue(_, let context):
            "\(place(context.codingPath)): \(context.debugDescription)"
        default: "\(error)"
        }
    }

    private struct Version: Decodable {
        let format: Int
    }

    private struct Head: Decodable {
        let step: Int
        let score: Double?
        let evaluation: String?
        let files: [String: FileDigest]
    }

    fileprivate struct Contents<Training> {
        let format: Int
        let step: Int
        let score: Double?
        let evaluation: String?
        let files: [String: FileDigest]
        let training: Training
    }
}

extension CheckpointState.Contents: Encodable where Training: Encodable {}
extension CheckpointState.Contents: Decodable where Training: Decodable {}
