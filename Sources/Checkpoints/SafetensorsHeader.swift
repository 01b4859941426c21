/// The head of a safetensors file: which tensors lie where.
///
/// The format (github.com/huggingface/safetensors, "Format"): 8 bytes, the length N of the header, little-endian; N bytes of
/// JSON that begin with `{` and may be padded with spaces,
/// `{"__metadata__": {key: text}, name: {"dtype": ..., "shape": [...], "data_offsets": [begin, end]}, ...}`; then the
/// tensors' bytes, row-major, little-endian, at the offsets counted from the end of the header. The tensors cover the data
/// without a hole and without overlap, and no name occurs twice.
struct SafetensorsHeader: Sendable {
    /// Longest header the reference library reads.
    static let byteLimit = 100_000_000
    /// The data of a file written here begin at a multiple of a cache line.
    static let alignment = 64

    /// In the order of their data.
    let entries: [TensorEntry]
    /// Where the bytes of each tensor begin, counted from the end of the header.
    let offsets: [Int]
    let metadata: [String: String]
    /// Bytes of all tensors together.
    let dataByteCount: Int

    /// A table to write: tensors one after the other, in the given order.
    ///
    /// - Throws: `.refused` for a name used twice, a reserved name or an impossible shape.
    init(entries: [TensorEntry], metadata: [String: String], path: String) throws(CheckpointError) {
        var names: Set<String> = ["__metadata__"]
        var offsets: [Int] = []
        var end = 0
        for entry in entries {
            guard names.insert(entry.name).inserted else {
                throw CheckpointError(.refused, path: path, "the tensor name \(quoted(entry.name)) is taken")
            }
            guard entry.checkedElementCount != nil else {
                throw CheckpointError(.refused, path: path, "tensor \(quoted(entry.name)) has shape \(entry.shape)")
            }
            let (next, overflow) = end.addingReportingOverflow(entry.byteCount)
            guard !overflow else {
                throw CheckpointError(.refused, path: path, "the tensors' bytes exceed what a file can hold")
            }
            offsets.append(end)
            end = next
        }
        self.entries = entries
        self.offsets = offsets
        self.metadata = metadata
        dataByteCount = end
    }

    /// The file's first bytes: length, JSON, and the spaces that align what follows. A pure function of the table.
    func encoded() -> [UInt8] {
        var members: [String] = []
        if !metadata.isEmpty {
            let pairs = metadata.sorted { $0.key < $1.key }.map { "\(jsonText($0.key)):\(jsonText($0.value))" }
            members.append("\"__metadata__\":{\(pairs.joined(separator: ","))}")
        }
        for (entry, offset) in zip(entries, offsets) {
            let shape = entry.shape.map(String.init).joined(separator: ",")
            members.append(
                "\(jsonText(entry.name)):{\"dtype\":\"\(entry.type.rawValue)\",\"shape\":[\(shape)],"
                    + "\"data_offsets\":[\(offset),\(offset + entry.byteCount)]}")
        }
        var json = Array("{\(members.joined(separator: ","))}".utf8)
        let past = (8 + json.count) % Self.alignment
        if past > 0 { json.append(contentsOf: repeatElement(0x20, count: Self.alignment - past)) }
        return withUnsafeBytes(of: UInt64(json.count).littleEndian) { Array($0) } + json
    }
}

extension SafetensorsHeader {
    /// Reads and checks a table.
    ///
    /// - Parameters:
    ///   - json: the header's bytes, without the length before them.
    ///   - dataByteCount: what the file holds after the header.
    /// - Throws: `.damaged` with what is wrong and where.
    init(parsing json: [UInt8], dataByteCount: Int, path: String) throws(CheckpointError) {
        var rows: [Row] = []
        var metadata: [String: String] = [:]
        do throws(JSONFault) {
            guard json.first == UInt8(ascii: "{") else { throw JSONFault(position: 0, reason: "expected '{'") }
            var cursor = JSONCursor(json)
            var names: Set<String> = []
            try cursor.object { (cursor, name) throws(JSONFault) in
                guard names.insert(name).inserted else { throw cursor.fault("the name \(quoted(name)) occurs twice") }
                if name == "__metadata__" {
                    try cursor.object { (cursor, key) throws(JSONFault) in
                        guard metadata.updateValue(try cursor.string(), forKey: key) == nil else {
                            throw cursor.fault("the metadata key \(quoted(key)) occurs twice")
                        }
                    }
                } else {
                    rows.append(try Row(name: name, at: &cursor))
                }
            }
            try cursor.expectEnd()
        } catch {
            throw .damaged(path, "the header is broken at byte \(8 + error.position): \(error.reason)")
        }

        // A tensor without elements takes no room: it sorts before the tensor that begins where it lies.
        rows.sort { ($0.begin, $0.end) < ($1.begin, $1.end) }
        var end = 0
        for row in rows {
            guard let count = row.entry.checkedElementCount else {
                throw .damaged(path, "tensor \(quoted(row.entry.name)) has a shape of more elements than a file can hold")
            }
            guard row.begin <= row.end, row.end - row.begin == count * row.entry.type.byteCount else {
                throw .damaged(
                    path,
                    "tensor \(quoted(row.entry.name)) of \(count) \(row.entry.type.rawValue) elements is said to "
                        + "lie at bytes \(row.begin) to \(row.end)")
            }
            guard row.begin == end else {
                throw .damaged(
                    path,
                    "tensor \(quoted(row.entry.name)) begins at byte \(row.begin), "
                        + (row.begin < end ? "within the one before it" : "after a hole") + " that ends at \(end)")
            }
            end = row.end
        }
        guard end == dataByteCount else {
            throw .damaged(
                path, "the tensors take \(end) bytes, and the file holds \(dataByteCount)",
                hint: dataByteCount < end ? "the file was cut short; copy it again or use an older checkpoint" : nil)
        }
        entries = rows.map(\.entry)
        offsets = rows.map(\.begin)
        self.metadata = metadata
        self.dataByteCount = end
    }

    /// A tensor as the header tells of it, not yet compared with anything.
    private struct Row {
        /// More dimensions than any array library has.
        static let dimensionLimit = 64

        var entry: TensorEntry
        var begin: Int
        var end: Int

        init(name: String, at cursor: inout JSONCursor) throws(JSONFault) {
            var type: ElementType?
            var shape: [Int]?
            var offsets: [Int]?
            try cursor.object { (cursor, key) throws(JSONFault) in
                switch key {
                case "dtype" where type == nil:
                    let text = try cursor.string()
                    guard let known = ElementType(rawValue: text) else {
                        throw cursor.fault("tensor \(quoted(name)) has the unknown type \(quoted(text))")
                    }
                    type = known
                case "shape" where shape == nil:
                    shape = try cursor.wholeNumbers(limit: Self.dimensionLimit)
                case "data_offsets" where offsets == nil:
                    offsets = try cursor.wholeNumbers(limit: 2)
                default:
                    throw cursor.fault("tensor \(quoted(name)) has an unexpected or repeated key \(quoted(key))")
                }
            }
            guard let type, let shape, let offsets, offsets.count == 2 else {
                throw cursor.fault("tensor \(quoted(name)) lacks its dtype, shape or two data_offsets")
            }
            entry = TensorEntry(name: name, type: type, shape: shape)
            begin = offsets[0]
            end = offsets[1]
        }
    }
}
