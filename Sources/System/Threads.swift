import Glibc

/// A mutex with a condition: pthread_mutex_t and pthread_cond_t, at one place in memory as they must be.
package final class Monitor: @unchecked Sendable {  // both are made for use by many threads
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    package init() {
        pthread_mutex_init(mutex, nil)
        // Waits that end after a time must not depend on the wall clock, which can be set.
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    package func lock() { pthread_mutex_lock(mutex) }
    package func unlock() { pthread_mutex_unlock(mutex) }
    /// Waits for `broadcast`; may also return without one. The caller holds the lock.
    package func wait() { pthread_cond_wait(condition, mutex) }
    /// Waits for `broadcast`, or for this long; may also return earlier. The caller holds the lock.
    package func wait(seconds: Double) {
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &end)
        let nanoseconds = end.tv_nsec + Int((seconds - seconds.rounded(.down)) * 1e9)
        end.tv_sec += Int(seconds) + nanoseconds / 1_000_000_000
        end.tv_nsec = nanoseconds % 1_000_000_000
        pthread_cond_timedwait(condition, mutex, &end)
    }
    package func broadcast() { pthread_cond_broadcast(condition) }

    package func withLock<Value, Failure: Error>(_ body: () throws(Failure) -> Value) throws(Failure) -> Value {
        lock()
        defer { unlock() }
        return try body()
    }
}

/// Why no thread could be started.
package struct ThreadError: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}

/// Threads that run one body each, joined with `join` or with their owner.
package final class ThreadGroup {
    private var threads: [pthread_t] = []

    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Starts `count` threads with all signals blocked: signals are the main thread's business.
    ///
    /// `body` is told the thread's number. Fewer threads start where the system refuses more.
    /// - Throws: `ThreadError` if not even one can be started.
    package init(count: Int, body: @escaping @Sendable (Int) -> Void) throws(ThreadError) {
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var code: Int32 = 0
        for number in 0..<max(count, 1) {
            let context = Unmanaged.passRetained(Body { body(number) })
            var thread = pthread_t()
            code = pthread_create(
                &thread, nil,
                { context in
                    Unmanaged<Body>.fromOpaque(context!).takeRetainedValue().run()
                    return nil
                }, context.toOpaque())
            guard code == 0 else {
                context.release()
                break
            }
            threads.append(thread)
        }
        if threads.isEmpty {
            throw ThreadError(
                description: "cannot start a thread: \(String(cString: strerror(code))); "
                    + "hint: ulimit -u limits their number, ulimit -v the memory of their stacks")
        }
    }

    /// Waits until all have ended.
    package func join() {
        for thread in threads { pthread_join(thread, nil) }
        threads = []
    }

    deinit { join() }
}
