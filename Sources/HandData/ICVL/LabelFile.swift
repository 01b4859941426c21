import Glibc
import System

/// Reader of ICVL label files: `path u1 v1 d1 ... u16 v16 d16` a line.
///
/// Works on raw bytes: lines end with LF, blanks and CRs before it are dropped (the test sequences end theirs with
/// space CR CR LF), empty lines and a byte order mark are passed over. Names are opaque; duplicates are samples.
package enum LabelFile {
    package enum Form: Sendable {
        /// A name, then 48 numbers.
        case named
        /// 48 numbers alone, as published predictions are written.
        case numbersOnly
    }

    /// Appends the samples of the label file at `path` to `table`; malformed lines go to `table.malformed`.
    ///
    /// Memory beyond the table is one mebibyte, whatever the file's size.
    /// - Parameter keeping: told a line's name; false leaves the line out, its numbers unread.
    /// - Throws: `DataError` if the file cannot be read.
    package static func read(
        _ path: String, form: Form = .named, into table: inout LabelTable,
        keeping: (Slice<UnsafeRawBufferPointer>) -> Bool = { _ in true }
    ) throws(DataError) {
        table.begin(file: path)
        var parser = LabelParser(form: form)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { buffer.deallocate() }
        do throws(FileFailure) {
            var file = try FileFailure.retrying { () throws(FileFailure) in
                let file = try FileDescriptor(opening: path, flags: O_RDONLY)
                _ = try file.regularSize()
                return file
            }
            var kept = 0
            var offset = 0
            while true {
                let room = UnsafeMutableRawBufferPointer(rebasing: buffer[kept...])
                let got: Int
                do throws(FileFailure) {
                    got = try file.read(into: room)
                } catch {
                    guard error.mayPass else { throw error }
                    // A handle that went stale stays so: the file is opened anew, where reading stopped.
                    StorageRetry.sleep(seconds: StorageRetry.pauses[0])
                    file = try FileFailure.retrying { () throws(FileFailure) in try reopen(path, at: offset) }
                    got = try file.read(into: room)
                }
                offset += got
                let filled = UnsafeRawBufferPointer(rebasing: buffer[..<(kept + got)])
                let isLast = kept + got < buffer.count
                let consumed = parser.consume(filled, isLast: isLast, into: &table, keeping: keeping)
                if isLast { return }
                kept = filled.count - consumed
                memmove(buffer.baseAddress!, buffer.baseAddress! + consumed, kept)
            }
        } catch {
            throw DataError(
                "cannot read the label file \(printable(path)): \(error.reason); hint: is it there, and may you read it?"
            )
        }
    }

    private static func reopen(_ path: String, at offset: Int) throws(FileFailure) -> FileDescriptor {
        let file = try FileDescriptor(opening: path, flags: O_RDONLY)
        guard lseek(file.number, off_t(offset), SEEK_SET) >= 0 else { throw FileFailure(errno: errno) }
        return file
    }

    /// The same for bytes in memory; `name` stands for the file in messages.
    package static func parse(
        _ bytes: UnsafeRawBufferPointer, named name: String, form: Form = .named, into table: inout LabelTable,
        keeping: (Slice<UnsafeRawBufferPointer>) -> Bool = { _ in true }
    ) {
        table.begin(file: name)
        var parser = LabelParser(form: form)
        _ = parser.consume(bytes, isLast: true, into: &table, keeping: keeping)
    }
}

/// Splits a stream of bytes into lines and lines into samples.
struct LabelParser {
    /// A label line has about 400 bytes; one far longer is no label line.
    static let longestLine = 1 << 16
    static let longestName = 1024

    private let form: LabelFile.Form
    private var line = 0
    /// Inside a line that was already reported as too long.
    private var skippingLine = false
    private var label = [Float](repeating: 0, count: HandLabel.valueCount)

    init(form: LabelFile.Form) { self.form = form }

    /// Reads all complete lines of `bytes`, and with `isLast` the unfinished one too; returns how many bytes are done
    /// with. The rest must stand at the start of the next call's bytes.
    mutating func consume(
        _ bytes: UnsafeRawBufferPointer, isLast: Bool, into table: inout LabelTable,
        keeping: (Slice<UnsafeRawBufferPointer>) -> Bool
    ) -> Int {
        var start = 0
        if line == 0, !skippingLine, bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF {
            start = 3
        }
        while start < bytes.count {
            let rest = bytes.count - start
            let newline = memchr(bytes.baseAddress! + start, 0x0A, rest)
            let length = newline.map { UnsafeRawPointer($0) - (bytes.baseAddress! + start) } ?? rest
            if newline == nil, !isLast, length <= Self.longestLine { return start }
            if !skippingLine {
                line += 1
                read(bytes[start..<(start + length)], into: &table, keeping: keeping)
            }
            skippingLine = newline == nil
            start += length + (newline == nil ? 0 : 1)
        }
        return bytes.count
    }

    private mutating func read(
        _ bytes: Slice<UnsafeRawBufferPointer>, into table: inout LabelTable,
        keeping: (Slice<UnsafeRawBufferPointer>) -> Bool
    ) {
        guard bytes.count <= Self.longestLine else {
            return table.appendMalformed(line: line, reason: "a line of more than \(Self.longestLine) bytes")
        }
        var fields = FieldIterator(bytes)
        var name = bytes[bytes.startIndex..<bytes.startIndex]
        if form == .named {
            guard let field = fields.next() else { return }
            if let reason = Self.unsafeName(field) {
                return table.appendMalformed(line: line, reason: reason)
            }
            guard keeping(field) else { return }
            name = field
        }
        var count = 0
        while let field = fields.next() {
            if count < HandLabel.valueCount {
                do {
                    label[count] = try FieldParser.float(field)
                } catch {
                    let complaint = error == .notFinite ? "is not finite" : "is not a number"
                    return table.appendMalformed(
                        line: line, reason: "value \(count + 1) of the label, \(excerpt(field)), \(complaint)")
                }
            }
            count += 1
        }
        if form == .numbersOnly, count == 0 { return }
        guard count == HandLabel.valueCount else {
            let expected = form == .named ? "48 after the path" : "48"
            let joints = count > 0 && count % 3 == 0 ? ": \(count / 3) joints of u, v, d, and ICVL has \(HandLabel.jointCount)" : ""
            return table.appendMalformed(line: line, reason: "\(count) numbers, expected \(expected)\(joints)")
        }
        label.withUnsafeBufferPointer { table.append(name: name, label: $0, line: line) }
    }

    /// Why `name` may not be opened, or nil: it must stay below the data directory whatever it says.
    static func unsafeName(_ name: Slice<UnsafeRawBufferPointer>) -> String? {
        guard name.count <= longestName else { return "a path of more than \(longestName) bytes" }
        guard !name.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            return "the path \(excerpt(name)) has a control character in it"
        }
        let slash = UInt8(ascii: "/")
        guard name.first != slash else {
            return "the path \(excerpt(name)) is absolute, expected one relative to Depth"
        }
        let leaves = name.split(separator: slash).contains { $0.elementsEqual("..".utf8) }
        return leaves ? "the path \(excerpt(name)) leaves the data directory" : nil
    }
}

/// The fields of a line: what stands between blanks, tabs and CRs.
struct FieldIterator {
    private let line: Slice<UnsafeRawBufferPointer>
    private var index: Int

    init(_ line: Slice<UnsafeRawBufferPointer>) {
        self.line = line
        index = line.startIndex
    }

    mutating func next() -> Slice<UnsafeRawBufferPointer>? {
        let bytes = line.base
        let end = line.endIndex
        while index < end, Self.separates(bytes[index]) { index += 1 }
        guard index < end else { return nil }
        let start = index
        while index < end, !Self.separates(bytes[index]) { index += 1 }
        return bytes[start..<index]
    }

    private static func separates(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
    }
}
