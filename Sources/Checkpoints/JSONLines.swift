import FoundationEssentials
import Glibc

/// Files to which one JSON object a line is appended, such as `metrics.jsonl`.
package enum JSONLines {
    /// Largest file that is read back, bytes.
    private static let byteLimit = 1 << 31

    /// What a truncation did.
    package struct Truncation: Equatable, Sendable {
        package let keptLines: Int
        package let droppedLines: Int
    }

    /// Drops the lines that `keep` refuses, and a last line without its newline (torn by a kill while it was written).
    ///
    /// Lines dropped at the end are cut off in place; where others go, the file is replaced at once (`AtomicFile`).
    /// - Parameter keep: gets a line without its newline.
    /// - Returns: counts; zeros when there is no file.
    /// - Throws: `.system`; `.refused` for a symbolic link or what is not a regular file.
    @discardableResult
    package static func truncate(
        _ path: String, keepingWhere keep: (ArraySlice<UInt8>) -> Bool
    ) throws(CheckpointError) -> Truncation {
        guard Directories.exists(path) else { return Truncation(keptLines: 0, droppedLines: 0) }
        let file = try OpenFile.updating(path)
        let bytes = try OpenFile.contents(of: path, limit: byteLimit)

        var kept: [UInt8] = []
        var (keptLines, droppedLines, keptPrefix) = (0, 0, 0)
        var isPrefix = true
        var start = 0
        while start < bytes.count {
            let newline = bytes[start...].firstIndex(of: UInt8(ascii: "\n"))
            let end = newline.map { $0 + 1 } ?? bytes.count
            if let newline, keep(bytes[start..<newline]) {
                keptLines += 1
                if droppedLines > 0 {
                    if isPrefix { kept = Array(bytes[..<keptPrefix]) }
                    isPrefix = false
                    kept.append(contentsOf: bytes[start..<end])
                } else {
                    keptPrefix = end
                }
            } else {
                droppedLines += 1
            }
            start = end
        }
        if isPrefix, keptPrefix < bytes.count {
            guard ftruncate(file.descriptor, off_t(keptPrefix)) == 0 else {
                throw .system("cut", path, code: errno)
            }
            try file.synchronize()
        } else if !isPrefix {
            try AtomicFile.write(path, kept)
        }
        return Truncation(keptLines: keptLines, droppedLines: droppedLines)
    }

    /// Drops the lines of later steps, by their key `step`; and lines without one, which no run writes.
    ///
    /// - Throws: as `truncate(_:keepingWhere:)`.
    @discardableResult
    package static func truncate(_ path: String, afterStep step: Int) throws(CheckpointError) -> Truncation {
        let decoder = JSONDecoder()
        return try truncate(path) { line in
            guard let record = try? decoder.decode(Record.self, from: Data(line)) else { return false }
            return record.step <= step
        }
    }

    private struct Record: Decodable {
        let step: Int
    }
}
