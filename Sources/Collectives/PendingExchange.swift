/// A collective that was started and is under way while its caller computes.
///
/// The buffers it was started with stay where they are, and untouched, until it is done. Whoever starts one also finishes
/// it. Used by the thread that made it.
package protocol PendingExchange: AnyObject {
    /// Moves along what can move now, without waiting, and tells whether this rank's part is done: all that it receives
    /// has arrived, and what it sends may be overwritten. To be called between pieces of computation, as nothing travels
    /// by itself.
    func poll() throws(CollectiveError) -> Bool

    /// Waits until this rank's part is done. At once, when it is already.
    func finish() throws(CollectiveError)
}

/// What was done at once.
package final class DoneExchange: PendingExchange {
    package init() {}
    package func poll() -> Bool { true }
    package func finish() {}
}

extension Communicator {
    /// `startPackedAlltoall` of elements.
    package func startPackedAlltoall(
        _ values: UnsafeBufferPointer<Float>, sendCounts: [Int],
        into received: UnsafeMutableBufferPointer<Float>, receiveCounts: [Int]
    ) throws(CollectiveError) -> any PendingExchange {
        try startPackedAlltoall(
            UnsafeRawBufferPointer(values), sendCounts: sendCounts.map { $0 * 4 },
            into: UnsafeMutableRawBufferPointer(received), receiveCounts: receiveCounts.map { $0 * 4 })
    }

    /// Starts to send `sendCounts[r]` elements to each rank r and to receive `receiveCounts[r]` from it, as `alltoall` does.
    package func startAlltoall(
        _ values: UnsafeBufferPointer<Float>, sendCounts: [Int],
        into received: UnsafeMutableBufferPointer<Float>, receiveCounts: [Int]
    ) throws(CollectiveError) -> any PendingExchange {
        try startAlltoall(
            UnsafeRawBufferPointer(values), sendCounts: sendCounts.map { $0 * 4 },
            into: UnsafeMutableRawBufferPointer(received), receiveCounts: receiveCounts.map { $0 * 4 })
    }

    /// Sends `sendCounts[r]` elements to each rank r, and receives `receiveCounts[r]` from it; both lie in rank order.
    ///
    /// `sendCounts[r]` here is `receiveCounts[rank]` on rank r.
    package func alltoall(
        _ values: UnsafeBufferPointer<Float>, sendCounts: [Int],
        into received: UnsafeMutableBufferPointer<Float>, receiveCounts: [Int]
    ) throws(CollectiveError) {
        try startAlltoall(values, sendCounts: sendCounts, into: received, receiveCounts: receiveCounts).finish()
    }
}
