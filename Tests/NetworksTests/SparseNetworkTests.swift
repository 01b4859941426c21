import Kernels
import Layers
import Memory
import Networks
import Testing
import TestOracle

/// Images that are background for the most part: a patch of pixels in each, at a place of its own.
private struct PatchedBatch {
    let shape: NetworkShape
    let oracle: OracleNetwork
    var input: [Double]
    let labels: [Double]

    /// - Parameter bias: the convolution's biases; their signs tell which channels live in the background.
    init(_ shape: NetworkShape, bias: [Double]) {
        self.shape = shape
        var values = TestValues(seed: 72)
        oracle = OracleNetwork(
            height: shape.height, width: shape.width, pool: shape.pool, head: .linear,
            parameters: [
                "conv1.weight": values.dyadic(200, bound: 4, unit: 0x1p-3),
                "conv1.bias": bias,
                "fc1.weight": values.dyadic(shape.flattened * shape.hidden, bound: 4, unit: 0x1p-4),
                "fc1.bias": values.dyadic(shape.hidden, bound: 8, unit: 0x1p-3),
                "fc2.weight": values.dyadic(shape.hidden * shape.outputs, bound: 2, unit: 0x1p-3),
                "fc2.bias": values.dyadic(shape.outputs, bound: 2, unit: 0x1p-3),
            ])
        let pixels = shape.height * shape.width
        input = [Double](repeating: 0, count: shape.samples * pixels)
        for sample in 0..<shape.samples {
            // Patches at edges too; every fifth image is empty.
            let side = sample % 5 == 4 ? 0 : 1 + sample % 4
            let (top, left) = (sample * 3 % (shape.height - side), sample * 5 % (shape.width - side))
            let patch = values.dyadic(side * side, bound: 8, unit: 0x1p-3)
            for (index, value) in patch.enumerated() where top + index / side > 0 || left + index % side > 0 {
                input[sample * pixels + (top + index / side) * shape.width + left + index % side] = value
            }
        }
        labels = values.dyadic(shape.samples * shape.outputs, bound: 30, unit: 0.125)
    }

    var window: WindowNetwork {
        WindowNetwork(
            height: shape.height, width: shape.width, pool: shape.pool, hidden: shape.hidden, outputs: shape.outputs)
    }
}

private let mixed = [0.25, -0.5, 0, 0.125, -0.125, 0.5, -0.25, 0.375]
private let dead = [Double](repeating: -0.25, count: 8)
private let living = [Double](repeating: 0.25, count: 8)

/// The large layer's products without the background's share, against the naive layers and the dense kernels.
@Suite("Sparse network")
struct SparseNetworkTests {
    static let shapes: [NetworkShape] = [
        (16, 24, 2, 16, 48, 1), (16, 24, 2, 16, 48, 7), (20, 36, 2, 48, 5, 23), (24, 40, 4, 32, 48, 6),
        (32, 40, 4, 1024, 3, 2), (16, 20, 2, 64, 48, 100), (12, 18, 2, 16, 7, 13),
    ].map { NetworkShape(height: $0, width: $1, pool: $2, hidden: $3, outputs: $4, samples: $5) }

    @Test("outputs and all gradients equal the oracle's", arguments: shapes, [mixed, dead, living])
    func gradients(shape: NetworkShape, bias: [Double]) throws {
        let batch = PatchedBatch(shape, bias: bias)
        let samples = shape.samples
        let activations = batch.oracle.forward(batch.input, samples: samples)
        let scale = 1 / Float(samples * shape.outputs)
        let difference = Layers.squaredErrorBackward(activations.outputs, labels: batch.labels, scale: Double(scale))
        let expected = batch.oracle.gradients(activations, outputGradient: difference, samples: samples)
        let sizes = zip(activations.outputs, batch.labels).map { 2 * Double(scale) * (abs($0) + abs($1)) }
        let magnitudes = batch.oracle.gradients(
            activations, outputGradient: sizes, samples: samples, usingMagnitudes: true)
        for threads in 1...4 {
            let rig = try NetworkRig(batch.window, maximumSamples: samples, threads: threads)
            rig.set(batch.oracle.parameters)
            // Every product and sum of the forward pass is exact in Float, c · S and x - c included.
            let outputs = rig.forward(batch.input.floats, samples: samples)
            #expect(rig.stem.isSparse && rig.stem.activeShare < WindowStem.sparseLimit)
            #expect(mismatch(outputs, activations.outputs, tolerance: activations.outputs.map { _ in 0 }) == nil)
            #expect(rig.stem.deadPooledCount(samples: samples) == activations.pooled.count { $0 == 0 })
            for rowsPerBucket in [nil, 8, 40] {
                let sink = try rig.gradients(
                    batch.input.floats, labels: batch.labels.floats, samples: samples, scale: scale,
                    rowsPerBucket: rowsPerBucket)
                for name in OracleNetwork.names {
                    // As for the dense kernels; the biases of channels that live in the background are differences of sums
                    // over all windows.
                    let tolerance = magnitudes[name]!.map { 16 * Double(Float.ulpOfOne) * $0 }
                    #expect(
                        mismatch(sink.gradient(name), expected[name]!, tolerance: tolerance) == nil,
                        "\(name), \(threads) threads, buckets \(rowsPerBucket ?? 0)")
                }
            }
        }
    }

    @Test("five steps of Adam go the way of the dense kernels", arguments: [mixed, dead])
    func steps(bias: [Double]) throws {
        let shape = NetworkShape(height: 24, width: 32, pool: 2, hidden: 32, outputs: 48, samples: 11)
        let batch = PatchedBatch(shape, bias: bias)
        func losses(_ kernels: DenseKernels) throws -> [Double] {
            let rig = try NetworkRig(batch.window, maximumSamples: shape.samples, threads: 2, kernels: kernels)
            rig.set(batch.oracle.parameters)
            return try (0..<5).map { _ in
                try rig.step(batch.input.floats, labels: batch.labels.floats, samples: shape.samples)
            }
        }
        let (sparse, dense) = (try losses(.auto), try losses(.tiled))
        #expect(sparse[4] < sparse[0])
        for (one, other) in zip(sparse, dense) { #expect(abs(one - other) <= 64 * Double(Float.ulpOfOne) * other) }
    }

    @Test("the same bits with any number of threads, and the update in place has those of gradient first, Adam after")
    func bits() throws {
        let shape = NetworkShape(height: 24, width: 36, pool: 2, hidden: 48, outputs: 48, samples: 17)
        let batch = PatchedBatch(shape, bias: mixed)
        func run(threads: Int, immediate: Bool) throws -> [Float] {
            let rig = try NetworkRig(batch.window, maximumSamples: shape.samples, threads: threads)
            rig.set(batch.oracle.parameters)
            for _ in 0..<3 {
                _ = try rig.step(
                    batch.input.floats, labels: batch.labels.floats, samples: shape.samples, immediate: immediate)
            }
            #expect(rig.stem.isSparse)
            return rig.parameters
        }
        let expected = try run(threads: 1, immediate: false)
        for threads in 1...4 {
            #expect(bitDifference(try run(threads: threads, immediate: false), expected) == nil, "\(threads) threads")
            #expect(bitDifference(try run(threads: threads, immediate: true), expected) == nil, "\(threads) threads")
        }
    }

    @Test("batches full of pixels after sparse ones, and none at all, leave nothing behind")
    func changes() throws {
        let shape = NetworkShape(height: 16, width: 24, pool: 2, hidden: 16, outputs: 5, samples: 6)
        let batch = PatchedBatch(shape, bias: mixed)
        var values = TestValues(seed: 5)
        let full = values.dyadic(batch.input.count, bound: 8, unit: 0x1p-3).map { $0 == 0 ? 0.125 : $0 }
        let rig = try NetworkRig(batch.window, maximumSamples: 6, threads: 2)
        rig.set(batch.oracle.parameters)
        for input in [batch.input, full, batch.input] {
            let expected = batch.oracle.forward(input, samples: 6).outputs
            let outputs = rig.forward(input.floats, samples: 6)
            #expect(rig.stem.isSparse == (input != full))
            #expect(mismatch(outputs, expected, tolerance: expected.map { _ in 0 }) == nil)
            let sink = try rig.gradients([], labels: [], samples: 0)
            #expect(sink.gradient("fc1.weight").allSatisfy { $0 == 0 } && sink.gradient("conv1.bias").allSatisfy { $0 == 0 })
        }
    }

    @Test("NaN in a weight or a pixel reaches the outputs", arguments: ["conv1.bias", "fc1.weight", "pixel"])
    func notANumber(place: String) throws {
        let shape = NetworkShape(height: 16, width: 24, pool: 2, hidden: 16, outputs: 5, samples: 3)
        var batch = PatchedBatch(shape, bias: living)
        let rig = try NetworkRig(batch.window, maximumSamples: 3, threads: 2)
        rig.set(batch.oracle.parameters)
        if place == "pixel" {
            batch.input[24 * 8 + 12] = .nan
        } else {
            rig.network.parameters[rig.network.table[place].range.upperBound - 1] = .nan
        }
        let outputs = rig.forward(batch.input.floats, samples: 3)
        #expect(rig.stem.isSparse)
        #expect(outputs.prefix(5).contains { $0.isNaN })
        if place != "pixel" { #expect(outputs.allSatisfy { $0.isNaN }) }
    }
}
