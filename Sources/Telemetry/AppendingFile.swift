import Glibc

/// A file that grows by whole pieces, each in one write, so that a reader never sees half of one of a living run.
///
/// A piece that cannot be written waits in memory and is written before the next one: a disk that is full for a while leaves
/// no gap.
final class AppendingFile {
    private let descriptor: Int32
    private let path: String
    /// Pieces that wait at most; beyond, the oldest are lost.
    private let mostWaiting: Int
    private var waiting: [[UInt8]] = []

    /// Opens for appending (open O_APPEND), creates if needed; a symbolic link is not followed.
    /// - Throws: `WriteError`.
    init(path: String, mostWaiting: Int = 100_000) throws(MetricsWriter.WriteError) {
        self.path = path
        self.mostWaiting = mostWaiting
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o666)
        guard descriptor >= 0 else { throw Self.failure(path) }
    }

    deinit { close(descriptor) }

    /// - Throws: `WriteError` when it could not be written; it is kept then.
    func append(_ piece: [UInt8]) throws(MetricsWriter.WriteError) {
        if waiting.count >= mostWaiting { waiting.removeFirst() }
        waiting.append(piece)
        try flush()
    }

    /// Writes the pieces that wait.
    /// - Throws: `WriteError` when some still do.
    func flush() throws(MetricsWriter.WriteError) {
        var done = 0
        defer { waiting.removeFirst(done) }
        while done < waiting.count {
            let piece = waiting[done]
            var before = stat()
            fstat(descriptor, &before)
            let written = piece.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard written == piece.count else {
                let failure = written < 0 ? Self.failure(path) : Self.failure(path, code: ENOSPC)
                // Half a piece would stay before the whole one.
                if written > 0 { ftruncate(descriptor, before.st_size) }
                throw failure
            }
            done += 1
        }
    }

    private static func failure(_ path: String, code: Int32 = errno) -> MetricsWriter.WriteError {
        MetricsWriter.WriteError(
            description: "\(path): cannot write (\(String(cString: strerror(code)))); "
                + "hint: free space or permissions of the run directory")
    }
}
