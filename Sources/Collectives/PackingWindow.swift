import Glibc
import Synchronization

/// Where the ranks of a node lay what goes to other nodes, and find what comes from them: for each rank counters, a table for each
/// exchange under way, and a room each way.
final class PackingWindow {
    /// What a rank has done, counted in exchanges, in their order.
    enum Counter: Int {
        /// Its bytes and its table are there.
        case laid
        /// All that it carries for the node was sent and received.
        case carried
    }

    /// A part of a room, in bytes.
    struct Span {
        let start, count: Int
    }

    /// What a rank has for another, and where what that one sends is to go.
    struct Entry {
        let outgoing, incoming: Span
    }

    /// Exchanges that can be under way at once.
    static let slots = 8
    private static let headerBytes = 4096

    /// This rank's number on its node.
    let rank: Int
    let room: Int
    private let ranks: Int
    private let mapping: SharedMapping?
    private let parts: [UnsafeMutableRawPointer]

    /// - Parameters:
    ///   - rank: on its node.
    ///   - ranks: of all nodes.
    ///   - mapping: parts of at least `bytes(room:ranks:)` zero bytes; nil for a rank that is alone on its node.
    init(rank: Int, ranks: Int, room: Int, mapping: SharedMapping?) {
        self.rank = rank
        self.ranks = ranks
        self.room = room
        self.mapping = mapping
        if let mapping {
            parts = mapping.parts
        } else {
            let bytes = Self.bytes(room: room, ranks: ranks)
            let own = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
            memset(own, 0, bytes)
            parts = [own]
        }
    }

    deinit { if mapping == nil { parts[0].deallocate() } }

    /// Bytes of one rank's part.
    static func bytes(room: Int, ranks: Int) -> Int { headerBytes + tableBytes(ranks) + 2 * aligned(room) }

    private static func tableBytes(_ ranks: Int) -> Int { aligned(slots * ranks * MemoryLayout<Entry>.stride) }
    private static func aligned(_ bytes: Int) -> Int { (bytes + 63) / 64 * 64 }

    // MARK: Rooms

    /// This rank's room for what it sends.
    var outgoing: UnsafeMutableRawPointer { outgoing(of: rank) }
    /// This rank's room for what it receives.
    var incoming: UnsafeMutableRawPointer { outgoing + Self.aligned(room) }

    private func outgoing(of local: Int) -> UnsafeMutableRawPointer { parts[local] + Self.headerBytes + Self.tableBytes(ranks) }

    /// What a rank of the node has for rank `other`.
    func outgoing(of local: Int, for other: Int, exchange: UInt32) -> UnsafeRawBufferPointer {
        let span = entry(of: local, for: other, exchange: exchange).pointee.outgoing
        return UnsafeRawBufferPointer(start: outgoing(of: local) + span.start, count: span.count)
    }

    /// Where a rank of the node wants what rank `other` sends.
    func incoming(of local: Int, from other: Int, exchange: UInt32) -> UnsafeMutableRawBufferPointer {
        let span = entry(of: local, for: other, exchange: exchange).pointee.incoming
        return UnsafeMutableRawBufferPointer(start: outgoing(of: local) + Self.aligned(room) + span.start, count: span.count)
    }

    func setEntry(_ value: Entry, for other: Int, exchange: UInt32) {
        entry(of: rank, for: other, exchange: exchange).initialize(to: value)
    }

    private func entry(of local: Int, for other: Int, exchange: UInt32) -> UnsafeMutablePointer<Entry> {
        (parts[local] + Self.headerBytes).assumingMemoryBound(to: Entry.self) + Int(exchange % UInt32(Self.slots)) * ranks + other
    }

    // MARK: Counters

    /// Each on a cache line of its own.
    private func counter(_ counter: Counter, of local: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
        (parts[local] + counter.rawValue * 64).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    /// Tells the others that this rank is done with `exchanges` exchanges.
    func publish(_ kind: Counter, _ exchanges: UInt32) { counter(kind, of: rank).pointee.store(exchanges, ordering: .releasing) }

    /// Whether all ranks of the node are done with `exchanges` exchanges. Counters wrap around.
    func reached(_ kind: Counter, _ exchanges: UInt32) -> Bool {
        parts.indices.allSatisfy { Int32(bitPattern: counter(kind, of: $0).pointee.load(ordering: .acquiring) &- exchanges) >= 0 }
    }
}

/// Memory that packing takes.
package enum AlltoallPacking {
    /// Bytes of each rank, of room for `room` bytes each way among `ranks` ranks.
    package static func bytes(room: Int, ranks: Int) -> Int { room == 0 ? 0 : PackingWindow.bytes(room: room, ranks: ranks) }
}
