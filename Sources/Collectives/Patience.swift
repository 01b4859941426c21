import Glibc
import System

/// How a rank waits for the others without keeping a core from them: it yields for a moment, then sleeps, longer the longer
/// it has waited.
///
/// It does not go on yielding: where ranks outnumber processors, two that yield to each other can keep one processor from two
/// that compute on the other, as the kernel sees all four at work.
struct Patience {
    /// Seconds in which a rank yields: what a short message takes between nodes, and ranks that compute alike are apart.
    static let eager = 200e-6
    /// Longest sleep, microseconds: at 1 Gbit/s 25 kB travel meanwhile, less than a socket's buffer.
    private static let longest = 200.0

    private let arrivals: Arrivals
    private let start = Stopwatch.now

    init(_ arrivals: Arrivals) { self.arrivals = arrivals }

    /// Waits a little: an eighth of what was waited before.
    func wait() {
        let waited = Stopwatch.now - start
        if waited < Self.eager {
            sched_yield()
        } else {
            arrivals.sleep(microseconds: min(Self.longest, waited * 1e6 / 8))
        }
    }
}
