import Glibc

/// The lock of a run directory: a file with the holder's name in it, and `flock(2)` upon it.
///
/// `flock` decides where the file system has it, also over a network: the kernel gives it back when its holder dies,
/// however it died. Where it is not supported, the record decides: a holder on this host that is gone is passed over,
/// one on another host is believed.
package final class RunLock {
    /// The holder that was found dead, if the lock was taken over.
    package let takenOverFrom: LockRecord?
    private let path: String
    private let file: OpenFile

    private init(path: String, file: consuming OpenFile, takenOverFrom: LockRecord?) {
        self.path = path
        self.file = file
        self.takenOverFrom = takenOverFrom
    }

    /// Removes the file, then closes it, which gives the lock back.
    deinit {
        if Self.isCurrent(file, path) { unlink(path) }
    }

    /// Takes the lock.
    ///
    /// - Parameter tryLock: 0 or an `errno`; tests put a file system without locks here.
    /// - Throws: `.locked` naming the holder; `.system` where the file cannot be written.
    package static func acquire(
        _ path: String, tryLock: (Int32) -> Int32 = RunLock.flockExclusively
    ) throws(CheckpointError) -> RunLock {
        // Another run may remove its lock between our open and our flock: then there is a new file to try.
        for _ in 0..<100 {
            if let lock = try attempt(path, tryLock) { return lock }
        }
        throw CheckpointError(.locked, path: path, "other runs keep taking this lock")
    }

    /// Throws when the file at the path is not a lock of this process (any more): its directory was removed or renamed since,
    /// and perhaps belongs to another run now. A file that cannot be read for another reason decides nothing.
    package static func requireHeld(_ path: String) throws(CheckpointError) {
        let isHeld: Bool
        do throws(CheckpointError) {
            isHeld = record(in: try OpenFile.reading(path)) == .current()
        } catch {
            isHeld = error.kind != .missing
        }
        guard isHeld else {
            throw CheckpointError(
                .locked, path: path, "is not this run's any more: its directory was removed, renamed, or taken by another run",
                hint: "resume from where the checkpoints are now, with --run-dir")
        }
    }

    /// Adds to this process's lock that it saves a step and then ends, so that the next run knows to wait.
    package static func note(saving step: Int, lock path: String) {
        guard (try? requireHeld(path)) != nil else { return }
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return }
        let bytes = Array(LockRecord.line(saving: step).utf8)
        _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        Glibc.close(descriptor)
    }

    /// Whether a process other than this one holds a lock, as far as can be told from here.
    package static func isHeld(_ path: String) -> Bool {
        guard let file = try? OpenFile.reading(path) else { return false }
        switch flock(file.descriptor, LOCK_SH | LOCK_NB) == 0 ? 0 : errno {
        case 0: return false
        case EWOULDBLOCK: return true
        default: return record(in: file).map { !$0.isStale } ?? false
        }
    }

    /// Who holds a lock, or held it last; nil where nobody does.
    package static func holder(of path: String) -> LockRecord? {
        guard let file = try? OpenFile.reading(path) else { return nil }
        return record(in: file)
    }

    /// `flock(2)` without waiting: 0 or its `errno`.
    package static func flockExclusively(_ descriptor: Int32) -> Int32 {
        flock(descriptor, LOCK_EX | LOCK_NB) == 0 ? 0 : errno
    }

    /// One try; nil when the file vanished meanwhile.
    private static func attempt(_ path: String, _ tryLock: (Int32) -> Int32) throws(CheckpointError) -> RunLock? {
        let isNew: Bool
        let file: OpenFile
        do throws(CheckpointError) {
            file = try .creating(path)
            isNew = true
        } catch {
            guard error.kind == .system(code: EEXIST) else { throw error }
            do throws(CheckpointError) {
                file = try .updating(path)
            } catch {
                if error.kind == .missing { return nil }
                throw error
            }
            isNew = false
        }
        switch tryLock(file.descriptor) {
        case 0:
            guard isCurrent(file, path) else { return nil }
            let previous = record(in: file)
            try write(.current(), to: file)
            return RunLock(path: path, file: file, takenOverFrom: previous)
        case EINTR:
            return nil
        case EWOULDBLOCK:
            throw held(path, by: record(in: file))
        case ENOLCK, ENOSYS, ENOTSUP, EINVAL:
            return try attemptByRecord(path, file, isNew: isNew)
        case let code:
            throw .system("lock", path, code: code)
        }
    }

    /// The same without `flock`: the creator of the file holds it, and a record can only be taken over from the dead.
    private static func attemptByRecord(
        _ path: String, _ file: consuming OpenFile, isNew: Bool
    ) throws(CheckpointError) -> RunLock {
        var previous: LockRecord?
        if !isNew {
            // A file without a record may be one whose creator is about to write it.
            for _ in 0..<10 where previous == nil {
                previous = record(in: file)
                if previous == nil { usleep(50_000) }
            }
            if let previous, !previous.isStale {
                throw held(
                    path, by: previous,
                    hint: "this file system has no locks to tell whether it still runs; if it does not, remove the file")
            }
        }
        try write(.current(), to: file)
        if !isNew {
            // Of two that take over at once, the last to write has it.
            usleep(100_000)
            guard record(in: file) == .current() else { throw held(path, by: record(in: file)) }
        }
        return RunLock(path: path, file: file, takenOverFrom: previous)
    }

    private static func held(_ path: String, by holder: LockRecord?, hint: String? = nil) -> CheckpointError {
        CheckpointError(
            .locked, path: path, "another run uses this directory: \(holder?.description ?? "its process is not known")",
            hint: hint ?? "wait for it, stop it, or choose another run directory")
    }

    /// Whether the open file is still the one that bears the name.
    private static func isCurrent(_ file: borrowing OpenFile, _ path: String) -> Bool {
        var named = stat()
        guard let opened = try? file.status(), lstat(path, &named) == 0 else { return false }
        return opened.st_dev == named.st_dev && opened.st_ino == named.st_ino
    }

    private static func record(in file: borrowing OpenFile) -> LockRecord? {
        var bytes = [UInt8](repeating: 0, count: 1024)
        var count = 0
        bytes.withUnsafeMutableBytes { buffer in count = (try? file.read(at: 0, into: buffer)) ?? 0 }
        return LockRecord(String(decoding: bytes[..<count], as: UTF8.self))
    }

    private static func write(_ record: LockRecord, to file: borrowing OpenFile) throws(CheckpointError) {
        guard ftruncate(file.descriptor, 0) == 0, lseek(file.descriptor, 0, SEEK_SET) == 0 else {
            throw .system("write", file.path, code: errno)
        }
        try file.write(Array(record.text.utf8))
        try file.synchronize()
    }
}
