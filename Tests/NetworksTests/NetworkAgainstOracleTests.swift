import Kernels
import Layers
import Networks
import Testing
import TestOracle

/// A network and a batch.
struct NetworkShape: Sendable, CustomTestStringConvertible {
    let height, width, pool, hidden, outputs, samples: Int
    var testDescription: String {
        "\(samples) of \(height) x \(width), pool \(pool), hidden \(hidden), outputs \(outputs)"
    }
    var flattened: Int { height / pool * (width / pool) * 8 }

    static let all: [NetworkShape] = [
        (2, 2, 2, 1, 1, 1), (4, 4, 4, 7, 48, 2), (6, 10, 2, 1, 48, 7), (6, 10, 2, 7, 400, 7),
        (6, 10, 2, 1, 1000, 7), (8, 12, 4, 48, 48, 7),
        (10, 14, 2, 48, 48, 1), (12, 20, 4, 7, 3, 100), (12, 16, 2, 48, 48, 100), (4, 12, 4, 1024, 48, 2),
        (14, 10, 2, 1024, 48, 7), (32, 40, 2, 33, 48, 7), (20, 28, 4, 1024, 48, 1),
    ].map { NetworkShape(height: $0, width: $1, pool: $2, hidden: $3, outputs: $4, samples: $5) }
}

/// The whole network against the oracle, over sweeps of shapes, heads and threads.
///
/// Images and parameters have few binary digits, so that every sum of the forward pass is exact in Float: outputs must be
/// equal, and Float and Double take the same branch at every ReLU and in every window, at ties too. Gradients are rounded;
/// the tolerance of an element is a multiple of what was added up to make it.
@Suite("Network against the oracle")
struct NetworkAgainstOracleTests {
    private struct Example {
        let oracle: OracleNetwork
        let input, labels: [Double]
    }

    private func example(_ shape: NetworkShape, _ head: Head) -> Example {
        var values = TestValues(seed: 71)
        // exp of sums of some tens would be out of range: a smaller last layer.
        let last = head == .exp ? 0x1p-12 : 0x1p-3
        let oracle = OracleNetwork(
            height: shape.height, width: shape.width, pool: shape.pool, head: head,
            parameters: [
                "conv1.weight": values.dyadic(200, bound: 4, unit: 0x1p-3),
                "conv1.bias": values.dyadic(8, bound: 4, unit: 0x1p-3),
                "fc1.weight": values.dyadic(shape.flattened * shape.hidden, bound: 4, unit: 0x1p-4),
                "fc1.bias": values.dyadic(shape.hidden, bound: 8, unit: 0x1p-3),
                "fc2.weight": values.dyadic(shape.hidden * shape.outputs, bound: 2, unit: last),
                "fc2.bias": values.dyadic(shape.outputs, bound: 2, unit: last),
            ])
        let input = values.dyadic(shape.samples * shape.height * shape.width, bound: 8, unit: 0x1p-3)
        return Example(
            oracle: oracle, input: input, labels: values.dyadic(shape.samples * shape.outputs, bound: 30, unit: 0.125))
    }

    @Test("outputs and all gradients", arguments: NetworkShape.all, Head.allCases)
    func gradients(shape: NetworkShape, head: Head) throws {
        let example = example(shape, head)
        let samples = shape.samples
        let oracle = example.oracle
        let activations = oracle.forward(example.input, samples: samples)
        let scale = 1 / Float(samples * shape.outputs)
        let difference = Layers.squaredErrorBackward(activations.outputs, labels: example.labels, scale: Double(scale))
        let expected = oracle.gradients(activations, outputGradient: difference, samples: samples)
        let sizes = zip(activations.outputs, example.labels).map { 2 * Double(scale) * (abs($0) + abs($1)) }
        let magnitudes = oracle.gradients(activations, outputGradient: sizes, samples: samples, usingMagnitudes: true)
        let window = WindowNetwork(
            height: shape.height, width: shape.width, pool: shape.pool, hidden: shape.hidden, outputs: shape.outputs,
            head: try #require(OutputHead(rawValue: head.rawValue)))
        #expect(window.problem == nil)
        for threads in 1...4 {
            let rig = try NetworkRig(window, maximumSamples: samples, threads: threads)
            rig.set(oracle.parameters)
            let outputs = rig.forward(example.input.floats, samples: samples)
            // expf is within an ulp.
            let relative = head == .exp ? 1.5 * Double(Float.ulpOfOne) : 0
            #expect(
                mismatch(outputs, activations.outputs, tolerance: activations.outputs.map { abs($0) * relative }) == nil)
            let sink = try rig.gradients(
                example.input.floats, labels: example.labels.floats, samples: samples, scale: scale)
            for name in OracleNetwork.names {
                let actual = sink.gradient(name)
                // Four roundings in the last layer, and sums of some hundred products at most a level, three levels deep.
                let tolerance = magnitudes[name]!.map { 8 * Double(Float.ulpOfOne) * $0 }
                #expect(mismatch(actual, expected[name]!, tolerance: tolerance) == nil, "\(name), \(threads) threads")
            }
        }
    }

    @Test("fewer samples than the network has room for, after a full batch", arguments: [1, 3, 6])
    func partialBatch(samples: Int) throws {
        let shape = NetworkShape(height: 8, width: 12, pool: 2, hidden: 9, outputs: 5, samples: 7)
        let example = example(shape, .linear)
        let window = WindowNetwork(height: 8, width: 12, pool: 2, hidden: 9, outputs: 5)
        let rig = try NetworkRig(window, maximumSamples: 7, threads: 2)
        let fresh = try NetworkRig(window, maximumSamples: samples, threads: 1)
        rig.set(example.oracle.parameters)
        fresh.set(example.oracle.parameters)
        _ = try rig.gradients(example.input.floats, labels: example.labels.floats, samples: 7)
        let input = Array(example.input.floats.prefix(samples * 96))
        let labels = Array(example.labels.floats.prefix(samples * 5))
        let after = try rig.gradients(input, labels: labels, samples: samples)
        let expected = try fresh.gradients(input, labels: labels, samples: samples)
        for name in OracleNetwork.names {
            #expect(bitDifference(after.gradient(name), expected.gradient(name)) == nil, "\(name)")
        }
    }

    @Test("gradients of two halves of a batch, with the whole batch's scale, add up to the batch's")
    func shards() throws {
        let shape = NetworkShape(height: 8, width: 12, pool: 2, hidden: 9, outputs: 5, samples: 7)
        let example = example(shape, .linear)
        let rig = try NetworkRig(
            WindowNetwork(height: 8, width: 12, pool: 2, hidden: 9, outputs: 5), maximumSamples: 7, threads: 2)
        rig.set(example.oracle.parameters)
        let (input, labels) = (example.input.floats, example.labels.floats)
        let scale = Float(1) / 35
        let whole = try rig.gradients(input, labels: labels, samples: 7, scale: scale)
        let first = try rig.gradients(
            Array(input.prefix(4 * 96)), labels: Array(labels.prefix(20)), samples: 4, scale: scale)
        let second = try rig.gradients(
            Array(input.suffix(3 * 96)), labels: Array(labels.suffix(15)), samples: 3, scale: scale)
        for name in OracleNetwork.names {
            let expected = whole.gradient(name).doubles
            let sum = zip(first.gradient(name).doubles, second.gradient(name).doubles).map { $0 + $1 }
            let largest = expected.magnitudes.max()!
            let tolerance = expected.map { _ in 8 * Double(Float.ulpOfOne) * largest }
            #expect(mismatch(sum, expected, tolerance: tolerance) == nil, "\(name)")
        }
    }

    @Test("pooled values that ReLU cut off are counted", arguments: [1, 2])
    func deadCount(threads: Int) throws {
        let shape = NetworkShape(height: 8, width: 12, pool: 2, hidden: 9, outputs: 5, samples: 7)
        let example = example(shape, .linear)
        let rig = try NetworkRig(
            WindowNetwork(height: 8, width: 12, pool: 2, hidden: 9, outputs: 5), maximumSamples: 7,
            threads: threads)
        rig.set(example.oracle.parameters)
        _ = rig.forward(example.input.floats, samples: 7)
        let pooled = example.oracle.forward(example.input, samples: 7).pooled
        let dead = pooled.count { $0 == 0 }
        #expect(dead > 0 && dead < pooled.count)
        #expect(rig.stem.deadPooledCount(samples: 7) == dead)
        #expect(rig.stem.deadPooledCount(samples: 0) == 0)
    }
}
