import Collectives
import Layers
package import Memory
import Networks
import System

/// The tiles that are exchanged at once: consecutive rows of one parameter, and their gradients.
struct Bucket {
    let parameter: Parameter
    let rows: Range<Int>
    let gradients: UnsafeMutablePointer<Float>

    /// Of the parameter arena.
    var elements: Range<Int> { parameter.elements(ofRows: rows) }
    var buffer: UnsafeMutableBufferPointer<Float> { UnsafeMutableBufferPointer(start: gradients, count: elements.count) }
}

/// How parameters are cut into buckets: static, so that no rank ever negotiates what comes next.
package struct BucketCut: Sendable {
    /// Floats of a bucket: 32 MiB. Larger ones gained nothing, smaller ones pay latency more often.
    package static let standardCount = 8 << 20

    /// Floats of a bucket, but at least one granule of rows.
    let count: Int

    package init(count: Int) { self.count = count }

    /// As many rows as fit, in whole granules.
    func rowsOfBucket(_ parameter: Parameter) -> Int {
        let granule = WindowStem.bucketGranule
        return max(granule, count / parameter.rowLength / granule * granule)
    }

    package func buckets(of parameter: Parameter) -> [Range<Int>] {
        let rows = rowsOfBucket(parameter)
        return stride(from: 0, to: parameter.shape[0], by: rows).map { $0..<min($0 + rows, parameter.shape[0]) }
    }

    /// Floats that the largest bucket takes.
    func largest(_ table: ParameterTable) -> Int {
        table.parameters.map { min(rowsOfBucket($0) * $0.rowLength, $0.count) }.max() ?? 0
    }
}

/// The memory that buckets are filled in, where the other ranks of the node can read it if that is possible. With several
/// threads there are two, taken in turn: one is exchanged by the main thread while the others fill the other one. Where every
/// rank has a single thread, which would exchange and fill by turns anyway, there is one. All ranks have the same number, as
/// they share the memory.
final class BucketBuffers {
    let cut: BucketCut
    /// Whether a bucket can be exchanged while the next is filled.
    var overlaps: Bool { buffers.count > 1 }
    /// Holds the memory that is not shared.
    private let arena: Arena?
    private let buffers: [UnsafeMutablePointer<Float>]
    private var filling = 0

    /// All ranks call it together.
    /// - Throws: `CollectiveError`; `ArenaError`, when the ranks have nothing more to do together here.
    init(cut: BucketCut, table: ParameterTable, communicator: any Communicator, team: WorkerTeam) throws {
        self.cut = cut
        let threads = try Int(communicator.maximum(Double(team.count)))
        let (count, number) = (cut.largest(table), Self.number(threads))
        let shared = try (0..<number).compactMap { _ in try communicator.sharedBuffer(count: count)?.baseAddress }
        if shared.count == number {
            arena = nil
            buffers = shared
        } else {
            let arena = try Arena(capacity: Self.bytes(table: table, cut: cut, threads: threads))
            arena.touch(team: team)
            self.arena = arena
            buffers = (0..<number).map { _ in arena.carve(Float.self, count: count).baseAddress! }
        }
    }

    /// - Parameter threads: of the rank that has most.
    static func bytes(table: ParameterTable, cut: BucketCut, threads: Int) -> Int {
        number(threads) * Arena.bytes(Float.self, count: cut.largest(table))
    }

    private static func number(_ threads: Int) -> Int { threads > 1 ? 2 : 1 }

    func destination(of parameter: Parameter, rows: Range<Int>) -> UnsafeMutablePointer<Float> {
        buffers[filling] + rows.lowerBound % cut.rowsOfBucket(parameter) * parameter.rowLength
    }

    /// The bucket that was filled; the next is filled elsewhere, where there are two.
    func take(_ parameter: Parameter, rows: Range<Int>) -> Bucket {
        defer { filling = (filling + 1) % buffers.count }
        return Bucket(parameter: parameter, rows: rows, gradients: buffers[filling])
    }
}
