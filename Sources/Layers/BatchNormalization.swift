import Collectives
import Kernels
import Tensors

/// Batch normalisation (Ioffe and Szegedy 2015), over the *global* batch: sums travel between the ranks in rank order, so that
/// any number of ranks sees the same network, with any number of samples each. Evaluation uses running statistics.
package struct BatchNormalization: LayerDescription {
    package static let kind = "batch-normalization"
    /// Whether negative results become 0 (ReLU).
    package var rectified = false
    package var epsilon = 1e-5
    /// Share of a batch's statistics in the running ones.
    package var momentum = 0.1

    package init() {}
    package init(rectified: Bool, epsilon: Double = 1e-5) {
        self.rectified = rectified
        self.epsilon = epsilon
    }

    package static var members: [Member<BatchNormalization>] {
        [.flag("rectified", \.rectified), .number("epsilon", \.epsilon, 1e-12...1), .number("momentum", \.momentum, 0...1)]
    }

    package var readsWholeBatch: Bool { true }

    package func output(of input: Shape) -> Shape { input }

    package func parameters(of input: Shape) -> [LayerParameterDeclaration] {
        let shape = [input.channels]
        return [
            LayerParameterDeclaration("scale", shape, role: .normalization, initial: .constant(1)),
            LayerParameterDeclaration("shift", shape, role: .normalization, initial: .constant(0)),
            LayerParameterDeclaration("running-mean", shape, role: .statistic, initial: .constant(0)),
            LayerParameterDeclaration("running-variance", shape, role: .statistic, initial: .constant(1)),
        ]
    }

    package func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer {
        BatchNormalizationLayer(self, input, &builder)
    }
}

private final class BatchNormalizationLayer: Layer {
    private let kernel: Kernels.BatchNormalization
    private let channels, positions: Int
    private let isRectified: Bool
    private let epsilon, momentum: Double
    private let scale, shift, runningMean, runningVariance: LayerParameter
    private let y: UnsafeMutablePointer<Float>
    /// (blocks, 2, channels).
    private let partials: UnsafeMutablePointer<Double>
    /// (2, channels), then the number of rows.
    private let totals: UnsafeMutableBufferPointer<Double>
    /// (channels) each, of the batch; mean, 1 / deviation, variance, factor and offset of y, and of dx.
    private let mean, inverse, variance, factor, offset, slope, gradientOffset: UnsafeMutablePointer<Float>
    /// (channels) each: what the running statistics become when the step is over; a step may yet be given up.
    private let nextMean, nextVariance: UnsafeMutablePointer<Float>
    private let needsInputGradient: Bool
    private var x: UnsafeMutablePointer<Float>!
    /// Rows of all ranks.
    private var globalRows = 0

    init(_ description: BatchNormalization, _ input: Shape, _ builder: inout LayerBuilder) {
        channels = input.channels
        positions = input.positions
        kernel = Kernels.BatchNormalization(channels: channels)
        isRectified = description.rectified
        epsilon = description.epsilon
        momentum = description.momentum
        scale = builder.parameter()
        shift = builder.parameter()
        runningMean = builder.parameter()
        runningVariance = builder.parameter()
        y = builder.activation(input)
        let blocks = kernel.blocks(rows: builder.samples * positions)
        partials = builder.carver.carve(Double.self, count: blocks * kernel.partialCount).baseAddress!
        totals = builder.carver.carve(Double.self, count: kernel.partialCount + 1)
        mean = builder.carver.floats(channels)
        inverse = builder.carver.floats(channels)
        variance = builder.carver.floats(channels)
        factor = builder.carver.floats(channels)
        offset = builder.carver.floats(channels)
        slope = builder.carver.floats(channels)
        gradientOffset = builder.carver.floats(channels)
        nextMean = builder.carver.floats(channels)
        nextVariance = builder.carver.floats(channels)
        needsInputGradient = builder.needsInputGradient
    }

    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        self.x = x
        let rows = pass.samples * positions
        let blocks = kernel.blocks(rows: rows)
        if pass.mode == .training {
            try pass.forEach(blocks) { block, _ in
                kernel.statistics(
                    x: x, rows: kernel.rows(ofBlock: block, of: rows), partial: partials + block &* kernel.partialCount)
            }
            try sum(blocks, rows, pass)
            globalRows = Int(totals[kernel.partialCount])
            kernel.prepare(
                totals: totals.baseAddress!, count: max(1, globalRows), epsilon: epsilon, gamma: scale.values, beta: shift.values,
                mean: mean, inverse: inverse, variance: variance, scale: factor, shift: offset)
            stageRunningStatistics(pass)
        } else {
            for channel in 0..<channels {
                let value = Double(scale.values[channel]) / (Double(runningVariance.values[channel]) + epsilon).squareRoot()
                factor[channel] = Float(value)
                offset[channel] = Float(Double(shift.values[channel]) - Double(runningMean.values[channel]) * value)
            }
        }
        try pass.forEach(blocks) { block, _ in
            kernel.normalize(
                x: x, scale: factor, shift: offset, rectified: isRectified, y: y, rows: kernel.rows(ofBlock: block, of: rows))
        }
        if isRectified { pass.inspector?.rectified(y, rows: rows, channels: channels) }
        return y
    }

    /// The blocks' sums, over all ranks.
    private func sum(_ blocks: Int, _ rows: Int, _ pass: Pass) throws {
        kernel.sum(partials: partials, blocks: blocks, into: totals.baseAddress!)
        totals[kernel.partialCount] = Double(rows)
        if pass.communicator.size > 1 { try pass.waiting { try pass.communicator.sum(totals) } }
    }

    /// The same on all ranks, as the sums are. The variance is the unbiased one, as PyTorch has it. What is not finite is left
    /// out: such a step may be skipped, and no later one would bring the running statistics back.
    private func stageRunningStatistics(_ pass: Pass) {
        if !pass.continuesStep {
            nextMean.update(from: runningMean.values, count: channels)
            nextVariance.update(from: runningVariance.values, count: channels)
        }
        guard globalRows > 0 else { return }
        let (share, unbiased) = (Float(momentum), Float(Double(globalRows) / Double(max(1, globalRows - 1))))
        for channel in 0..<channels where mean[channel].isFinite && variance[channel].isFinite {
            nextMean[channel] += share * (mean[channel] - nextMean[channel])
            nextVariance[channel] += share * (variance[channel] * unbiased - nextVariance[channel])
        }
    }

    func finishStep() {
        runningMean.values.update(from: nextMean, count: channels)
        runningVariance.values.update(from: nextVariance, count: channels)
    }

    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        let rows = pass.samples * positions
        let blocks = kernel.blocks(rows: rows)
        let mask: Kernels.BatchNormalization.Mask = isRectified ? .recomputed(scale: factor, shift: offset) : .none
        let x = x!
        try pass.forEach(blocks) { block, _ in
            kernel.gradientSums(
                x: x, dy: dy, mask: mask, mean: mean, inverse: inverse, rows: kernel.rows(ofBlock: block, of: rows),
                partial: partials + block &* kernel.partialCount)
        }
        kernel.sum(partials: partials, blocks: blocks, into: totals.baseAddress!)
        // The parameters' gradients are summed over the ranks with all others.
        for channel in 0..<channels {
            shift.gradient[channel] = Float(totals[channel])
            scale.gradient[channel] = Float(totals[channels + channel])
        }
        try pass.finished(shift)
        try pass.finished(scale)
        // All ranks take part, whether they need dx or not: they have the same network.
        guard needsInputGradient else {
            pass.pool.give(dy)
            return nil
        }
        totals[kernel.partialCount] = Double(rows)
        if pass.communicator.size > 1 { try pass.waiting { try pass.communicator.sum(totals) } }
        kernel.prepareBackward(
            totals: totals.baseAddress!, count: max(1, globalRows), mean: mean, inverse: inverse, scale: factor, slope: slope,
            offset: gradientOffset)
        try pass.forEach(blocks) { block, _ in
            kernel.inputGradient(
                x: x, dy: dy, mask: mask, scale: factor, slope: slope, offset: gradientOffset, dx: dy,
                rows: kernel.rows(ofBlock: block, of: rows))
        }
        return dy
    }

    func planBackward(_ plan: inout GradientPlan) {}
}
