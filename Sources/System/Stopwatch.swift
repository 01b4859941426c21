import Glibc

/// The clocks, by clock_gettime(2).
package enum Stopwatch {
    /// Seconds since an arbitrary moment, the same for all processes of a machine (CLOCK_MONOTONIC).
    package static var now: Double { read(CLOCK_MONOTONIC) }

    /// Seconds since 1970, as the machine's clock has it (CLOCK_REALTIME).
    package static var wall: Double { read(CLOCK_REALTIME) }

    /// Seconds that processors have worked for this process, all of its threads together (CLOCK_PROCESS_CPUTIME_ID).
    package static var processor: Double { read(CLOCK_PROCESS_CPUTIME_ID) }

    private static func read(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
