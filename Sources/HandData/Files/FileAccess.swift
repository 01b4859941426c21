import Glibc
import System

/// Why a file could not be read, without its path: the caller knows the place that a message should name.
struct FileFailure: Error, Equatable {
    let reason: String
    /// The errno behind it, if there is one.
    let code: Int32?

    init(_ reason: String) { (self.reason, code) = (reason, nil) }
    init(errno code: Int32) {
        reason = code == ENOENT ? "missing file" : String(cString: strerror(code))
        self.code = code
    }

    /// Whether the file may be read later: the file server, or a shortage, is to blame.
    var mayPass: Bool { code.map(StorageRetry.mayPass) ?? false }

    /// The same, said after all tries.
    var afterTries: FileFailure { mayPass ? FileFailure("\(reason), in \(StorageRetry.tries) tries", code) : self }

    private init(_ reason: String, _ code: Int32?) { (self.reason, self.code) = (reason, code) }

    /// Runs `body`, again where its failure may pass.
    static func retrying<Value: ~Copyable>(_ body: () throws(FileFailure) -> Value) throws(FileFailure) -> Value {
        do throws(FileFailure) {
            return try StorageRetry.run(code: { $0.code }, body)
        } catch {
            throw error.afterTries
        }
    }
}

/// An open file descriptor, closed with its owner.
struct FileDescriptor: ~Copyable {
    let number: Int32

    /// open(2). Never waits for a FIFO's other end, and never hands the descriptor on to a child.
    init(opening path: UnsafePointer<CChar>, flags: Int32, mode: mode_t = 0o644) throws(FileFailure) {
        var opened: Int32
        repeat { opened = open(path, flags | O_CLOEXEC | O_NONBLOCK, mode) } while opened < 0 && errno == EINTR
        guard opened >= 0 else { throw FileFailure(errno: errno) }
        number = opened
    }

    deinit { close(number) }

    /// The size of a regular file in bytes; directories, devices and pipes are refused.
    func regularSize() throws(FileFailure) -> Int {
        var status = stat()
        guard fstat(number, &status) == 0 else { throw FileFailure(errno: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw FileFailure("not a regular file") }
        return Int(status.st_size)
    }

    /// read(2) until `buffer` is full or the file ends; the number of bytes read.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileFailure) -> Int {
        var filled = 0
        while filled < buffer.count {
            let got = Glibc.read(number, buffer.baseAddress! + filled, buffer.count - filled)
            if got < 0 && errno == EINTR { continue }
            guard got >= 0 else { throw FileFailure(errno: errno) }
            if got == 0 { break }
            filled += got
        }
        return filled
    }

    /// write(2) of all bytes.
    func write(_ bytes: UnsafeRawBufferPointer) throws(FileFailure) {
        var written = 0
        while written < bytes.count {
            let put = Glibc.write(number, bytes.baseAddress! + written, bytes.count - written)
            if put < 0 && errno == EINTR { continue }
            guard put >= 0 else { throw FileFailure(errno: errno) }
            written += put
        }
    }
}

/// Bytes read from a file; freed with their owner.
struct FileBytes: ~Copyable {
    private let storage: UnsafeMutableRawPointer
    let count: Int

    /// All bytes of the regular file at `path`; memory is its size, and a file above `limit` bytes is refused unread.
    init(contentsOf path: UnsafePointer<CChar>, limit: Int) throws(FileFailure) {
        let file = try FileDescriptor(opening: path, flags: O_RDONLY)
        let size = try file.regularSize()
        guard size <= limit else { throw FileFailure("\(size) bytes, more than the \(limit) such a file can have") }
        guard let allocated = malloc(max(size, 1)) else { throw FileFailure(errno: ENOMEM) }
        do {
            count = try file.read(into: UnsafeMutableRawBufferPointer(start: allocated, count: size))
        } catch {
            free(allocated)
            throw error
        }
        storage = allocated
    }

    deinit { free(storage) }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: storage, count: count) }
}

/// Writes `bytes` under a temporary name beside `path` and renames: the file is whole or as it was before.
func writeAtomically(_ bytes: UnsafeRawBufferPointer, to path: String) throws(DataError) {
    // Two hosts may write here at once by processes of one number.
    let temporary = "\(path).\(getpid())-\(String(UInt32.random(in: 0...UInt32.max), radix: 16)).partial"
    do {
        let file = try FileDescriptor(opening: temporary, flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW)
        try file.write(bytes)
    } catch {
        unlink(temporary)
        throw DataError(
            "cannot write \(printable(path)): \(error.reason); hint: is the directory there, writable, and not full?")
    }
    guard rename(temporary, path) == 0 else {
        let code = errno
        unlink(temporary)
        throw DataError("cannot write", path, errno: code)
    }
}

enum FileKind { case directory, regular, other, absent }

/// What stands at `path`, links followed.
func fileKind(_ path: String) -> FileKind {
    var status = stat()
    guard StorageRetry.errorNumber({ stat(path, &status) }) == 0 else { return .absent }
    switch status.st_mode & S_IFMT {
    case S_IFDIR: return .directory
    case S_IFREG: return .regular
    default: return .other
    }
}

/// The names in a directory, without `.` and `..`, sorted bytewise.
func directoryEntries(_ path: String) throws(DataError) -> [String] {
    do throws(FileFailure) {
        return try FileFailure.retrying { () throws(FileFailure) in try namesOnce(path) }
    } catch {
        throw DataError("cannot list \(printable(path)): \(error.reason)")
    }
}

private func namesOnce(_ path: String) throws(FileFailure) -> [String] {
    do {
        return try directoryNames(path).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    } catch {
        throw FileFailure(errno: error.errno)
    }
}

/// mkdir(2) of `path` and its missing parents.
func createDirectories(_ path: String) throws(DataError) {
    if mkdir(path, 0o755) == 0 { return }
    let code = errno
    if code == EEXIST && fileKind(path) == .directory { return }
    if code == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex {
        try createDirectories(String(path[..<slash]))
        if mkdir(path, 0o755) == 0 || (errno == EEXIST && fileKind(path) == .directory) { return }
        throw DataError("cannot create the directory", path, errno: errno)
    }
    throw DataError("cannot create the directory", path, errno: code)
}
