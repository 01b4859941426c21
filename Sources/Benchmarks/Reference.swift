import Kernels
package import Memory
package import System

/// What the hardware gives: the rates that everything else is held against.
package final class HardwareReference {
    /// Rows and columns of the square product: large enough for the BLAS's best rate, small enough for the caches.
    private static let side = 1024
    private let team: WorkerTeam
    private let arena: Arena
    private let operands: [UnsafeMutablePointer<Float>]

    /// - Throws: `ArenaError`.
    package init(team: WorkerTeam) throws(ArenaError) {
        self.team = team
        let count = Self.side * Self.side
        let arena = try Arena(capacity: team.count * 3 * Arena.bytes(Float.self, count: count))
        self.arena = arena
        arena.touch(team: team)
        operands = (0..<team.count * 3).map { _ in arena.carve(Float.self, count: count).baseAddress! }
        for operand in operands {
            for index in 0..<count { operand[index] = Float(index % 13) * 0.1 - 0.6 }
        }
    }

    /// Floating-point operations a second of single-precision matrix products, 1024 x 1024 x 1024, one a thread side by
    /// side: the BLAS at its best. One sample of a few tens of milliseconds.
    package func productRate() -> Double {
        let side = Self.side
        let start = Stopwatch.now
        team.run { thread in
            let base = thread * 3
            for _ in 0..<2 {
                BLAS.gemm(
                    m: side, n: side, k: side, a: operands[base], strideA: side, b: operands[base + 1], strideB: side,
                    beta: 0, c: operands[base + 2], strideC: side)
            }
        }
        let operations = 2.0 * 2 * Double(side * side * side) * Double(team.count)
        return operations / (Stopwatch.now - start)
    }

    /// Bytes a second that all threads together move in y += x over arrays larger than the caches: read x, read y, write y.
    /// - Parameter values: two arrays of this many floats, changed.
    package func memoryRate(
        _ x: UnsafeMutablePointer<Float>, _ y: UnsafeMutablePointer<Float>, count: Int
    ) -> Double {
        let block = 1 << 16
        let start = Stopwatch.now
        team.forEach((count + block - 1) / block) { item, _ in
            let (source, target) = (x + item * block, y + item * block)
            for index in 0..<min(block, count - item * block) { target[index] += source[index] }
        }
        return Double(count) * 12 / (Stopwatch.now - start)
    }
}
