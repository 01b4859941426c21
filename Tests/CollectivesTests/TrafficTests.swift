import Collectives
import Testing

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
}
