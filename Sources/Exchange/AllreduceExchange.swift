package import Collectives
import Networks
package import Optimizers
package import Tensors

/// Gradients summed over the ranks by allreduce, bucket by bucket in the order the backward pass makes them, then the same
/// Adam step on every rank. Buckets are static: no rank ever negotiates what comes next.
///
/// `@unchecked Sendable`: worker threads write disjoint tiles of the bucket; only the main thread sends.
package final class AllreduceExchange: GradientExchange, @unchecked Sendable {
    /// Floats of a bucket: 32 MiB. Larger ones gained nothing, smaller ones pay latency more often.
    package static let bucketCount = 8 << 20

    package private(set) var cost = ExchangeCost()
    private let adam: Adam
    private let communicator: any Communicator
    private let team: WorkerTeam
    /// Holds the memory of the bucket.
    private let arena: Arena
    private let bucket: UnsafeMutablePointer<Float>
    private let bucketCount: Int

    /// - Parameters:
    ///   - arena: gives room for one bucket: `bytes(table:bucketCount:)`.
    ///   - bucketCount: floats of a bucket; a row that is longer is a bucket of its own.
    package init(
        adam: Adam, communicator: any Communicator, team: WorkerTeam, table: ParameterTable, arena: Arena,
        bucketCount: Int = AllreduceExchange.bucketCount
    ) {
        self.adam = adam
        self.arena = arena
        self.communicator = communicator
        self.team = team
        self.bucketCount = bucketCount
        bucket = arena.carve(Float.self, count: Self.floats(table: table, bucketCount: bucketCount)).baseAddress!
    }

    /// Bytes of arena that the exchange needs.
    package static func bytes(table: ParameterTable, bucketCount: Int = AllreduceExchange.bucketCount) -> Int {
        Arena.bytes(Float.self, count: floats(table: table, bucketCount: bucketCount))
    }

    private static func floats(table: ParameterTable, bucketCount: Int) -> Int {
        table.parameters.map { max($0.rowLength, min(bucketCount, $0.count)) }.max() ?? 0
    }

    package func resetCost() { cost = ExchangeCost() }

    package func buckets(of parameter: Parameter) -> [Range<Int>] {
        let rows = max(1, bucketCount / parameter.rowLength)
        return stride(from: 0, to: parameter.shape[0], by: rows).map { $0..<min($0 + rows, parameter.shape[0]) }
    }

    package func destination(of parameter: Parameter, rows: Range<Int>, thread: Int) -> UnsafeMutablePointer<Float> {
        bucket + rows.lowerBound % max(1, bucketCount / parameter.rowLength) * parameter.rowLength
    }

    package func tileFinished(
        _ parameter: Parameter, rows: Range<Int>, gradient: UnsafeMutablePointer<Float>, thread: Int
    ) {}

    package func bucketFinished(_ parameter: Parameter, rows: Range<Int>) throws {
        let elements = parameter.elements(ofRows: rows)
        try exchange(UnsafeMutableBufferPointer(start: bucket, count: elements.count), into: elements)
    }

    package func smallFinished(_ gradients: UnsafeMutableBufferPointer<Float>) throws {
        try exchange(gradients, into: 0..<gradients.count)
    }

    private func exchange(_ gradients: UnsafeMutableBufferPointer<Float>, into elements: Range<Int>) throws {
        let (start, sent) = (Stopwatch.now, communicator.bytesSent)
        try communicator.sum(gradients)
        cost.seconds += Stopwatch.now - start
        cost.bytes += communicator.bytesSent - sent
        let block = 1 << 16
        team.forEach((elements.count + block - 1) / block) { item, _ in
            let offset = item * block
            let range = elements.lowerBound + offset..<min(elements.lowerBound + offset + block, elements.upperBound)
            self.adam.apply(range, gradient: gradients.baseAddress! + offset)
        }
    }
}
