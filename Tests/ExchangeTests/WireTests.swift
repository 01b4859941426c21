import Collectives
import Exchange
import Memory
import Networks
import Optimizers
import Testing

/// Gradients that travel as bf16.
struct WireTests {
    private static let rowLength = TinyRun.network.hidden
    private static let rows = TinyRun.network.flattened

    private func results(_ kind: ExchangeKind, _ run: TinyRun, ranks: Int) throws -> [TinyRun.Result] {
        let bucketCount = 50 * Self.rowLength
        return kind == .sharded
            ? try run.sharded(ranks: ranks, bucketCount: bucketCount) : try run.allreduce(ranks: ranks, bucketCount: bucketCount)
    }

    /// A gradient is rounded to 8 bits, so by 2^-9 of itself at most, by each rank and once more in the sum. Adam's step from
    /// it, and the change that `sharded` hands out, are off by as much; now and then a gradient near 0 changes its sign. So
    /// the weights go the same way but for some hundredths of it, and losses agree to a hundredth.
    @Test(arguments: [ExchangeKind.allreduce, .sharded], [2, 3, 5])
    func lossesAgreeToAHundredth(kind: ExchangeKind, ranks: Int) throws {
        var run = TinyRun()
        run.steps = 20
        let reference = try run.solo()
        run.wire = .bf16
        let result = try results(kind, run, ranks: ranks)[0]
        for (loss, expected) in zip(result.losses, reference.losses) { #expect(abs(loss - expected) <= 0.01 * expected) }
        #expect(result.losses != reference.losses)
        let way = distance(reference.weights, reference.initial)
        #expect(way > 0.01 && distance(result.weights, reference.weights) <= 0.05 * way)
    }

    /// What reaches the others is what the owner adds, too.
    @Test(arguments: [ExchangeKind.allreduce, .sharded], [1, 2, 3])
    func replicasHoldTheSameBits(kind: ExchangeKind, threads: Int) throws {
        var run = TinyRun()
        run.wire = .bf16
        let alone = try results(kind, run, ranks: 3)
        run.threads = threads
        let all = try results(kind, run, ranks: 3)
        for result in all { #expect(result.weightHashes == alone[0].weightHashes) }
    }

    /// Weights stay fp32: changes far below a weight's own bf16 step are not lost.
    @Test func shardedWeightsMoveByLessThanTheirBF16Step() throws {
        var run = TinyRun()
        run.wire = .bf16
        run.epsilon = 1
        let result = try run.sharded(ranks: 2, bucketCount: 50 * Self.rowLength)[0]
        let moved = zip(result.weights, result.initial).filter { $0.0 != $0.1 }
        let tiny = moved.filter { abs($0.0 - $0.1) < abs($0.1) / 1024 }
        #expect(tiny.count > result.weights.count / 10)
    }

    /// Half of what the large layer sends in fp32, the small parameters as before. (FC1's 192 rows divide by 2, 3 and 4.)
    @Test(arguments: [ExchangeKind.allreduce, .sharded], [2, 3, 4])
    func countedBytesAreHalved(kind: ExchangeKind, ranks: Int) throws {
        var run = TinyRun()
        run.steps = 2
        run.wire = .bf16
        let bucketCount = 48 * Self.rowLength
        let results =
            kind == .sharded
            ? try run.sharded(ranks: ranks, bucketCount: bucketCount) : try run.allreduce(ranks: ranks, bucketCount: bucketCount)
        let large = 2 * (ranks - 1) * Self.rows * Self.rowLength * 2 / ranks
        let small = 2 * (ranks - 1) * TinyRun.network.table.smallCount * 4 / ranks
        for result in results { #expect(result.bytes == [UInt64(large + small), UInt64(large + small)]) }
    }
}
