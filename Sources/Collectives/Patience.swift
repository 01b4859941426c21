import Glibc

/// How a rank waits for the others without keeping a core from them: it yields at first, then sleeps, longer the longer
/// it has waited, up to a millisecond.
struct Patience {
    private var waits = 0

    /// Waits a little, and remembers to wait longer the next time.
    mutating func wait() {
        waits += 1
        if waits <= 200 {
            sched_yield()
        } else {
            usleep(UInt32(min(1000, (waits - 200) * 20)))
        }
    }
}
