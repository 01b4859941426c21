import Glibc
import Synchronization

/// Where the ranks of a node meet in memory: for each rank counters that it alone raises, and a stage that it alone writes.
///
/// A stage has several slots; chunk `n` of all that ever passes goes through slot `n % slots`.
final class NodeWindow {
    /// What a rank has done, counted in chunks.
    enum Counter: Int {
        /// Its values lie in its stage.
        case staged
        /// The result of its lane lies in its stage.
        case reduced
        /// It reads nothing of the others' stages any more.
        case released
    }

    /// Slots of a stage: a rank fills one while others still read the ones before. A power of two, as counters wrap around.
    static let slots = 4

    let rank: Int
    let size: Int
    /// Floats of a slot.
    let capacity: Int
    /// Makes MPI move what is under way: others may wait for that before they come here.
    private let progress: () throws(CollectiveError) -> Void

    private let mapping: SharedMapping?
    private let parts: [UnsafeMutableRawPointer]
    private static let headerBytes = 4096

    /// - Parameters:
    ///   - mapping: parts of at least `bytes(capacity:)` zero bytes; nil for a rank that is alone on its node.
    ///   - progress: called again and again while a rank waits.
    init(
        rank: Int, size: Int, capacity: Int, mapping: SharedMapping?,
        progress: @escaping () throws(CollectiveError) -> Void
    ) {
        precondition(mapping != nil || size == 1)
        self.rank = rank
        self.size = size
        self.capacity = capacity
        self.mapping = mapping
        self.progress = progress
        if let mapping {
            parts = mapping.parts
        } else {
            let own = UnsafeMutableRawPointer.allocate(byteCount: Self.bytes(capacity: capacity), alignment: 64)
            memset(own, 0, Self.headerBytes)
            parts = [own]
        }
    }

    deinit { if mapping == nil { parts[0].deallocate() } }

    /// Bytes of one rank's part.
    static func bytes(capacity: Int) -> Int { headerBytes + slots * capacity * 4 }

    /// The slot of a rank's stage that chunk `chunk` goes through.
    func stage(of rank: Int, chunk: UInt32) -> UnsafeMutableRawPointer {
        parts[rank] + Self.headerBytes + Int(chunk % UInt32(Self.slots)) * capacity * 4
    }

    // MARK: Counters

    private func counter(_ counter: Counter, of rank: Int) -> SharedCounter {
        SharedCounter(parts[rank] + counter.rawValue * 4, sleepers: parts[rank] + 64)
    }

    /// What a rank is doing, for the others to compare: one word for even calls, one for odd ones.
    private func call(of rank: Int, number: UInt32) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (parts[rank] + 128 + Int(number % 2) * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Says what this rank's call of this number is, before any counter tells of its first chunk.
    func announce(_ signature: UInt64, number: UInt32) {
        call(of: rank, number: number).pointee.store(signature, ordering: .releasing)
    }

    /// What another rank said of its call.
    func announced(by other: Int, number: UInt32) -> UInt64 {
        call(of: other, number: number).pointee.load(ordering: .acquiring)
    }

    /// Tells the others that this rank is done with `chunks` chunks.
    func publish(_ kind: Counter, _ chunks: UInt32) { counter(kind, of: rank).publish(chunks) }

    /// Whether all ranks of `ranks` have done `chunks` chunks.
    func reached(_ kind: Counter, _ chunks: UInt32, by ranks: Range<Int>) -> Bool {
        ranks.allSatisfy { counter(kind, of: $0).reached(chunks) }
    }

    /// Waits until all of them have.
    func wait(_ kind: Counter, _ chunks: UInt32, by ranks: Range<Int>) throws(CollectiveError) {
        for other in ranks {
            try counter(kind, of: other).wait(chunks) { () throws(CollectiveError) in
                try progress()
                return true
            }
        }
    }
}
