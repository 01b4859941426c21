import Glibc
import System

/// Who holds a run directory: what stands in its `lock` file, as three lines `host NAME`, `pid N`, `start N`, and a fourth
/// `saving STEP` when the run was asked to stop, and will be gone soon.
package struct LockRecord: Equatable, Sendable, CustomStringConvertible {
    package let host: String
    package let pid: Int32
    /// When the process started, clock ticks since boot; tells it from a later process with the same number.
    package let start: UInt64
    /// The step that the holder saves before it ends; nil as long as nobody asked it to end.
    package let saving: Int?

    package init(host: String, pid: Int32, start: UInt64, saving: Int? = nil) {
        self.host = host
        self.pid = pid
        self.start = start
        self.saving = saving
    }

    /// Whether two records name the same process.
    package static func == (first: LockRecord, second: LockRecord) -> Bool {
        (first.host, first.pid, first.start) == (second.host, second.pid, second.start)
    }

    package var description: String { "process \(pid) on host \(host)" }

    /// This process.
    package static func current() -> LockRecord {
        LockRecord(host: hostName(), pid: getpid(), start: startTime(of: getpid()) ?? 0)
    }

    /// Reads what `text` writes; nil for anything else, such as a record torn by a kill.
    init?(_ text: String) {
        let lines = text.split(separator: "\n").map { $0.split(separator: " ", maxSplits: 1).map(String.init) }
        let keys = ["host", "pid", "start", "saving"]
        guard 3...4 ~= lines.count, lines.allSatisfy({ $0.count == 2 }), lines.map({ $0[0] }) == Array(keys.prefix(lines.count)),
            let pid = Int32(lines[1][1]), pid > 0, let start = UInt64(lines[2][1])
        else { return nil }
        self.init(host: lines[0][1], pid: pid, start: start, saving: lines.count == 4 ? Int(lines[3][1]) : nil)
    }

    /// The content of the file.
    package var text: String { "host \(host)\npid \(pid)\nstart \(start)\n" + (saving.map(Self.line(saving:)) ?? "") }

    /// What a holder adds when it begins to save and end.
    static func line(saving step: Int) -> String { "saving \(step)\n" }

    /// Whether the process is known to be gone: it ran on this host, and no process of this number and start time is here.
    package var isStale: Bool {
        host == hostName() && Self.startTime(of: pid) != start
    }

    /// Field 22 of `/proc/<pid>/stat` (proc(5)); nil when there is no such process, or it is a zombie.
    package static func startTime(of pid: Int32) -> UInt64? {
        // A file of /proc has size 0: it is read, not measured.
        guard let file = try? OpenFile.reading("/proc/\(pid)/stat") else { return nil }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = bytes.withUnsafeMutableBytes { buffer in (try? file.read(at: 0, into: buffer)) ?? 0 }
        // The second field is the program's name in parentheses, which may hold spaces and parentheses itself.
        guard let nameEnd = bytes[..<count].lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = String(decoding: bytes[(nameEnd + 1)..<count], as: UTF8.self).split(separator: " ")
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
        return UInt64(fields[19])
    }
}
