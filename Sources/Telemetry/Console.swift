import Glibc

/// What rank 0 says: plain lines, and on a terminal one line that is rewritten as a step's progress.
package final class Console {
    private let isTerminal: Bool
    private let isQuiet: Bool
    private var progressWidth = 0

    /// - Parameters:
    ///   - isQuiet: prints nothing: every rank but 0.
    ///   - isTerminal: whether a line can be rewritten; by default, whether a person is watching.
    package init(isQuiet: Bool = false, isTerminal: Bool = Console.isWatched) {
        self.isQuiet = isQuiet
        self.isTerminal = isTerminal
    }

    /// Whether standard output ends at a terminal. Open MPI gives each rank a pseudo-terminal of its own, which says nothing:
    /// what counts there is the output of mpirun, the parent.
    package static var isWatched: Bool {
        guard isatty(STDOUT_FILENO) == 1 else { return false }
        guard getenv("OMPI_COMM_WORLD_SIZE") != nil else { return true }
        var target = [CChar](repeating: 0, count: 256)
        let length = readlink("/proc/\(getppid())/fd/1", &target, 255)
        guard length > 0 else { return false }
        let path = String(decoding: target.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self)
        return path.hasPrefix("/dev/pts/") || path.hasPrefix("/dev/tty")
    }

    /// A line that stays.
    package func line(_ text: String) {
        guard !isQuiet else { return }
        clearProgress()
        Self.emit(text + "\n")
    }

    /// A step's progress: rewritten in place on a terminal, a line of its own elsewhere when `isDue`.
    package func progress(_ text: String, isDue: Bool) {
        guard !isQuiet else { return }
        guard isTerminal else {
            if isDue { line(text) }
            return
        }
        let padding = String(repeating: " ", count: max(0, progressWidth - text.count))
        Self.emit("\r\(text)\(padding)")
        progressWidth = text.count
    }

    /// A line that starts with `warning:`.
    package func warning(_ text: String) { line("warning: \(text)") }

    /// Ends a rewritten line, so that what follows starts on a line of its own.
    package func clearProgress() {
        guard progressWidth > 0 else { return }
        Self.emit("\r\(String(repeating: " ", count: progressWidth))\r")
        progressWidth = 0
    }

    /// One write, unbuffered: what was said before a crash was seen.
    private static func emit(_ text: String) {
        let bytes = Array(text.utf8)
        _ = bytes.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
    }
}
