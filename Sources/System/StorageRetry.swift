import Glibc

/// Tries again what a file server, or a passing shortage, refused: a fault that passes must neither end a run nor lose a
/// sample.
package enum StorageRetry {
    /// Pauses before the second and the third try, s: those of a checkpoint's writing.
    package static let pauses: [Double] = [1, 4]
    package static var tries: Int { pauses.count + 1 }

    /// Whether the errno `code` may be another one a moment later. What a file system says about the path itself is final.
    package static func mayPass(_ code: Int32) -> Bool {
        switch code {
        case ENOENT, EACCES, EPERM, ENOTDIR, EISDIR, ELOOP, ENAMETOOLONG, EINVAL, EBADF, EFAULT, ENXIO, ENODEV, EROFS, EEXIST,
            ENOTEMPTY, EFBIG, EOVERFLOW, ENOSYS, EOPNOTSUPP, ESPIPE, ETXTBSY, EXDEV, EMLINK, ENOSPC, EDQUOT, EILSEQ, ESRCH:
            false
        default: true
        }
    }

    /// Runs `body` until it succeeds, fails for good, or has failed three times.
    /// - Parameter code: the errno behind a failure; nil: it is none that may pass.
    package static func run<Value: ~Copyable, Failure: Error>(
        code: (Failure) -> Int32?, _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        for pause in pauses {
            do throws(Failure) {
                return try body()
            } catch {
                guard let number = code(error), mayPass(number) else { throw error }
            }
            sleep(seconds: pause)
        }
        return try body()
    }

    /// `call` and its errno, tried again as `run` does; for calls that return -1, such as stat(2).
    /// - Returns: 0, or the errno of the last try.
    package static func errorNumber(_ call: () -> Int32) -> Int32 {
        func attempt() -> Int32 { call() == 0 ? 0 : errno }
        for pause in pauses {
            let code = attempt()
            if code == 0 || !mayPass(code) { return code }
            sleep(seconds: pause)
        }
        return attempt()
    }

    package static func sleep(seconds: Double) { usleep(UInt32(seconds * 1e6)) }
}
