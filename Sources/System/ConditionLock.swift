import Glibc

/// A mutex and the condition that its holders wait for: pthread_mutex_t and pthread_cond_t, at one place in memory as they must be.
package final class ConditionLock: @unchecked Sendable {  // both are made for use by many threads
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
        let seconds = max(0, seconds)
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
