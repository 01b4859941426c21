import Layers
import Memory
import Networks
import Testing
import TestOracle

@Suite("What a gradient sink is told")
struct GradientSinkTests {
    private func rig(_ shape: NetworkShape, threads: Int) throws -> (NetworkRig, input: [Float], labels: [Float]) {
        let rig = try NetworkRig(
            WindowNetwork(
                height: shape.height, width: shape.width, pool: shape.pool, hidden: shape.hidden,
                outputs: shape.outputs), maximumSamples: shape.samples, threads: threads)
        rig.initialize(seed: 5)
        var values = TestValues(seed: 91)
        return (
            rig, values.uniform(shape.samples * shape.height * shape.width).floats,
            values.uniform(shape.samples * shape.outputs).floats
        )
    }

    @Test(
        "every row once, all tiles of a bucket before the next, small parameters last, no tile over its limit",
        arguments: [1, 3], [1, 7, 600, nil])
    func events(threads: Int, rows: Int?) throws {
        let shape = NetworkShape(height: 16, width: 24, pool: 2, hidden: 512, outputs: 4, samples: 2)
        let (rig, input, labels) = try rig(shape, threads: threads)
        let sink = try rig.gradients(input, labels: labels, samples: 2, rowsPerBucket: rows)
        var events = sink.events
        #expect(events.popLast() == .small)
        for bucket in cutRows(of: sink.table["fc1.weight"], into: rows) {
            let end = try #require(events.firstIndex(of: .bucket(bucket)))
            let tiles = events[..<end].compactMap { if case .tile(let rows) = $0 { rows } else { nil } }
            #expect(tiles.count == end, "only tiles before the bucket's end")
            let covered = tiles.sorted { $0.lowerBound < $1.lowerBound }.flatMap { Array($0) }
            #expect(covered == Array(bucket))
            #expect(tiles.allSatisfy { $0.count * shape.hidden <= WindowStem.tileFloats })
            events.removeFirst(end + 1)
        }
        #expect(events.isEmpty)
    }

    @Test("no samples: all gradients are 0, all rows are told, and no weight changes", arguments: [1, 2], [7, nil])
    func noSamples(threads: Int, rows: Int?) throws {
        let shape = NetworkShape(height: 8, width: 12, pool: 2, hidden: 48, outputs: 48, samples: 3)
        let (rig, input, labels) = try rig(shape, threads: threads)
        // A batch before it leaves its traces in every buffer.
        let full = try rig.gradients(input, labels: labels, samples: 3)
        #expect(full.gradient("conv1.weight").contains { $0 != 0 })
        let before = rig.parameters
        #expect(rig.forward(input, samples: 0).isEmpty)
        let sink = try rig.gradients(input, labels: labels, samples: 0, rowsPerBucket: rows)
        for name in OracleNetwork.names {
            let gradient = sink.gradient(name)
            #expect(gradient == [Float](repeating: 0, count: gradient.count), "\(name)")
        }
        #expect(sink.events.count { if case .bucket = $0 { true } else { false } } == (rows == nil ? 1 : 28))
        _ = try rig.step(input, labels: labels, samples: 0, rowsPerBucket: rows)
        #expect(bitDifference(rig.parameters, before) == nil)
    }

    @Test("an error of a sink ends the backward pass")
    func errors() throws {
        struct Broken: Error {}
        final class BrokenSink: GradientSink {
            let inner: CollectingSink
            var told = 0
            init(_ inner: CollectingSink) { self.inner = inner }
            func buckets(of parameter: Parameter) -> [Range<Int>] { inner.buckets(of: parameter) }
            func destination(of parameter: Parameter, rows: Range<Int>, thread: Int) -> UnsafeMutablePointer<Float> {
                inner.destination(of: parameter, rows: rows, thread: thread)
            }
            func tileFinished(
                _ parameter: Parameter, rows: Range<Int>, gradient: UnsafeMutablePointer<Float>, thread: Int
            ) {}
            func bucketFinished(_ parameter: Parameter, rows: Range<Int>) throws {
                told += 1
                if told == 2 { throw Broken() }
            }
            func smallFinished(_ gradients: UnsafeMutableBufferPointer<Float>) { told += 100 }
        }
        let shape = NetworkShape(height: 8, width: 12, pool: 2, hidden: 3, outputs: 2, samples: 1)
        let (rig, input, labels) = try rig(shape, threads: 2)
        let sink = BrokenSink(CollectingSink(table: rig.network.table, rowsPerBucket: 50))
        rig.forward(input, samples: 1)
        try rig.network.beginBackward(labels: labels, scale: 1)
        #expect(throws: Broken.self) { try rig.network.finishBackward(sink: sink) }
        #expect(sink.told == 2)
    }
}
