import Foundation
import Kernels
import System
import Testing
import TestOracle

@Suite("Truncated normal values")
struct RandomFillTests {
    private func fill(_ count: Int, seed: UInt64 = 7, start: Int = 0, deviation: Float = 1) -> [Float] {
        let buffer = GuardedBuffer<Float>(overwriting: count)
        RandomFill.truncatedNormal(
            CounterRandom(seed: seed, stream: 3), start: start, deviation: deviation,
            into: UnsafeMutableBufferPointer(start: buffer.start, count: count))
        #expect(buffer.isIntact)
        return buffer.values
    }

    /// erfinv in Double, by halving the interval in which erf crosses y.
    private func inverseErrorFunction(_ y: Double) -> Double {
        var (low, high) = (-3.0, 3.0)
        for _ in 0..<60 {
            let middle = (low + high) / 2
            if erf(middle) < y { low = middle } else { high = middle }
        }
        return (low + high) / 2
    }

    @Test("values follow the uniform numbers they are made of, by erfinv in Double")
    func byDefinition() {
        let count = 4096
        let actual = fill(count)
        let random = CounterRandom(seed: 7, stream: 3)
        let expected = (0..<count).map { index -> Double in
            let bits = random.bits(UInt64(index / 2)) >> (index % 2 == 0 ? 0 : 32) & 0xFFFF_FFFF
            let odd = Int(bits >> 7 | 1) - 1 << 24
            let u = Double(odd) * 0x1p-24 * erf(2.0.squareRoot())
            return 2.0.squareRoot() * inverseErrorFunction(u)
        }
        // 1e-6 by the kernel's promise, of which Giles's polynomial takes a third; the rest is rounding.
        #expect(mismatch(actual, expected, tolerance: expected.map { abs($0) * 1e-6 }) == nil)
    }

    @Test("mean, deviation, skewness, bounds of a million values", arguments: [Float(1), 0.1, 3])
    func moments(deviation: Float) {
        let count = 1 << 20
        let values = fill(count, seed: 8, deviation: deviation).map { Double($0 / deviation) }
        let mean = values.reduce(0, +) / Double(count)
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)
        let third = values.reduce(0) { $0 + $1 * $1 * $1 } / Double(count)
        // Standard errors at 2^20 values: mean 0.00086, deviation 0.0005, third moment 0.0015. Four of them.
        #expect(abs(mean) < 0.0034)
        #expect(abs(variance.squareRoot() - 0.879_625_66) < 0.002)
        #expect(abs(third) < 0.006)
        #expect(values.allSatisfy { abs($0) <= 2.000001 })
        #expect(values.contains { abs($0) > 1.99 })
        #expect(!values.contains(0))
        // Share within one deviation: erf(1/sqrt 2) / erf(sqrt 2) = 0.71523; standard error 0.00044.
        let share = Double(values.count { abs($0) < 1 }) / Double(count)
        #expect(abs(share - erf(0.5.squareRoot()) / erf(2.0.squareRoot())) < 0.0018)
    }

    @Test("the same values when filled in pieces", arguments: [2, 6, 8, 10, 250, 256])
    func pieces(size: Int) {
        let whole = fill(1001)
        let pieces = stride(from: 0, to: 1001, by: size).flatMap { fill(min(size, 1001 - $0), start: $0) }
        #expect(bitDifference(whole, pieces) == nil)
    }

    @Test("fewer values than a register, and none", arguments: 0...9)
    func short(count: Int) {
        #expect(bitDifference(fill(count), Array(fill(32).prefix(count))) == nil)
    }

    @Test("another seed, another stream: other values")
    func seeds() {
        let values = fill(64)
        #expect(values != fill(64, seed: 8))
        #expect(Set(values).count == 64)
    }
}
