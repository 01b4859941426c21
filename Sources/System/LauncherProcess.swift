package import Glibc

/// The process that started this rank: Open MPI's mpirun, or its daemon on another node.
package enum LauncherProcess {
    /// How their programs' names begin, as Open MPI 4 and 5 have them.
    private static let names = ["mpirun", "mpiexec", "orterun", "orted", "prterun", "prted", "prun"]

    /// The nearest of this process's ancestors that is a launcher; there may be shells and the like in between.
    /// - Returns: nil where there is none, or /proc does not tell.
    package static func find() -> pid_t? {
        var process = getppid()
        while process > 1 {
            guard let record = Record(process) else { return nil }
            if names.contains(where: record.name.hasPrefix) { return process }
            process = record.parent
        }
        return nil
    }

    /// Whether a process is there and has not ended.
    package static func isAlive(_ process: pid_t) -> Bool {
        guard let record = Record(process) else { return false }
        return record.state != "Z" && record.state != "X"
    }

    /// Whether a process was stopped (SIGSTOP, SIGTSTP).
    package static func isStopped(_ process: pid_t) -> Bool { Record(process)?.state == "T" }

    /// The first fields of /proc/PID/stat (proc(5)).
    private struct Record {
        let name: String
        let state: Character
        let parent: pid_t

        init?(_ process: pid_t) {
            guard let file = fopen("/proc/\(process)/stat", "r") else { return nil }
            defer { fclose(file) }
            var buffer = [UInt8](repeating: 0, count: 512)
            let count = fread(&buffer, 1, buffer.count, file)
            let text = String(decoding: buffer[..<count], as: UTF8.self)
            // The name stands in parentheses, and may hold anything.
            guard let open = text.firstIndex(of: "("), let close = text.lastIndex(of: ")"), open < close else { return nil }
            let fields = text[text.index(after: close)...].split(separator: " ")
            guard fields.count > 1, let state = fields[0].first, let parent = pid_t(fields[1]) else { return nil }
            name = String(text[text.index(after: open)..<close])
            self.state = state
            self.parent = parent
        }
    }
}
