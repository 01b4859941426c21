/// Decides when nothing has advanced for too long.
///
/// Time counts only while the watching thread itself runs: a job that was suspended as a whole, or a machine that slept, has
/// not stalled.
package struct StallDetector {
    private let timeout: Double
    private let interval: Double
    private var seen: Int?
    /// Seconds since the last progress.
    package private(set) var silence = 0.0

    /// - Parameters:
    ///   - timeout: seconds without progress.
    ///   - interval: seconds between two looks, as planned.
    package init(timeout: Double, interval: Double) {
        self.timeout = timeout
        self.interval = interval
    }

    /// Takes a look.
    /// - Parameters:
    ///   - progress: any number that changes with progress.
    ///   - elapsed: seconds since the last look.
    ///   - patience: how many times the timeout is to pass.
    /// - Returns: whether the time is over.
    package mutating func isStalled(progress: Int, elapsed: Double, patience: Double = 1) -> Bool {
        if progress != seen {
            seen = progress
            silence = 0
        } else {
            silence += min(elapsed, 2 * interval)
        }
        return silence >= timeout * patience
    }
}
