import Glibc
import Memory
import System

/// Directory operations with errors in words. None follows a symbolic link out of the tree it was given.
package enum Directories {
    /// `mkdir(2)` with all missing parents, each made to last; one that is there already is fine, and keeps its mode.
    /// - Parameter mode: of the last one, where it is made; the umask applies, as to its parents.
    static func create(_ path: String, mode: mode_t = 0o777) throws(CheckpointError) {
        var parent = path.hasPrefix("/") ? "/" : "."
        let parts = path.split(separator: "/")
        for (index, part) in parts.enumerated() {
            let directory = parent == "/" ? "/\(part)" : "\(parent)/\(part)"
            if mkdir(directory, index == parts.count - 1 ? mode : 0o777) == 0 {
                // A parent that may be written but not read cannot be opened for this.
                try? synchronize(parent)
            } else if errno != EEXIST {
                let code = errno
                // mkdir under a read-only or foreign parent may fail for a directory that is there.
                var status = stat()
                guard stat(directory, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
                    throw .system("create the directory", directory, code: code)
                }
            }
            parent = directory
        }
        var status = stat()
        guard stat(path, &status) == 0 else { throw .system("examine", path, code: errno) }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw .system("use as a directory", path, code: ENOTDIR) }
    }

    /// `mkdir(2)` of one directory, which must not be there yet, in one that must.
    static func createOne(_ path: String) throws(CheckpointError) {
        guard mkdir(path, 0o777) == 0 else { throw .system("create the directory", path, code: errno, making: true) }
    }

    /// The names in a directory, sorted; nil when it is not there.
    package static func names(in path: String) throws(CheckpointError) -> [String]? {
        try CheckpointError.retrying { () throws(CheckpointError) in try namesOnce(in: path) }
    }

    private static func namesOnce(in path: String) throws(CheckpointError) -> [String]? {
        do {
            return try directoryNames(path).sorted()
        } catch  where error.errno == ENOENT {
            return nil
        } catch {
            throw .system("list the directory", path, code: error.errno)
        }
    }

    /// Whether anything, a dangling symbolic link included, has this name.
    static func exists(_ path: String) -> Bool {
        var status = stat()
        return StorageRetry.errorNumber { lstat(path, &status) } == 0
    }

    /// What the names of files being written end with: two hosts may write in one directory by processes of one number.
    static var uniqueSuffix: String { "\(getpid())-\(String(UInt32.random(in: 0...UInt32.max), radix: 16))" }

    /// Removes a file, a link (not what it points at), or a directory with all in it. A name that is not there is fine.
    package static func remove(_ path: String) throws(CheckpointError) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw .system("examine", path, code: errno)
        }
        let isDirectory = status.st_mode & S_IFMT == S_IFDIR
        if isDirectory {
            for name in try names(in: path) ?? [] { try remove("\(path)/\(name)") }
        }
        guard (isDirectory ? rmdir(path) : unlink(path)) == 0 || errno == ENOENT else {
            throw .system("remove", path, code: errno)
        }
    }

    /// `rename(2)`.
    static func move(_ source: String, to target: String) throws(CheckpointError) {
        guard rename(source, target) == 0 else { throw .system("rename to \(target)", source, code: errno, making: true) }
    }

    /// `fsync(2)` of a directory: renames in it survive a power cut.
    static func synchronize(_ path: String) throws(CheckpointError) {
        try OpenFile.directory(path).synchronize()
    }
}
