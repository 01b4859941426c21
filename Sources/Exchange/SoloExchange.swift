package import Collectives
package import Kernels
import Layers
package import Memory
import Networks
package import Optimizers

/// One rank: Adam on each tile at once, while its gradient is in cache. No gradient buffer larger than a tile a thread.
///
/// `@unchecked Sendable`: each thread writes its own scratch only.
package final class SoloExchange: GradientExchange, @unchecked Sendable {
    private let adam: Adam
    /// Holds the memory of the scratch.
    private let arena: Arena
    private let scratch: [UnsafeMutablePointer<Float>]

    /// - Parameter arena: gives room for a tile's gradient a thread: `bytes(table:threads:)`.
    package init(adam: Adam, table: ParameterTable, threads: Int, arena: Arena) {
        self.adam = adam
        self.arena = arena
        let count = Self.largestTile(table)
        scratch = (0..<threads).map { _ in arena.carve(Float.self, count: count).baseAddress! }
    }

    /// Bytes of arena that the exchange needs.
    package static func bytes(table: ParameterTable, threads: Int) -> Int {
        threads * Arena.bytes(Float.self, count: largestTile(table))
    }

    /// Floats of the largest tile a network makes.
    private static func largestTile(_ table: ParameterTable) -> Int {
        // Parameters whose gradients are held whole need none of it; that they count too costs nothing.
        table.parameters.map { WindowStem.tileRows(outputs: $0.rowLength) * $0.rowLength }.max() ?? 0
    }

    package var cost: ExchangeCost { ExchangeCost() }
    package func resetCost() {}

    package func buckets(of parameter: Parameter) -> [Range<Int>] { [0..<parameter.shape[0]] }

    package func immediateUpdate(of parameter: Parameter) -> ImmediateUpdate? { adam.immediateUpdate(of: parameter) }

    package func destination(of parameter: Parameter, rows: Range<Int>, thread: Int) -> UnsafeMutablePointer<Float> {
        scratch[thread]
    }

    package func tileFinished(
        _ parameter: Parameter, rows: Range<Int>, gradient: UnsafeMutablePointer<Float>, thread: Int
    ) {
        adam.apply(parameter.elements(ofRows: rows), gradient: gradient)
    }

    package func bucketFinished(_ parameter: Parameter, rows: Range<Int>) {}

    package func smallFinished(_ gradients: UnsafeMutableBufferPointer<Float>) {
        adam.apply(0..<gradients.count, gradient: gradients.baseAddress!)
    }
}
