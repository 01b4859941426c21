import Layers
import Networks
import Testing
import TestOracle

/// The same bits whatever the number of threads, from run to run, and however a sink cuts a large gradient.
@Suite("Same bits")
struct DeterminismTests {
    /// Several lanes and tiles; a network smaller than its threads; a single sample.
    static let shapes = [
        NetworkShape(height: 32, width: 48, pool: 2, hidden: 256, outputs: 48, samples: 9),
        NetworkShape(height: 16, width: 20, pool: 4, hidden: 7, outputs: 48, samples: 5),
        NetworkShape(height: 24, width: 36, pool: 2, hidden: 48, outputs: 48, samples: 1),
    ]
    private let steps = 5

    private struct Result {
        var outputs: [Float]
        var gradients: [Float]
        var losses: [Double]
        var parameters: [Float]
    }

    private func run(_ shape: NetworkShape, threads: Int, rowsPerBucket: Int? = nil) throws -> Result {
        let window = WindowNetwork(
            height: shape.height, width: shape.width, pool: shape.pool, hidden: shape.hidden, outputs: shape.outputs)
        let rig = try NetworkRig(window, maximumSamples: shape.samples, threads: threads)
        rig.initialize(seed: 3)
        var values = TestValues(seed: 81)
        let input = values.uniform(shape.samples * shape.height * shape.width, bound: 2).floats
        let labels = values.uniform(shape.samples * shape.outputs, bound: 5).floats
        let outputs = rig.forward(input, samples: shape.samples)
        let sink = try rig.gradients(input, labels: labels, samples: shape.samples, rowsPerBucket: rowsPerBucket)
        let gradients = OracleNetwork.names.flatMap { sink.gradient($0) }
        let losses = try (0..<steps).map { _ in
            try rig.step(input, labels: labels, samples: shape.samples, rowsPerBucket: rowsPerBucket)
        }
        return Result(outputs: outputs, gradients: gradients, losses: losses, parameters: rig.parameters)
    }

    private func expectSame(_ actual: Result, _ expected: Result, _ what: Comment) {
        #expect(bitDifference(actual.outputs, expected.outputs) == nil, what)
        #expect(bitDifference(actual.gradients, expected.gradients) == nil, what)
        #expect(actual.losses.map(\.bitPattern) == expected.losses.map(\.bitPattern), what)
        #expect(bitDifference(actual.parameters, expected.parameters) == nil, what)
    }

    @Test("with 1, 2, 3 and 4 threads, and run to run: outputs, gradients, five steps", arguments: shapes)
    func threads(shape: NetworkShape) throws {
        let expected = try run(shape, threads: 1)
        #expect(expected.losses.last! < expected.losses.first!)
        #expect(expected.gradients.allSatisfy { $0.isFinite })
        for threads in 1...4 {
            for round in 1...2 {
                expectSame(try run(shape, threads: threads), expected, "\(threads) threads, run \(round)")
            }
        }
    }

    @Test("however a gradient is cut into buckets of whole tiles", arguments: [1, 2, 3], 1...3)
    func bucketsOfTiles(tiles: Int, threads: Int) throws {
        let shape = Self.shapes[0]
        let rows = WindowStem.tileRows(outputs: shape.hidden)
        #expect(rows * tiles < shape.flattened)
        let expected = try run(shape, threads: 1)
        expectSame(
            try run(shape, threads: threads, rowsPerBucket: rows * tiles), expected, "\(threads) threads")
    }

    /// A product of another size may run in another kernel of the BLAS, which adds in another order: sums of up to 256
    /// products differ by a few ulps. What is cut the same way has the same bits, whatever the threads.
    @Test(
        "in buckets of 1 row, of 7, of 100: to rounding the same, whatever the threads exactly",
        arguments: shapes, [1, 7, 100])
    func smallBuckets(shape: NetworkShape, rows: Int) throws {
        let whole = try run(shape, threads: 1)
        let expected = try run(shape, threads: 1, rowsPerBucket: rows)
        let largest = whole.gradients.doubles.magnitudes.max()!
        #expect(
            mismatch(
                expected.gradients, whole.gradients.doubles, tolerance: 16 * Double(Float.ulpOfOne) * largest) == nil)
        for (loss, other) in zip(expected.losses, whole.losses) {
            #expect(abs(loss - other) <= 16 * Double(Float.ulpOfOne) * other)
        }
        for threads in 2...3 {
            expectSame(try run(shape, threads: threads, rowsPerBucket: rows), expected, "\(threads) threads")
        }
    }
}
