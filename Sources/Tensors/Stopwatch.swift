import Glibc

/// Monotonic time, for durations only (clock_gettime CLOCK_MONOTONIC).
package enum Stopwatch {
    /// Seconds since an arbitrary moment.
    package static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
