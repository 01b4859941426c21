import Kernels
import System
import Testing
import TestOracle

@Suite("Norms, clipping by value, moving averages")
struct GradientNormTests {
    private static let counts = [0, 1, 3, 15, 16, 17, 100, 16_384, 16_385, 100_003]

    @Test("the sum of squares is that in Double", arguments: counts)
    func sum(count: Int) throws {
        var values = TestValues(seed: 81)
        let numbers = values.uniform(count, bound: 100)
        let buffer = GuardedBuffer<Float>(numbers)
        let norm = GradientNorm(capacity: count)
        let sum = norm.sumOfSquares(buffer.start, count: count, team: try WorkerTeam(count: 2))
        let expected = numbers.reduce(0) { $0 + $1 * $1 }
        // A square of a float is exact in Double; sums of n positive terms are right to n ulps at worst.
        #expect(abs(sum - expected) <= Double(count) * Double.ulpOfOne * expected)
    }

    @Test("whole numbers are summed exactly, each once", arguments: counts)
    func exact(count: Int) throws {
        var values = TestValues(seed: 82)
        let numbers = values.dyadic(count, bound: 1000)
        let norm = GradientNorm(capacity: count)
        let team = try WorkerTeam(count: 3)
        #expect(norm.sumOfSquares(numbers.floats, count: count, team: team) == numbers.reduce(0) { $0 + $1 * $1 })
        #expect(GradientNorm.sumOfSquares(numbers.floats, count: count) == numbers.reduce(0) { $0 + $1 * $1 })
    }

    @Test("the bits do not depend on the threads, nor on what was summed before")
    func threads() throws {
        var values = TestValues(seed: 83)
        let numbers = values.uniform(100_003).floats
        let norm = GradientNorm(capacity: 200_000)
        let one = norm.sumOfSquares(numbers, count: numbers.count, team: try WorkerTeam(count: 1))
        for threads in 2...4 {
            let team = try WorkerTeam(count: threads)
            _ = norm.sumOfSquares(numbers + numbers.prefix(99_997), count: 200_000, team: team)
            let sum = norm.sumOfSquares(numbers, count: numbers.count, team: team)
            #expect(sum.bitPattern == one.bitPattern)
        }
    }

    @Test("the sum is finite exactly when every value is", arguments: [0, 7, 16_384, 20_000])
    func finite(place: Int) throws {
        let (norm, team) = (GradientNorm(capacity: 20_001), try WorkerTeam(count: 2))
        var numbers = [Float](repeating: .greatestFiniteMagnitude, count: 20_001)
        #expect(norm.sumOfSquares(numbers, count: numbers.count, team: team).isFinite)
        for value in [Float.nan, .infinity, -.infinity] {
            numbers[place] = value
            #expect(!norm.sumOfSquares(numbers, count: numbers.count, team: team).isFinite)
        }
    }

    @Test("clipping by value limits each value by itself", arguments: [0, 1, 7, 8, 9, 100, 70_000])
    func clip(count: Int) throws {
        var values = TestValues(seed: 84)
        let numbers = values.uniform(count, bound: 2).floats
        for threads in 1...4 {
            let buffer = GuardedBuffer(numbers, outside: 9)
            ValueClip.apply(buffer.start, count: count, limit: 0.5, team: try WorkerTeam(count: threads))
            #expect(bitDifference(buffer.values, numbers.map { min(max($0, -0.5), 0.5) }) == nil)
            #expect(buffer.isIntact)
        }
    }

    @Test("clipping by value leaves NaN to be found", arguments: [0, 8])
    func clipNaN(place: Int) {
        var numbers = [Float](repeating: -3, count: 9)
        numbers[place] = .nan
        ValueClip.apply(&numbers, count: 9, limit: 1)
        for index in 0..<9 { #expect(index == place ? numbers[index].isNaN : numbers[index] == -1) }
    }

    @Test("a moving average agrees with the formula in Double", arguments: [0, 1, 7, 8, 9, 100], [0.5, 0.999])
    func average(count: Int, decay: Double) {
        var values = TestValues(seed: 85)
        let (old, new) = (values.uniform(count), values.uniform(count))
        let (average, weights) = (GuardedBuffer<Float>(old), GuardedBuffer<Float>(new))
        MovingAverage(decay: decay).apply(average: average.start, weights: weights.start, count: count)
        // Five roundings, those of the decay and its rest among them, of terms below 1.
        let expected = old.indices.map { old[$0] * decay + new[$0] * (1 - decay) }
        #expect(mismatch(average.values, expected, tolerance: 3 * Double(Float.ulpOfOne)) == nil)
        #expect(average.isIntact && weights.isIntact)
    }
}
