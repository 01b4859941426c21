import Collectives
import Exchange
import Memory
import Networks
import Optimizers
import Testing
import TestSupport

/// Divided moments on simulated ranks, against allreduce and against one rank on its own.
struct ShardedExchangeTests {
    private static let rowLength = TinyRun.network.hidden
    private static let rows = TinyRun.network.flattened
    static let bucketCounts = AllreduceExchangeTests.bucketCounts

    @Test(arguments: [1, 2, 3, 4, 5], [7 * rowLength + 3, AllreduceExchange.bucketCount])
    func ranksGoTheCourseOfOne(ranks: Int, bucketCount: Int) throws {
        var run = TinyRun()
        run.steps = 20
        let reference = try run.solo()
        for result in try run.sharded(ranks: ranks, bucketCount: bucketCount) { expectSameCourse(result, as: reference) }
    }

    /// Simulated ranks add in rank order in both collectives, and Adam is elementwise.
    @Test(arguments: [1, 2, 3, 4, 5], bucketCounts)
    func weightsHaveTheBitsOfAllreduceOnAllRanks(ranks: Int, bucketCount: Int) throws {
        let allreduce = try TinyRun().allreduce(ranks: ranks, bucketCount: bucketCount)
        for result in try TinyRun().sharded(ranks: ranks, bucketCount: bucketCount) {
            #expect(result.weightHashes == allreduce[0].weightHashes)
        }
    }

    @Test(arguments: [1, 2, 3, 4]) func aRankMayHaveNoSample(batch: Int) throws {
        var run = TinyRun()
        run.batch = batch
        let reference = try run.solo()
        let results = try run.sharded(ranks: 5, bucketCount: 7 * Self.rowLength)
        for result in results {
            expectSameCourse(result, as: reference)
            #expect(result.weightHashes == results[0].weightHashes)
        }
    }

    @Test(arguments: [2, 3]) func threadsDoNotChangeBits(threads: Int) throws {
        var run = TinyRun()
        let alone = try run.sharded(ranks: 3, bucketCount: 50 * Self.rowLength)
        run.threads = threads
        #expect(try run.sharded(ranks: 3, bucketCount: 50 * Self.rowLength).map(\.hashes) == alone.map(\.hashes))
    }

    /// FC1 has 192 rows: they divide by 1, 2, 3 and 4.
    @Test(arguments: [1, 2, 3, 4]) func momentsAreDividedByTheRanks(ranks: Int) throws {
        let table = TinyRun.network.table
        for result in try TinyRun().sharded(ranks: ranks, bucketCount: Self.rows * Self.rowLength) {
            #expect(result.heldCount == table.smallCount + Self.rows * Self.rowLength / ranks)
        }
    }

    /// A ring sends (P-1)/P of a bucket in the reduce-scatter and again in the allgather; the small parameters by allreduce.
    @Test(arguments: [1, 2, 3, 4]) func countedBytesEqualTheFormula(ranks: Int) throws {
        let table = TinyRun.network.table
        let large = 2 * (ranks - 1) * Self.rows * Self.rowLength * 4 / ranks
        let small = 2 * (ranks - 1) * table.smallCount * 4 / ranks
        for result in try TinyRun().sharded(ranks: ranks, bucketCount: 48 * Self.rowLength) {
            #expect(result.bytes == Array(repeating: UInt64(large + small), count: result.bytes.count))
        }
    }

    @Test(arguments: [1, 2, 3, 5, 7], bucketCounts)
    func everyRowHasOneOwner(ranks: Int, bucketCount: Int) throws {
        let table = TinyRun.network.table
        let ownership = ShardedExchange.ownership(table: table, ranks: ranks, bucketCount: bucketCount)
        for (index, parameter) in table.parameters.enumerated() {
            #expect(ownership.layout(of: .weights, parameter: index) == .replicated(place: parameter.range.lowerBound))
            guard case .divided(let pieces) = ownership.layout(of: .state(1), parameter: index) else {
                #expect(parameter.range.upperBound <= table.smallCount || ranks == 1)
                continue
            }
            #expect(pieces.flatMap { Array($0.rows) } == Array(0..<parameter.shape[0]))
            for piece in pieces {
                let held = ShardedExchange.held(table: table, rank: piece.rank, of: ranks, bucketCount: bucketCount)
                #expect(held.place(of: parameter.elements(ofRows: piece.rows)) == piece.place)
            }
        }
    }
}
