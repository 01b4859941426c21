package import Kernels
package import Memory
import System

/// The first fully connected layer, above the windows, as the network sees it: on this rank, or divided among many.
package protocol WindowLayer: AnyObject {
    /// Whether the values of windows of background may be left out of x in a batch of which this share of windows is active.
    /// Called once before each `forward`; what it says holds for that and the `backward` after it.
    func leavesOutBackground(activeShare: Double) -> Bool

    /// y = max(0, x · w + bias).
    /// - Parameters:
    ///   - input: x (samples, inputs), and where it is active. Samples may be 0.
    ///   - weights: what the network holds of (inputs, outputs). bias: (outputs). y: (samples, outputs), overwritten.
    func forward(
        _ input: WindowBatch, weights: UnsafeMutablePointer<Float>, bias: UnsafePointer<Float>,
        y: UnsafeMutablePointer<Float>
    ) throws

    /// The same, where each sample's y must be a function of its x and the weights alone, bit for bit: whatever the other samples
    /// are, and however the layer is divided. Background is left out of x; no `backward` follows.
    /// - Parameters:
    ///   - weightsVersion: see `Pass.weightsVersion`.
    ///   - scales: (samples), `ExactSum.scale` of each sample's largest value.
    func predict(
        _ input: WindowBatch, weights: UnsafePointer<Float>, weightsVersion: Int, bias: UnsafePointer<Float>,
        scales: UnsafePointer<Float>, y: UnsafeMutablePointer<Float>
    ) throws

    /// The gradient of x, in the place of x, where it was not left out; and what becomes of the gradient of w.
    /// - Parameters:
    ///   - dy: (samples, outputs), gradient before the ReLU. columnSums: (outputs), its sums over the samples.
    ///   - sink: takes the gradient of w, unless the layer updates w by itself.
    /// - Returns: the gradient of the background's value, summed over all windows and samples, where background is left out;
    ///   this rank's share of it.
    func backward(
        _ input: WindowBatch, parameter: Parameter, weights: UnsafeMutablePointer<Float>, dy: UnsafePointer<Float>,
        columnSums: UnsafePointer<Float>, sink: any GradientSink
    ) throws -> SIMD8<Float>
}

/// The layer whole on this rank: sparse products where most windows see background alone, else dense ones.
final class LocalWindowLayer: WindowLayer {
    private let outputs: Int
    private let kernels: DenseKernels
    private let team: WorkerTeam
    private let dense: LargeDense
    private let sparse: SparseLayer
    private var isSparse = false

    /// - Parameter carver: gives room, on `threads` threads.
    init(
        outputs: Int, blocks: WindowBlocks, maximumSamples: Int, team: WorkerTeam, threads: Int, kernels: DenseKernels,
        _ carver: inout Carver
    ) {
        self.outputs = outputs
        self.kernels = kernels
        self.team = team
        let held = Self.held(blocks)
        dense = LargeDense(
            inputs: held.rowCount, outputs: outputs, maximumSamples: maximumSamples, team: team, threads: threads,
            kernels: kernels, &carver)
        sparse = SparseLayer(
            held: held, outputs: outputs, maximumSamples: maximumSamples, team: team, threads: threads, &carver)
    }

    private static func held(_ blocks: WindowBlocks) -> SparseLayer.Held {
        SparseLayer.Held(blocks, numbers: Array(0..<blocks.count))
    }

    func leavesOutBackground(activeShare: Double) -> Bool {
        isSparse = kernels == .auto && WindowBatch.fits(outputs: outputs) && activeShare <= WindowStem.sparseLimit
        return isSparse
    }

    func forward(
        _ input: WindowBatch, weights: UnsafeMutablePointer<Float>, bias: UnsafePointer<Float>,
        y: UnsafeMutablePointer<Float>
    ) {
        guard input.samples > 0 else { return }
        guard isSparse else {
            return dense.forward(x: input.x, weights: weights, bias: bias, samples: input.samples, y: y)
        }
        sparse.begin(input)
        sparse.accumulate(input, sparse.held.numbers.indices, weights: weights)
        sparse.finish(input, bias: bias, rectified: true, y: y)
    }

    func predict(
        _ input: WindowBatch, weights: UnsafePointer<Float>, weightsVersion: Int, bias: UnsafePointer<Float>,
        scales: UnsafePointer<Float>, y: UnsafeMutablePointer<Float>
    ) {
        guard input.samples > 0 else { return }
        sparse.beginPrediction(input, weightsVersion: weightsVersion)
        sparse.predict(input, sparse.held.numbers.indices, weights: weights, scales: scales)
        let sums = sparse.finishPrediction(input)
        team.forEach(input.samples) { sample, _ in
            for index in 0..<outputs {
                y[sample &* outputs &+ index] = sums.finish(
                    active: sums.active(sample: sample, output: index), background: sums.background(output: index),
                    scale: scales[sample], bias: bias[index])
            }
        }
    }

    func backward(
        _ input: WindowBatch, parameter: Parameter, weights: UnsafeMutablePointer<Float>, dy: UnsafePointer<Float>,
        columnSums: UnsafePointer<Float>, sink: any GradientSink
    ) throws -> SIMD8<Float> {
        let gradient = isSparse ? sparse.beginBackward(input, dy: dy, columnSums: columnSums) : nil
        if !isSparse { dense.beginBackward(dy: dy, samples: input.samples) }
        for bucket in sink.buckets(of: parameter) {
            if let gradient {
                try sparse.backward(input, gradient, parameter, bucket: bucket, weights: weights, sink: sink)
            } else {
                try dense.backward(
                    parameter, bucket: bucket, x: input.x, dy: dy, weights: weights, samples: input.samples, sink: sink)
            }
            try sink.bucketFinished(parameter, rows: bucket)
        }
        return gradient.map { sparse.backgroundGradient(input, $0) } ?? .zero
    }
}
