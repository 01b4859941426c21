import Glibc
import System

/// What this module throws: one line that says where, what, and what to do.
package struct CheckpointError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The class of a failure, for a caller that decides by it (retry a write, fall back to an older checkpoint, stop).
    package enum Kind: Equatable, Sendable {
        /// The operating system refused; `code` is its `errno`.
        case system(code: Int32)
        /// A file is there and its content is not what was written.
        case damaged
        /// A file or directory that was asked for is not there.
        case missing
        /// The content is sound, and of a kind this program does not read.
        case unsupported
        /// Another run holds the directory.
        case locked
        /// The request would overwrite something, or makes no sense.
        case refused
    }

    package let kind: Kind
    /// The file or directory that is meant.
    package let path: String
    /// What is wrong with it.
    package let reason: String
    /// What to do about it.
    package let hint: String?

    package init(_ kind: Kind, path: String, _ reason: String, hint: String? = nil) {
        self.kind = kind
        self.path = path
        self.reason = reason
        self.hint = hint
    }

    /// `PATH: REASON; hint: HINT`, on one line whatever the path holds.
    package var description: String {
        let line = hint.map { "\(path): \(reason); hint: \($0)" } ?? "\(path): \(reason)"
        return String(line.map { $0.isNewline ? " " : $0 })
    }
}

extension CheckpointError {
    /// The one place where `errno` becomes words and a hint.
    ///
    /// - Parameters:
    ///   - action: what was tried, as in "cannot ACTION".
    ///   - making: the path is to be made or changed, so that it is missing means that it was taken away.
    static func system(_ action: String, _ path: String, code: Int32, making: Bool = false) -> CheckpointError {
        let hint: String? =
            switch code {
            case ENOSPC, EDQUOT: "free space on this file system, or keep fewer checkpoints"
            case EACCES, EPERM: "check the permissions of the path, or choose another directory"
            case EROFS: "the file system is read-only; choose another directory"
            case EIO, ESTALE, ETIMEDOUT: "the storage reports a fault; look at the file server, the mount and the kernel's log"
            case ENOTDIR: "a part of the path is a file, not a directory"
            case ELOOP: "the path is or holds a symbolic link where none is followed"
            case EISDIR: "a directory stands where a file belongs; remove or rename it"
            case ENOENT where making: "the directory it belongs in is gone; was it removed or renamed?"
            case EMFILE, ENFILE: "raise the limit on open files (ulimit -n)"
            case EFBIG: "raise the limit on the size of files (ulimit -f)"
            default: nil
            }
        return CheckpointError(
            code == ENOENT ? .missing : .system(code: code), path: path,
            "cannot \(action): \(String(cString: strerror(code)))", hint: hint)
    }

    /// The errno behind it, if there is one.
    var systemCode: Int32? {
        if case .system(let code) = kind { code } else { nil }
    }

    /// Whether storage did not answer, which says nothing about what is stored; a fault of a disk (EIO) may stay.
    package var isStorageAway: Bool { systemCode.map { StorageRetry.mayPass($0) && $0 != EIO } ?? false }

    /// Runs `body`, again where its failure may pass.
    static func retrying<Value: ~Copyable>(
        _ body: () throws(CheckpointError) -> Value
    ) throws(CheckpointError) -> Value {
        try StorageRetry.run(code: { $0.systemCode }, body)
    }

    /// Content that is not what a writer of this format produces.
    static func damaged(_ path: String, _ reason: String, hint: String? = nil) -> CheckpointError {
        CheckpointError(.damaged, path: path, reason, hint: hint)
    }
}

/// A name taken from a file, made fit for an error line: quoted, escaped, at most 80 characters.
func quoted(_ name: String) -> String {
    let prefix = name.prefix(80)
    return String(prefix).debugDescription + (prefix.endIndex == name.endIndex ? "" : "...")
}
