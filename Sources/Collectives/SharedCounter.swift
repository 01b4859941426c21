import CLinux
import Glibc
import Synchronization
import System

/// A count in memory that the ranks of a node share: one rank raises it, the others wait until it is high enough. It wraps around.
struct SharedCounter {
    private let value: UnsafeMutablePointer<Atomic<UInt32>>
    /// How many ranks sleep until it rises.
    private let sleepers: UnsafeMutablePointer<Atomic<UInt32>>

    /// - Parameters: where zeros lie, four bytes each; several counters of one rank may have the same sleepers.
    init(_ value: UnsafeMutableRawPointer, sleepers: UnsafeMutableRawPointer) {
        self.value = value.assumingMemoryBound(to: Atomic<UInt32>.self)
        self.sleepers = sleepers.assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    /// Raises it: what this rank wrote before can be read by all who see that.
    func publish(_ count: UInt32) {
        value.pointee.store(count, ordering: .sequentiallyConsistent)
        if sleepers.pointee.load(ordering: .sequentiallyConsistent) > 0 { dtrain_futex_wake(value) }
    }

    func reached(_ count: UInt32) -> Bool { Self.isReached(value.pointee.load(ordering: .acquiring), count) }

    /// Waits until it is reached: yields for a moment, as ranks may outnumber processors, then sleeps until woken.
    /// - Parameter progress: called before each sleep, which lasts a millisecond at most, as MPI moves nothing by itself; tells
    ///   whether this rank may sleep.
    func wait(_ count: UInt32, progress: () throws(CollectiveError) -> Bool) throws(CollectiveError) {
        let start = Stopwatch.now
        while !reached(count) {
            guard Stopwatch.now - start >= Patience.eager, try progress() else {
                sched_yield()
                continue
            }
            sleepers.pointee.add(1, ordering: .sequentiallyConsistent)
            let seen = value.pointee.load(ordering: .sequentiallyConsistent)
            if !Self.isReached(seen, count) { dtrain_futex_wait(value, seen, 1_000_000) }
            sleepers.pointee.subtract(1, ordering: .sequentiallyConsistent)
        }
    }

    private static func isReached(_ value: UInt32, _ target: UInt32) -> Bool { Int32(bitPattern: value &- target) >= 0 }
}
