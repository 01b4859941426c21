import Checkpoints
import Foundation
import Testing

@Suite struct TensorStatisticsTests {
    private func statistics(_ values: [Float], pieces: Int) -> TensorStatistics {
        var statistics = TensorStatistics()
        var start = 0
        while start < values.count {
            let end = min(values.count, start + pieces)
            values[start..<end].withUnsafeBufferPointer { statistics.add($0) }
            start = end
        }
        return statistics
    }

    /// Against two passes in Double. Sums of n differences in Double are off by at most n * 2^-53 of their size.
    @Test(arguments: [1, 7, 8, 9, 64, 1000, 100_003], [1.0, 1000.0])
    func againstTwoPasses(count: Int, mean: Double) throws {
        var generator = SeededGenerator(seed: UInt64(count))
        let values = (0..<count).map { index in
            index % 5 == 3 ? Float(0) : Float(mean + Double.random(in: -0.5...0.5, using: &generator))
        }
        let exactMean = values.reduce(0.0) { $0 + Double($1) } / Double(count)
        let variance = values.reduce(0.0) { $0 + (Double($1) - exactMean) * (Double($1) - exactMean) } / Double(count)
        let tolerance = Double(count) * mean * Double.ulpOfOne * 4
        for pieces in [3, 8, 1001, count] {
            let result = statistics(values, pieces: pieces)
            #expect(result.count == count)
            #expect(result.min == values.min())
            #expect(result.max == values.max())
            #expect(result.zeroCount == values.count { $0 == 0 })
            #expect(result.nonFiniteCount == 0)
            #expect(abs(try #require(result.mean) - exactMean) <= tolerance)
            #expect(abs(try #require(result.standardDeviation) - variance.squareRoot()) <= tolerance.squareRoot())
        }
    }

    @Test func nonFiniteElementsAreCountedAndLeftOut() throws {
        var values = [Float](repeating: 2, count: 37)
        values[0] = .nan
        values[9] = .infinity
        values[20] = -.infinity
        values[36] = .signalingNaN
        values[5] = -0.0
        values[6] = .leastNonzeroMagnitude
        let result = statistics(values, pieces: 37)
        #expect(result.count == 37)
        #expect(result.nonFiniteCount == 4)
        #expect(result.zeroCount == 1)
        #expect(result.min == 0)
        #expect(result.max == 2)
        #expect(abs(try #require(result.mean) - 62.0 / 33) < 1e-12)
    }

    @Test(arguments: [1, 8, 20, 64])
    func aBeginningWithoutFiniteElements(pieces: Int) {
        let result = statistics([Float](repeating: .nan, count: 20) + [Float](repeating: 5, count: 20), pieces: pieces)
        #expect(result.min == 5)
        #expect(result.max == 5)
        #expect(result.mean == 5)
        #expect(result.nonFiniteCount == 20)
    }

    @Test func nothingToMeasure() {
        for values: [Float] in [[], [.nan, .infinity]] {
            let result = statistics(values, pieces: 8)
            #expect(result.min == nil)
            #expect(result.max == nil)
            #expect(result.mean == nil)
            #expect(result.standardDeviation == nil)
            #expect(result.zeroShare == 0)
        }
    }

    @Test func equalElementsHaveNoSpread() {
        let result = statistics([Float](repeating: 1e30, count: 1000), pieces: 64)
        #expect(result.standardDeviation == 0)
        #expect(result.mean == Double(Float(1e30)))
    }

    @Test func fromAFile() throws {
        let scratch = try Scratch()
        let path = scratch.file("t.safetensors")
        let count = (1 << 18) + 11
        let values = (0..<count).map { Float($0 % 4) }
        let writer = try SafetensorsWriter(
            path: path, entries: [TensorEntry(name: "pad", shape: [3]), TensorEntry(name: "t", shape: [count])])
        try [Float](repeating: 99, count: 3).withUnsafeBufferPointer { try writer.append($0) }
        try values.withUnsafeBufferPointer { try writer.append($0) }
        _ = try writer.finish()
        let result = try TensorStatistics.of("t", in: SafetensorsReader(path: path))
        #expect(result.count == count)
        #expect(result.max == 3)
        #expect(result.zeroCount == values.count { $0 == 0 })
        #expect(try failure { _ = try TensorStatistics.of("u", in: SafetensorsReader(path: path)) }.kind == .missing)
    }
}
