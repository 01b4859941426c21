import Glibc
import Synchronization
import System

/// Writes text to a descriptor from a thread of its own, so that a reader who pauses (Ctrl-S, `| less`, a full pipe) never
/// stops who speaks.
///
/// What cannot be written waits, up to a bound; beyond it lines are dropped, and the reader is told how many when there is room again.
/// A descriptor that does not block (EAGAIN) is waited for; one that refuses (ENOSPC, EIO) loses what it refuses; one whose
/// reader is gone (EPIPE) loses all.
package final class Outlet: @unchecked Sendable {  // all mutable members are guarded by the lock
    package static let standardOutput = Outlet(descriptor: STDOUT_FILENO)
    package static let standardError = Outlet(descriptor: STDERR_FILENO)

    /// How much a text matters when the reader pauses.
    package enum Weight {
        /// Rewritten by the next one: dropped first, and not counted.
        case passing
        case line
    }

    /// Grows while somebody waits in `flush`: for the watchdog, a sign of life.
    package static var waits: Int { waited.load(ordering: .relaxed) }
    private static let waited = Atomic<Int>(0)

    /// Bytes that wait at most; of passing ones, and of all.
    private static let mostPassing = 1 << 12
    private static let most = 1 << 20

    private let descriptor: Int32
    private let condition = ConditionLock()
    private var waiting: [[UInt8]] = []
    private var waitingBytes = 0
    private var isWriting = false
    private var isStarted = false
    private var isAbandoned = false
    private var dropped = 0
    private var lost = 0
    private var error: Int32 = 0

    package init(descriptor: Int32) { self.descriptor = descriptor }

    /// Queues a text; never waits.
    package func write(_ text: String, _ weight: Weight = .line) {
        condition.withLock {
            if isAbandoned { return }
            if waitingBytes + text.utf8.count > (weight == .passing ? Self.mostPassing : Self.most) {
                if weight == .line {
                    dropped += 1
                    lost += 1
                }
                return
            }
            if dropped > 0 {
                append("\nwarning: \(dropped) line\(dropped == 1 ? "" : "s") could not be written here\n")
                dropped = 0
            }
            append(text)
            start()
            condition.broadcast()
        }
    }

    private func append(_ text: String) {
        waiting.append(Array(text.utf8))
        waitingBytes += text.utf8.count
    }

    /// The thread starts with the first text. Where the system refuses one, whoever speaks writes, and may wait.
    private func start() {
        guard !isStarted else { return }
        isStarted = true
        do {
            // It lives as long as the process.
            _ = Unmanaged.passRetained(try ThreadGroup(count: 1) { [self] _ in serve() })
        } catch {
            isStarted = false
            while let next = waiting.first {
                _ = put(next, patience: 1000)
                waitingBytes -= waiting.removeFirst().count
            }
        }
    }

    private func serve() {
        condition.lock()
        while true {
            while waiting.isEmpty { condition.wait() }
            isWriting = true
            let next = waiting.removeFirst()
            condition.unlock()
            let code = put(next, patience: -1)
            condition.lock()
            waitingBytes -= next.count
            isWriting = false
            if code != 0 {
                error = code
                lost += 1
                dropped += 1
                if code == EPIPE { abandon() }
            }
            condition.broadcast()
        }
    }

    private func abandon() {
        isAbandoned = true
        waiting = []
        waitingBytes = 0
    }

    /// Writes a text, after what was queued, and waits as long as the reader does not read: for commands whose output is
    /// their result.
    /// - Returns: 0, or why it could not be written (errno).
    package func writeAndWait(_ text: String) -> Int32 {
        flush(seconds: .infinity)
        return put(Array(text.utf8), patience: -1)
    }

    /// Writes a text without the thread, for what is said before this process forks or must not come late; waits two seconds
    /// for a reader.
    package func writeDirectly(_ text: String) { _ = put(Array(text.utf8), patience: 2000) }

    /// Writes all of it (write(2), poll(2)).
    /// - Parameter patience: milliseconds to wait for a reader; below 0: for ever.
    /// - Returns: 0, or why not.
    private func put(_ bytes: [UInt8], patience: Int32) -> Int32 {
        var done = 0
        while done < bytes.count {
            if patience >= 0 {
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                if poll(&ready, 1, patience) == 0 { return EAGAIN }
            }
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, $0.count - done) }
            if count >= 0 {
                done += count
            } else if errno == EAGAIN {
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                if poll(&ready, 1, patience) == 0 { return EAGAIN }
            } else if errno != EINTR {
                return errno
            }
        }
        return 0
    }

    /// Waits until everything is written, at most so long; then gives up the rest.
    /// - Returns: nil when nothing was ever lost, else what was, in words.
    @discardableResult
    package func flush(seconds: Double) -> String? {
        condition.withLock {
            var left = seconds
            while isStarted, !isAbandoned, !waiting.isEmpty || isWriting, left > 0 {
                Self.waited.add(1, ordering: .relaxed)
                let before = Stopwatch.now
                condition.wait(seconds: min(left, 0.2))
                left -= Stopwatch.now - before
            }
            let count = lost + waiting.count + (isWriting ? 1 : 0)
            guard count > 0, error != EPIPE else { return nil }
            let reason = error == 0 ? "its reader does not read" : String(cString: strerror(error))
            return "\(count) line\(count == 1 ? "" : "s") could not be written: \(reason)"
        }
    }
}
