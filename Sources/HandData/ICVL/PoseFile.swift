import Glibc

/// The poses of a text file, a frame a line: published predictions, or labels. 16 joints of three numbers each.
///
/// What the three numbers mean the file does not say: see `PoseFormat` in Predictions. Numbers are kept as Double: with Float a frame
/// can flip at a threshold.
package struct PoseFile: Sendable {
    package let path: String
    /// (count, 48): three numbers for each of 16 joints.
    package let values: [Double]
    /// What stands in front of the numbers of each line, with `/` between folders; empty where nothing does.
    package let names: [String]
    /// The line of each pose, from 1.
    package let lines: [Int]

    package var count: Int { lines.count }

    /// The numbers of a pose.
    package subscript(index: Int) -> ArraySlice<Double> {
        values[index * HandLabel.valueCount..<(index + 1) * HandLabel.valueCount]
    }

    /// Several hundred bytes a line for a million lines.
    private static let largestFile = 1 << 30

    /// Reads the file at `path`.
    ///
    /// Numbers are separated by blanks, tabs, commas, semicolons, brackets or quotes, in any mixture. Lines that are empty or begin with `#` are
    /// passed over, and so is a heading. In front of the numbers may stand the frame's name, or its number.
    /// - Throws: `DataError` if it cannot be read, has no poses, or has a line that is none (with its number).
    package init(contentsOf path: String) throws(DataError) {
        let file: FileBytes
        do {
            file = try FileBytes(contentsOf: path, limit: Self.largestFile)
        } catch {
            throw DataError("cannot read \(printable(path)): \(error.reason); hint: is it there, and may you read it?")
        }
        try self.init(file.bytes, named: path)
    }

    /// Poses in memory; `path` stands for a file in messages.
    /// - Parameter names: of all poses, or none.
    package init(path: String, values: [Double], names: [String]) {
        let count = values.count / HandLabel.valueCount
        precondition(values.count == count * HandLabel.valueCount && (names.isEmpty || names.count == count), "48 numbers a pose")
        (self.path, self.values, lines) = (path, values, Array(1..<count + 1))
        self.names = names.isEmpty ? Array(repeating: "", count: count) : names
    }

    /// The same for bytes in memory; `path` stands for the file in messages.
    package init(_ bytes: UnsafeRawBufferPointer, named path: String) throws(DataError) {
        var parser = PoseParser()
        var line = 0
        var start = bytes.count >= 3 && bytes[0] == 0xEF && bytes[1] == 0xBB && bytes[2] == 0xBF ? 3 : 0
        while start < bytes.count {
            let newline = memchr(bytes.baseAddress! + start, 0x0A, bytes.count - start)
            let end = newline.map { UnsafeRawPointer($0) - bytes.baseAddress! } ?? bytes.count
            line += 1
            if let reason = parser.read(bytes[start..<end], line: line) {
                throw DataError(
                    "\(printable(path)):\(line): \(reason); hint: a line is 48 numbers, three for each of 16 joints, with or without the "
                        + "frame's name in front")
            }
            start = end + 1
        }
        guard !parser.lines.isEmpty else {
            throw DataError("\(printable(path)): no poses in it; hint: a line is 48 numbers, three for each of 16 joints")
        }
        self.path = path
        (values, names, lines) = (parser.values, parser.names, parser.lines)
    }
}

/// Splits lines into names and numbers.
private struct PoseParser {
    var values: [Double] = []
    var names: [String] = []
    var lines: [Int] = []
    private var fields: [Slice<UnsafeRawBufferPointer>] = []

    private static let longestLine = 1 << 16

    /// Takes a line in; returns what is wrong with it, or nil.
    mutating func read(_ bytes: Slice<UnsafeRawBufferPointer>, line: Int) -> String? {
        guard bytes.count <= Self.longestLine else { return "a line of more than \(Self.longestLine) bytes" }
        split(bytes)
        guard let first = fields.first, first.first != UInt8(ascii: "#") else { return nil }
        let named = (try? FieldParser.double(first)) == nil && !Self.isNotFinite(first)
        // A heading names columns, and has no number at all.
        if named && lines.isEmpty && fields.count > 1 && !fields.contains(where: { (try? FieldParser.double($0)) != nil }) { return nil }
        var numbers = fields[...]
        // A number in front of 48 is the frame's.
        if named || fields.count == HandLabel.valueCount + 1 { numbers = numbers.dropFirst() }
        let name = numbers.count == fields.count ? "" : Self.name(first)
        if let reason = append(numbers) { return reason }
        if let before = names.first, before.isEmpty != name.isEmpty {
            return name.isEmpty ? "no name in front, and the lines before have one" : "a name in front, and the lines before have none"
        }
        names.append(name)
        lines.append(line)
        return nil
    }

    private mutating func append(_ numbers: ArraySlice<Slice<UnsafeRawBufferPointer>>) -> String? {
        let before = values.count
        for (place, field) in numbers.prefix(HandLabel.valueCount).enumerated() {
            do {
                values.append(try FieldParser.double(field))
            } catch {
                return "number \(place + 1), \(excerpt(field)), \(error == .notFinite ? "is not finite" : "is not a number")"
            }
        }
        guard numbers.count == HandLabel.valueCount else {
            values.removeLast(values.count - before)
            let joints =
                numbers.count > 3 && numbers.count % 3 == 0
                ? " (\(numbers.count / 3) joints of three, and ICVL's hand has \(HandLabel.jointCount))" : ""
            return "\(numbers.count) numbers, expected \(HandLabel.valueCount)\(joints)"
        }
        return nil
    }

    /// Windows writes `\` between folders.
    private static func name(_ field: Slice<UnsafeRawBufferPointer>) -> String {
        String(decoding: field.map { $0 == UInt8(ascii: "\\") ? UInt8(ascii: "/") : $0 }, as: UTF8.self)
    }

    /// `nan` and `inf` stand for numbers, not for a name.
    private static func isNotFinite(_ field: Slice<UnsafeRawBufferPointer>) -> Bool {
        Double(String(decoding: field, as: UTF8.self)).map { !$0.isFinite } ?? false
    }

    private mutating func split(_ bytes: Slice<UnsafeRawBufferPointer>) {
        fields.removeAll(keepingCapacity: true)
        var start = bytes.startIndex
        for index in bytes.indices where Self.separates(bytes[index]) {
            if index > start { fields.append(bytes.base[start..<index]) }
            start = index + 1
        }
        if start < bytes.endIndex { fields.append(bytes.base[start..<bytes.endIndex]) }
    }

    private static func separates(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "["),
            UInt8(ascii: "]"), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "\""):
            true
        default: false
        }
    }
}
