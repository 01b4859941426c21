package import Kernels
package import Tensors

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
        _ input: SparseDense, weights: UnsafeMutablePointer<Float>, bias: UnsafePointer<Float>,
        y: UnsafeMutablePointer<Float>
    ) throws

    /// The gradient of x, in the place of x, where it was not left out; and what becomes of the gradient of w.
    /// - Parameters:
    ///   - dy: (samples, outputs), gradient before the ReLU. columnSums: (outputs), its sums over the samples.
    ///   - sink: takes the gradient of w, unless the layer updates w by itself.
    /// - Returns: the gradient of the background's value, summed over all windows and samples, where background is left out;
    ///   this rank's share of it.
    func backward(
        _ input: SparseDense, parameter: Parameter, weights: UnsafeMutablePointer<Float>, dy: UnsafePointer<Float>,
        columnSums: UnsafePointer<Float>, sink: any GradientSink
    ) throws -> SIMD8<Float>
}

/// The layer whole on this rank: sparse products where most windows see background alone, else dense ones.
final class LocalWindowLayer: WindowLayer {
    private let outputs: Int
    private let kernels: DenseKernels
    private let dense: LargeDense
    private let sparse: SparseLayer
    private var isSparse = false

    /// - Parameter arena: gives room: `bytes(_:maximumSamples:threads:)`.
    init(
        _ configuration: NetworkConfiguration, blocks: WindowBlocks, maximumSamples: Int, team: WorkerTeam,
        kernels: DenseKernels, arena: Arena
    ) {
        outputs = configuration.hidden
        self.kernels = kernels
        dense = LargeDense(
            inputs: configuration.flattened, outputs: outputs, maximumSamples: maximumSamples, team: team,
            kernels: kernels, arena: arena)
        sparse = SparseLayer(
            held: Self.held(blocks), outputs: outputs, maximumSamples: maximumSamples, team: team, arena: arena)
    }

    /// Bytes of arena that the layer needs besides its parameters.
    static func bytes(_ configuration: NetworkConfiguration, maximumSamples: Int, threads: Int) -> Int {
        LargeDense.bytes(
            inputs: configuration.flattened, outputs: configuration.hidden, maximumSamples: maximumSamples, threads: threads)
            + SparseLayer.bytes(
                rows: configuration.flattened, outputs: configuration.hidden, maximumSamples: maximumSamples,
                threads: threads)
    }

    private static func held(_ blocks: WindowBlocks) -> SparseLayer.Held {
        SparseLayer.Held(blocks, numbers: Array(0..<blocks.count))
    }

    func leavesOutBackground(activeShare: Double) -> Bool {
        isSparse = kernels == .auto && SparseDense.fits(outputs: outputs) && activeShare <= HandNetwork.sparseLimit
        return isSparse
    }

    func forward(
        _ input: SparseDense, weights: UnsafeMutablePointer<Float>, bias: UnsafePointer<Float>,
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

    func backward(
        _ input: SparseDense, parameter: Parameter, weights: UnsafeMutablePointer<Float>, dy: UnsafePointer<Float>,
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
