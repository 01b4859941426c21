import Exchange
import Layers
import Memory
import Networks
import Optimizers
import Testing

/// The room that one rank's tiles of gradient take.
struct GradientTileTests {
    /// Widths beside the sizes where a tile is one granule of rows, and the widest that a test can hold.
    @Test(arguments: [1, 48, 64, 1024, 10_922, 10_923, 20_001]) func everyTileFitsItsScratch(hidden: Int) throws {
        let table = WindowNetwork(height: 4, width: 4, hidden: hidden).table
        let floats = WindowStem.tileRows(outputs: hidden) * hidden
        let adamBytes = Adam.bytes(for: table)
        let threads = 2
        let bytes = SoloExchange.bytes(table: table, threads: threads)
        #expect(bytes >= threads * floats * MemoryLayout<Float>.stride)

        let arena = try Arena(
            capacity: adamBytes + bytes + Arena.bytes(Float.self, count: table.count))
        let weights = arena.carve(Float.self, count: table.count).baseAddress!
        let adam = Adam(configuration: Adam.Configuration(), weights: weights, table: table, arena: arena)
        let exchange = SoloExchange(adam: adam, table: table, threads: threads, arena: arena)
        // What one thread writes must end before the other's begins.
        let tiles = (0..<threads).map { exchange.destination(of: table["fc1.weight"], rows: 0..<1, thread: $0) }
        #expect(tiles[1] - tiles[0] >= floats)
    }
}
