import Checkpoints
package import Collectives
import Memory
package import System

/// Compares what every rank should hold alike, by hashes: the ranks' weights and moments must agree to the bit.
package struct ReplicaCheck: @unchecked Sendable {  // constant pointers; nobody writes through them while it runs
    /// Values hashed at a time, so that all threads take part; fixed, as the hash depends on it.
    private static let block = 1 << 18

    private let parts: [UnsafeBufferPointer<Float>]
    private let team: WorkerTeam

    /// - Parameter parts: replicated values; what only one rank owns does not belong here.
    package init(_ parts: [UnsafeBufferPointer<Float>], team: WorkerTeam) {
        self.parts = parts
        self.team = team
    }

    /// The hash of this rank's values: XXH64 of the XXH64 of each block, in order.
    package func hash() -> UInt64 {
        let blocks = parts.flatMap { part in
            stride(from: 0, to: part.count, by: Self.block).map {
                UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: part[$0..<min($0 + Self.block, part.count)]))
            }
        }
        return withUnsafeTemporaryAllocation(of: UInt64.self, capacity: max(1, blocks.count)) { hashes in
            let found = hashes.baseAddress!
            team.forEach(blocks.count) { item, _ in found[item] = StreamingChecksum.of(blocks[item]).value }
            return StreamingChecksum.of(UnsafeRawBufferPointer(start: found, count: blocks.count * 8)).value
        }
    }

    /// What differs, on all ranks alike; nil when all agree. All ranks call it together.
    package func problem(communicator: any Communicator) throws -> String? {
        guard communicator.size > 1 else { return nil }
        let own = hash()
        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: own >> (8 * UInt64($0))) }
        let hashes = try communicator.allgather(bytes).map { $0.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
        return Self.problem(hashes)
    }

    /// What a list of the ranks' hashes says: the ranks outside the largest group that agrees.
    package static func problem(_ hashes: [UInt64]) -> String? {
        let groups = Dictionary(grouping: hashes.indices, by: { hashes[$0] }).values.sorted {
            ($1.count, $0[0]) < ($0.count, $1[0])
        }
        guard groups.count > 1 else { return nil }
        func names(_ ranks: [Int]) -> String {
            (ranks.count == 1 ? "rank " : "ranks ") + ranks.prefix(16).map(String.init).joined(separator: ", ")
                + (ranks.count > 16 ? " and \(ranks.count - 16) more" : "")
        }
        if groups[0].count == groups[1].count {
            return "the weights of \(groups.map { names($0) }.joined(separator: " and ")) differ, and no majority says who is right"
        }
        let odd = groups.dropFirst().flatMap { $0 }.sorted()
        return "the weights of \(names(odd)) differ from those of the other \(groups[0].count) ranks"
    }
}
