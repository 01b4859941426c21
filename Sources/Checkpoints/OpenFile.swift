import Glibc
import System

/// The owner of a file descriptor. Closed at the end of its life; whoever wrote calls `synchronize()` first, so that
/// nothing is left for `close(2)` to report.
struct OpenFile: ~Copyable, Sendable {
    let descriptor: Int32
    let path: String

    private init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { _ = close(descriptor) }

    /// `open(2)` for reading. Refuses all but regular files; a pipe or a device would block or never end.
    static func reading(_ path: String) throws(CheckpointError) -> OpenFile {
        let file = try CheckpointError.retrying { () throws(CheckpointError) in
            try opening(path, O_RDONLY | O_NONBLOCK, action: "open for reading")
        }
        guard try file.status().st_mode & S_IFMT == S_IFREG else {
            throw CheckpointError(
                .refused, path: path, "is not a regular file", hint: "remove or rename what stands in its place")
        }
        return file
    }

    /// `open(2)` of a file that must not be there yet.
    static func creating(_ path: String) throws(CheckpointError) -> OpenFile {
        try opening(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, action: "create")
    }

    /// `open(2)` of a file that is there, to be changed in place; a symbolic link is not followed.
    static func updating(_ path: String) throws(CheckpointError) -> OpenFile {
        try opening(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK, action: "open for writing")
    }

    /// `open(2)` of a directory, for `synchronize()`.
    static func directory(_ path: String) throws(CheckpointError) -> OpenFile {
        try opening(path, O_RDONLY | O_DIRECTORY, action: "open the directory")
    }

    private static func opening(
        _ path: String, _ flags: Int32, action: String
    ) throws(CheckpointError) -> OpenFile {
        while true {
            let descriptor = open(path, flags | O_CLOEXEC, 0o666)
            if descriptor >= 0 { return OpenFile(descriptor: descriptor, path: path) }
            if errno != EINTR { throw .system(action, path, code: errno, making: flags & (O_CREAT | O_DIRECTORY) != 0) }
        }
    }

    /// `fstat(2)`.
    func status() throws(CheckpointError) -> stat {
        var status = stat()
        let code = StorageRetry.errorNumber { fstat(descriptor, &status) }
        guard code == 0 else { throw .system("examine", path, code: code) }
        return status
    }

    /// Size in bytes.
    func byteCount() throws(CheckpointError) -> Int {
        Int(try status().st_size)
    }

    /// `write(2)` until all bytes are taken; interrupted and partial writes go on.
    func write(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
        var rest = bytes
        while let start = rest.baseAddress, rest.count > 0 {
            let written = Glibc.write(descriptor, start, rest.count)
            if written > 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest[written...])
            } else if written == 0 || errno != EINTR {
                throw .system("write", path, code: written == 0 ? EIO : errno)
            }
        }
    }

    /// `write(_:)` of an array.
    func write(_ bytes: [UInt8]) throws(CheckpointError) {
        let result: Result<Void, CheckpointError> = bytes.withUnsafeBytes { buffer in
            Result { () throws(CheckpointError) in try write(buffer) }
        }
        try result.get()
    }

    /// `pread(2)` until the buffer is full or the file ends. Touches no shared position: any thread may call it.
    ///
    /// - Returns: the number of bytes read; less than asked only at the end of the file.
    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(CheckpointError) -> Int {
        do throws(CheckpointError) {
            return try readOnce(at: offset, into: buffer)
        } catch {
            guard let code = error.systemCode, StorageRetry.mayPass(code) else { throw error }
            // A handle that went stale stays so: the file is opened anew, where it still is the same.
            for pause in StorageRetry.pauses {
                StorageRetry.sleep(seconds: pause)
                if let count = try? readOnce(at: offset, into: buffer) { return count }
                if let anew = try? Self.opening(path, O_RDONLY | O_NONBLOCK, action: "open for reading"), isSame(anew),
                    let count = try? anew.readOnce(at: offset, into: buffer)
                {
                    return count
                }
            }
            throw error
        }
    }

    /// Whether `other` is this file by size and number; true where this one cannot be asked any more.
    private func isSame(_ other: borrowing OpenFile) -> Bool {
        var (own, new) = (stat(), stat())
        guard fstat(other.descriptor, &new) == 0 else { return false }
        guard fstat(descriptor, &own) == 0 else { return true }
        return own.st_ino == new.st_ino && own.st_size == new.st_size
    }

    private func readOnce(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(CheckpointError) -> Int {
        var done = 0
        while let start = buffer.baseAddress, done < buffer.count {
            let count = pread(descriptor, start + done, buffer.count - done, off_t(offset + done))
            if count == 0 { break }
            if count > 0 {
                done += count
            } else if errno != EINTR {
                throw .system("read", path, code: errno)
            }
        }
        return done
    }

    /// `fsync(2)`: what was written survives a power cut.
    func synchronize() throws(CheckpointError) {
        while fsync(descriptor) != 0 {
            // A file system without fsync on directories says EINVAL; there is nothing better to be had from it.
            if errno == EINVAL { return }
            if errno != EINTR { throw .system("write to stable storage", path, code: errno) }
        }
    }

    /// All bytes of a file.
    ///
    /// - Throws: `.damaged` when it is larger than `limit` bytes.
    static func contents(of path: String, limit: Int) throws(CheckpointError) -> [UInt8] {
        let file = try reading(path)
        let byteCount = try file.byteCount()
        guard byteCount <= limit else {
            throw .damaged(path, "is \(byteCount) bytes long, more than the \(limit) such a file may have")
        }
        var bytes = [UInt8](repeating: 0, count: byteCount)
        let result: Result<Int, CheckpointError> = bytes.withUnsafeMutableBytes { buffer in
            Result { () throws(CheckpointError) in try file.read(at: 0, into: buffer) }
        }
        bytes.removeLast(byteCount - (try result.get()))
        return bytes
    }
}
