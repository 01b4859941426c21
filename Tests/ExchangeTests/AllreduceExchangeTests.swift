import Collectives
import Exchange
import Layers
import Memory
import Networks
import Optimizers
import System
import Testing
import TestSupport

/// Allreduce on simulated ranks against one rank on its own.
struct AllreduceExchangeTests {
    private static let rowLength = TinyRun.network.hidden
    private static let rows = TinyRun.network.flattened
    /// Bucket sizes, in floats: less than a row, one row, rows that divide neither tiles nor the matrix, the matrix, more.
    static let bucketCounts = [1, rowLength, 7 * rowLength + 3, rows * rowLength, AllreduceExchange.bucketCount]

    @Test(arguments: [1, 2, 3, 5], bucketCounts)
    func ranksGoTheCourseOfOne(ranks: Int, bucketCount: Int) throws {
        let run = TinyRun()
        let reference = try run.solo()
        let results = try run.allreduce(ranks: ranks, bucketCount: bucketCount)
        expectSameCourse(results[0], as: reference)
    }

    @Test(arguments: [2, 3, 5], bucketCounts)
    func replicasHoldTheSameBitsAfterEveryStep(ranks: Int, bucketCount: Int) throws {
        let results = try TinyRun().allreduce(ranks: ranks, bucketCount: bucketCount)
        #expect(Set(results[0].hashes).count == results[0].hashes.count, "every step changes the weights")
        for result in results { #expect(result.hashes == results[0].hashes) }
    }

    /// Each parameter moves by the same linear rule when epsilon is large: then the tolerance holds for every weight.
    @Test func everyWeightAgreesWhereAdamDoesNotMagnifyRounding() throws {
        var run = TinyRun()
        run.epsilon = 1
        let reference = try run.solo()
        let result = try run.allreduce(ranks: 3, bucketCount: 7 * Self.rowLength)[0]
        let furthest = zip(reference.weights, reference.initial).map { abs($0 - $1) }.max()!
        let differences = zip(result.weights, reference.weights).map { abs($0 - $1) }
        // Weights are of the size of 1, so a few of their own ulps remain.
        #expect(furthest > 1e-5)
        #expect(differences.max()! <= 4 * Float.ulpOfOne)
    }

    /// 3 samples on 5 ranks: two ranks have none, and still take part in everything.
    @Test(arguments: [1, 2, 3, 4]) func aRankMayHaveNoSample(batch: Int) throws {
        var run = TinyRun()
        run.batch = batch
        let reference = try run.solo()
        let results = try run.allreduce(ranks: 5, bucketCount: 7 * Self.rowLength)
        expectSameCourse(results[4], as: reference)
        for result in results { #expect(result.hashes == results[0].hashes) }
    }

    /// With one bucket the tiles are those of one rank. (Smaller buckets cut the tiles, and BLAS may sum those otherwise.)
    @Test func oneRankByAllreduceHasTheBitsOfSolo() throws {
        let run = TinyRun()
        let reference = try run.solo()
        #expect(try run.allreduce(ranks: 1, bucketCount: Self.rows * Self.rowLength)[0].hashes == reference.hashes)
    }

    @Test(arguments: [2, 3]) func threadsDoNotChangeBits(threads: Int) throws {
        var run = TinyRun()
        let alone = try run.allreduce(ranks: 2, bucketCount: 50 * Self.rowLength)
        let solo = try run.solo()
        run.threads = threads
        #expect(try run.allreduce(ranks: 2, bucketCount: 50 * Self.rowLength)[0].hashes == alone[0].hashes)
        #expect(try run.solo().hashes == solo.hashes)
    }

    @Test(arguments: bucketCounts) func theSameRunHasTheSameBits(bucketCount: Int) throws {
        let (first, second) = (
            try TinyRun().allreduce(ranks: 3, bucketCount: bucketCount),
            try TinyRun().allreduce(ranks: 3, bucketCount: bucketCount)
        )
        #expect(first.map(\.hashes) == second.map(\.hashes))
    }

    /// A ring allreduce sends 2 (P-1)/P of each buffer: every bucket of FC1, then the small parameters' gradients.
    @Test(arguments: [1, 2, 3, 5], bucketCounts)
    func countedBytesEqualTheFormula(ranks: Int, bucketCount: Int) throws {
        let table = TinyRun.network.table
        let rowsOfBucket = max(8, bucketCount / Self.rowLength / 8 * 8)
        var buffers = stride(from: 0, to: Self.rows, by: rowsOfBucket).map {
            min(rowsOfBucket, Self.rows - $0) * Self.rowLength * 4
        }
        buffers.append(table.smallCount * 4)
        let expected = buffers.reduce(0) { $0 + 2 * (ranks - 1) * $1 / ranks }
        #expect(buffers.reduce(0, +) == table.count * 4)
        for result in try TinyRun().allreduce(ranks: ranks, bucketCount: bucketCount) {
            #expect(result.bytes == Array(repeating: UInt64(expected), count: result.bytes.count))
        }
    }

    @Test func bucketsCoverEveryRowOnceInOrder() throws {
        let table = TinyRun.network.table
        let team = try WorkerTeam(count: 1)
        for bucketCount in Self.bucketCounts {
            let weights = try Arena(capacity: 12 * table.count + 4096)
            let adam = Adam(
                configuration: Adam.Configuration(), weights: weights.carve(Float.self, count: table.count).baseAddress!,
                table: table, arena: weights)
            let exchange = try AllreduceExchange(
                adam: adam, communicator: Solo(), team: team, table: table, bucketCount: bucketCount)
            for parameter in table.parameters {
                let buckets = exchange.buckets(of: parameter)
                #expect(buckets.flatMap { Array($0) } == Array(0..<parameter.shape[0]))
                #expect(buckets.allSatisfy { $0.count <= WindowStem.bucketGranule || $0.count * parameter.rowLength <= bucketCount })
            }
        }
    }

    private struct Broken: Error, Equatable {}

    /// A rank that ends in the middle of a step must not leave the others waiting.
    @Test(.timeLimit(.minutes(1))) func aRankThatFailsEndsTheStepOfAll() throws {
        #expect(throws: Broken()) {
            try Simulated.run(ranks: 3) { communicator in
                if communicator.rank == 1 { throw Broken() }
                return try TinyRun().allreduce(communicator, bucketCount: Self.rowLength)
            }
        }
    }
}
