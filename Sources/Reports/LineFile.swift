import Glibc

/// A file of lines that may still be growing: read in pieces of a megabyte, and again where it went on.
final class LineFile {
    private let path: String
    private var offset = 0
    /// The start of a line whose end is not written yet.
    private var rest: [UInt8] = []

    init(path: String) { self.path = path }

    /// Whether the file ends within a line.
    var endsWithinLine: Bool { !rest.isEmpty }

    /// Calls `body` with each line that was completed since the last call, without its newline.
    ///
    /// A file that became shorter (a resumed run cuts off what came after its checkpoint) is read from its start again.
    /// - Returns: nil when it cannot be opened; else whether it was read from the start.
    func forEachNewLine(_ body: (UnsafeBufferPointer<UInt8>) -> Void, restart: () -> Void = {}) -> Bool? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        var isRestarted = offset == 0
        if Int(status.st_size) < offset {
            (offset, rest, isRestarted) = (0, [], true)
            restart()
        }
        let capacity = 1 << 20
        let piece = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        defer { piece.deallocate() }
        while true {
            let count = pread(descriptor, piece, capacity, off_t(offset))
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            offset += count
            lines(UnsafeBufferPointer(start: piece, count: count), body)
        }
        return isRestarted
    }

    private func lines(_ piece: UnsafeBufferPointer<UInt8>, _ body: (UnsafeBufferPointer<UInt8>) -> Void) {
        var start = 0
        while start < piece.count {
            guard let found = memchr(piece.baseAddress! + start, 10, piece.count - start) else { break }
            let end = UnsafeRawPointer(found) - UnsafeRawPointer(piece.baseAddress!)
            let line = UnsafeBufferPointer(rebasing: piece[start..<end])
            if rest.isEmpty {
                body(line)
            } else {
                rest.append(contentsOf: line)
                rest.withUnsafeBufferPointer(body)
                rest.removeAll(keepingCapacity: true)
            }
            start = end + 1
        }
        rest.append(contentsOf: piece[start...])
    }
}
