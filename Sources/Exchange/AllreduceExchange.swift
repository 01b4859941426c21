package import Collectives
import Layers
package import Memory
import Networks
package import Optimizers
package import System

/// Gradients summed over the ranks by allreduce, bucket by bucket in the order the backward pass makes them, then the same
/// Adam step on every rank. With several threads the main one sums a bucket while the others make the next.
///
/// `@unchecked Sendable`: worker threads write disjoint tiles of a bucket that is not being sent; only the main thread sends.
package final class AllreduceExchange: GradientExchange, @unchecked Sendable {
    package private(set) var cost = ExchangeCost()
    private let adam: Adam
    private let communicator: any Communicator
    private let team: WorkerTeam
    private let wire: WireFormat
    private let buffers: BucketBuffers
    /// Filled, and not summed yet.
    private var waiting: Bucket?

    /// Floats of a bucket, where nothing else is said.
    package static let bucketCount = BucketCut.standardCount

    /// All ranks make theirs together.
    /// - Parameters:
    ///   - wire: how the buckets travel. The small parameters' gradients, a thousandth of the bytes, go in fp32.
    ///   - bucketCount: floats of a bucket; at least `WindowStem.bucketGranule` rows are.
    /// - Throws: `CollectiveError`, `ArenaError`.
    package init(
        adam: Adam, communicator: any Communicator, team: WorkerTeam, table: ParameterTable, wire: WireFormat = .fp32,
        bucketCount: Int = AllreduceExchange.bucketCount
    ) throws {
        self.adam = adam
        self.communicator = communicator
        self.team = team
        self.wire = wire
        buffers = try BucketBuffers(
            cut: BucketCut(count: bucketCount), table: table, communicator: communicator, team: team)
    }

    /// Bytes that the exchange allocates.
    package static func bytes(
        table: ParameterTable, threads: Int, bucketCount: Int = AllreduceExchange.bucketCount
    ) -> Int {
        BucketBuffers.bytes(table: table, cut: BucketCut(count: bucketCount), threads: threads)
    }

    package func resetCost() { cost = ExchangeCost() }

    package func buckets(of parameter: Parameter) -> [Range<Int>] { buffers.cut.buckets(of: parameter) }

    package func destination(of parameter: Parameter, rows: Range<Int>, thread: Int) -> UnsafeMutablePointer<Float> {
        buffers.destination(of: parameter, rows: rows)
    }

    package func tileFinished(
        _ parameter: Parameter, rows: Range<Int>, gradient: UnsafeMutablePointer<Float>, thread: Int
    ) {}

    package func forEach(_ items: Int, on team: WorkerTeam, _ body: (_ item: Int, _ thread: Int) -> Void) throws {
        guard let bucket = waiting else { return team.forEach(items, body) }
        waiting = nil
        cost.addWaiting(try team.forEach(items, lead: { try sum(bucket.buffer, wire) }, body))
        adam.apply(bucket.elements, gradient: bucket.gradients, scale: 1, team: team)
    }

    package func bucketFinished(_ parameter: Parameter, rows: Range<Int>) throws {
        waiting = buffers.take(parameter, rows: rows)
        if !buffers.overlaps { try finishWaiting() }
    }

    package func smallFinished(_ gradients: UnsafeMutableBufferPointer<Float>) throws {
        try finishWaiting()
        let start = cost.seconds
        try sum(gradients, .fp32)
        cost.addWaiting(cost.seconds - start)
        adam.apply(0..<gradients.count, gradient: gradients.baseAddress!, scale: 1, team: team)
    }

    private func finishWaiting() throws { try forEach(0, on: team) { _, _ in } }

    private func sum(_ gradients: UnsafeMutableBufferPointer<Float>, _ wire: WireFormat) throws {
        try cost.measure(communicator) { try communicator.sum(gradients, wire: wire) }
    }
}
