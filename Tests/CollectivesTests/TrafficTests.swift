import Collectives
import Testing
import TestSupport

struct TrafficTests {
    @Test func formulas() {
        // The figures of the FC1 gradient, 153,600 x 1024 floats.
        let gradient = 153_600 * 1024 * 4
        #expect(Traffic.allreduce(bytes: gradient, size: 1) == 0)
        #expect(Traffic.allreduce(bytes: gradient, size: 2) == 629_145_600)
        #expect(Traffic.allreduce(bytes: gradient, size: 4) == 943_718_400)
        // The largest gradient that fits into an Int must not overflow on the way.
        #expect(Traffic.allreduce(bytes: 1 << 50, size: 1024) == UInt64(2 * 1023) << 40)
        #expect(Traffic.reduceScatter(parts: [10, 0, 30], rank: 2) == 10)
        #expect(Traffic.allgather(parts: [10, 0, 30], rank: 2) == 30)
        #expect(Traffic.broadcast(bytes: 7, size: 3, rank: 1, root: 0) == 7)
        #expect(Traffic.broadcast(bytes: 7, size: 3, rank: 1, root: 2) == 0)
        #expect(Traffic.alltoall(parts: [1, 2, 3], rank: 1) == 4)
    }

    /// What all ranks send together is what must travel: each part of a sum or of a whole crosses P - 1 links.
    @Test(arguments: [1, 2, 3, 5])
    func totals(size: Int) {
        let parts = (0..<size).map { $0 * 12 }
        let whole = UInt64(parts.reduce(0, +))
        let gathered = (0..<size).reduce(0) { $0 + Traffic.allgather(parts: parts, rank: $1) }
        let scattered = (0..<size).reduce(0) { $0 + Traffic.reduceScatter(parts: parts, rank: $1) }
        #expect(gathered == whole * UInt64(size - 1))
        #expect(scattered == whole * UInt64(size - 1))
        let broadcast = (0..<size).reduce(0) { $0 + Traffic.broadcast(bytes: 9, size: size, rank: $1, root: size / 2) }
        #expect(broadcast == UInt64(9 * (size - 1)))
    }

    /// Six ranks on three nodes: a sum among the two of each node, and each of the two lanes among three nodes.
    @Test func aSumInTwoLevels() throws {
        let counts = try Simulated.run(ranks: 6, ranksPerNode: 2) { communicator in
            var values = [Float](repeating: 1, count: 3000)
            try values.withUnsafeMutableBufferPointer { try communicator.sum($0) }
            let plain = communicator.traffic
            try values.withUnsafeMutableBufferPointer { try communicator.sum($0, wire: .bf16) }
            return [plain, communicator.traffic]
        }
        for count in counts {
            #expect(count[0] == TrafficCount(withinNode: 12_000, betweenNodes: 8_000))
            #expect(count[1] == TrafficCount(withinNode: 18_000, betweenNodes: 12_000))
            #expect(count[1].total == 30_000)
        }
    }

    /// Parts in two levels: what leaves the nodes is, for each node and part, one copy.
    @Test func partsInTwoLevels() throws {
        let parts = [5, 0, 7, 1, 2, 3]
        let sent = try Simulated.run(ranks: 6, ranksPerNode: 2) { communicator -> [TrafficCount] in
            let whole = [Float](repeating: 1, count: 18)
            var own = [Float](repeating: 0, count: parts[communicator.rank])
            try whole.withUnsafeBufferPointer { whole in
                try own.withUnsafeMutableBufferPointer {
                    try communicator.reduceScatterSum(whole, counts: parts, into: $0)
                }
            }
            let scattered = communicator.traffic
            var joined = whole
            try own.withUnsafeBufferPointer { own in
                try joined.withUnsafeMutableBufferPointer {
                    try communicator.allgather(own, counts: parts, into: $0)
                }
            }
            return [scattered, communicator.traffic]
        }
        let nodes = UInt64(3)
        let whole = UInt64(18 * 4)
        #expect(sent.reduce(0) { $0 + $1[0].betweenNodes } == whole * (nodes - 1))
        #expect(sent.reduce(0) { $0 + $1[0].withinNode } == whole * nodes)
        #expect(sent.reduce(0) { $0 + $1[1].betweenNodes - $1[0].betweenNodes } == whole * (nodes - 1))
        #expect(sent.reduce(0) { $0 + $1[1].withinNode - $1[0].withinNode } == whole * nodes)
    }

    /// Ranks 0 and 1 are on one node, rank 2 on another.
    @Test func anAlltoallGoesStraight() throws {
        let sent = try Simulated.run(ranks: 3, ranksPerNode: 2) { communicator in
            let values = [Float](repeating: 0, count: 6)
            var received = [Float](repeating: 0, count: 9)
            let counts = [1, 2, 3]
            try values.withUnsafeBufferPointer { values in
                try received.withUnsafeMutableBufferPointer {
                    try communicator.alltoall(
                        values, sendCounts: counts,
                        into: UnsafeMutableBufferPointer(rebasing: $0[..<(3 * counts[communicator.rank])]),
                        receiveCounts: Array(repeating: counts[communicator.rank], count: 3))
                }
            }
            return communicator.traffic
        }
        #expect(sent[0] == TrafficCount(withinNode: 8, betweenNodes: 12))
        #expect(sent[1] == TrafficCount(withinNode: 4, betweenNodes: 12))
        #expect(sent[2] == TrafficCount(withinNode: 0, betweenNodes: 12))
    }
}
