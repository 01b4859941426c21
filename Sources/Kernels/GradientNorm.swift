import Memory
package import System

/// The sum of squares of a buffer, by all threads of a team.
///
/// Squares and sums are in Double: no square of a float overflows there, so the sum is finite exactly when every value is.
/// Blocks of 16,384 values are summed each by itself and then one after the other: the bits do not depend on the threads.
package final class GradientNorm {
    private static let block = 1 << 14
    private let capacity: Int
    private let sums: UnsafeMutablePointer<Double>

    /// - Parameter capacity: the most values a buffer will have.
    package init(capacity: Int) {
        self.capacity = capacity
        let blocks = max(1, (capacity + Self.block - 1) / Self.block)
        sums = .allocate(capacity: blocks)
        sums.initialize(repeating: 0, count: blocks)
    }

    deinit { sums.deallocate() }

    /// The sum of x² over `count` values; NaN or infinite when any x is. Allocates nothing.
    package func sumOfSquares(_ values: UnsafePointer<Float>, count: Int, team: WorkerTeam) -> Double {
        precondition(count <= capacity, "\(count) values, room for the sums of \(capacity)")
        let blocks = (count + Self.block - 1) / Self.block
        team.forEach(blocks) { item, _ in
            let start = item * Self.block
            sums[item] = Self.sumOfSquares(values + start, count: min(Self.block, count - start))
        }
        var sum = 0.0
        for index in 0..<blocks { sum += sums[index] }
        return sum
    }

    /// The same by the calling thread, in one piece.
    package static func sumOfSquares(_ values: UnsafePointer<Float>, count: Int) -> Double {
        let raw = UnsafeRawPointer(values)
        var (a, b, c, d) = (SIMD4<Double>(), SIMD4<Double>(), SIMD4<Double>(), SIMD4<Double>())
        var index = 0
        while index &+ 16 <= count {
            let place = raw + 4 &* index
            let (x, y) = (widen(place), widen(place + 16))
            let (z, u) = (widen(place + 32), widen(place + 48))
            a += x * x
            b += y * y
            c += z * z
            d += u * u
            index &+= 16
        }
        var sum = ((a + b) + (c + d)).sum()
        while index < count {
            let x = Double(values[index])
            sum += x * x
            index &+= 1
        }
        return sum
    }

    @inline(__always)
    private static func widen(_ place: UnsafeRawPointer) -> SIMD4<Double> {
        SIMD4<Double>(place.loadUnaligned(as: SIMD4<Float>.self))
    }
}
