import Collectives
import Kernels
import Memory

@section("dtrain_layers") @used private let entry: LayerCatalog.Entry = { LayerCatalog.add(BatchNormalization.self, to: $0) }

/// Batch normalisation (Ioffe and Szegedy 2015), over the *global* batch: sums travel between the ranks in rank order, so that
/// any number of ranks sees the same network, with any number of samples each. Evaluation uses running statistics.
package struct BatchNormalization: LayerDescription {
    package static let kind = "batch-normalization"
    package static let result = "as the input"
    package static let example: String? = "batch-normalization: {rectified: true}"
    /// Whether negative results become 0 (ReLU).
    package var rectified = false
    package var epsilon = 1e-5
    /// Share of a batch's statistics in the running ones.
    package var momentum = 0.1
    /// What the scales begin with: 0 where a residual block is to begin as its skip (Goyal et al. 2017).
    package var initialScale = 1.0

    package init() {}
    package init(rectified: Bool, epsilon: Double = 1e-5, initialScale: Double = 1) {
        self.rectified = rectified
        self.epsilon = epsilon
        self.initialScale = initialScale
    }

    package static var members: [Member<BatchNormalization>] {
        [
            .flag("rectified", \.rectified), .number("epsilon", \.epsilon, 1e-12...1), .number("momentum", \.momentum, 0...1),
            .number("initial-scale", \.initialScale, 0...1),
        ]
    }

    package var readsWholeBatch: Bool { true }

    package func output(of input: Shape) -> Shape { input }

    package func parameters(of input: Shape) -> [LayerParameterDeclaration] {
        let shape = [input.channels]
        return [
            LayerParameterDeclaration("scale", shape, role: .normalization, initial: .constant(Float(initialScale))),
            LayerParameterDeclaration("shift", shape, role: .normalization, initial: .constant(0)),
            LayerParameterDeclaration("running-mean", shape, role: .statistic, initial: .constant(0)),
            LayerParameterDeclaration("running-variance", shape, role: .statistic, initial: .constant(1)),
        ]
    }

    package func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer {
        BatchNormalizationLayer(self, input, &builder)
    }
}

final class BatchNormalizationLayer: Layer {
    private let kernel: Kernels.BatchNormalization
    private let channels, positions: Int
    private let isRectified: Bool
    private let epsilon, momentum: Double
    private let scale, shift, runningMean, runningVariance: LayerParameter
    /// Nil where the convolution behind makes y on its way, from x.
    private let y: UnsafeMutablePointer<Float>?
    /// (blocks, 2, channels).
    private let partials: UnsafeMutablePointer<Double>
    /// Items of a sample of the convolution before, which sums each one's statistics; 0: there is none.
    private let itemsBefore: Int
    /// The sums that the convolution behind made of its gradient's items: how many, and where.
    private var sumsBehind: (blocks: Int, partials: UnsafeMutablePointer<Double>)?
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
    /// The weights that factor and offset were made of for evaluation; nil: they are a batch's.
    private var evaluationVersion: Int?

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
        if builder.following is Convolution {
            builder.note(input)
            y = nil
        } else {
            y = builder.activation(input)
        }
        let before = builder.previous as? ConvolutionLayer
        itemsBefore = before?.statisticsItems ?? 0
        let blocks = max(kernel.blocks(rows: builder.samples * positions), builder.samples * itemsBefore)
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
        before?.follower = self
    }

    /// What the convolution behind does to its input; nil: it is done.
    var pending: InputNormalization? {
        y == nil ? InputNormalization(kernel, scale: factor, shift: offset, rectified: isRectified) : nil
    }

    /// Sums the statistics of an item of the convolution before, while it is in the cache.
    /// - Parameters:
    ///   - x: all of the input. rows: those of the item.
    func collect(item: Int, x: UnsafePointer<Float>, rows: Range<Int>) {
        kernel.statistics(x: x, rows: rows, partial: partials + item &* kernel.partialCount)
    }

    /// Sums dy as `gradient` needs it, of some rows that the convolution behind has just written.
    func collectGradient(
        _ dy: UnsafePointer<Float>, step: Int? = nil, rows: Range<Int>, partial: UnsafeMutablePointer<Double>
    ) {
        kernel.gradientSums(x: x, dy: dy, step: step, mask: mask, mean: mean, inverse: inverse, rows: rows, partial: partial)
    }

    /// The convolution behind has summed all of dy.
    func adoptSums(blocks: Int, partials: UnsafeMutablePointer<Double>) { sumsBehind = (blocks, partials) }

    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        try forward(x, finish: Finish(), pass)
    }

    /// What rectifies itself cannot add before it does.
    var finishes: FinishOptions { y == nil ? [] : isRectified ? .place : [.sum, .rectifier, .place] }

    func forward(_ x: UnsafeMutablePointer<Float>, finish: Finish, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        self.x = x
        sumsBehind = nil
        let rows = pass.samples * positions
        let blocks = kernel.blocks(rows: rows)
        if pass.mode == .training {
            evaluationVersion = nil
            if itemsBefore == 0 {
                try pass.forEach(blocks) { block, _ in
                    kernel.statistics(
                        x: x, rows: kernel.rows(ofBlock: block, of: rows), partial: partials + block &* kernel.partialCount)
                }
            }
            try sum(itemsBefore == 0 ? blocks : pass.samples * itemsBefore, rows, pass)
            globalRows = Int(totals[kernel.partialCount])
            kernel.prepare(
                totals: totals.baseAddress!, count: max(1, globalRows), epsilon: epsilon, gamma: scale.values, beta: shift.values,
                mean: mean, inverse: inverse, variance: variance, scale: factor, shift: offset)
            stageRunningStatistics(pass)
        } else if evaluationVersion != pass.weightsVersion {
            evaluationVersion = pass.weightsVersion
            for channel in 0..<channels {
                let value = Double(scale.values[channel]) / (Double(runningVariance.values[channel]) + epsilon).squareRoot()
                factor[channel] = Float(value)
                offset[channel] = Float(Double(shift.values[channel]) - Double(runningMean.values[channel]) * value)
            }
        }
        guard let y else {
            if isRectified { pass.inspector?.rectified(x, rows: rows, channels: channels, scale: factor, shift: offset) }
            return x
        }
        try pass.forEach(blocks) { block, _ in
            kernel.normalize(
                x: x, scale: factor, shift: offset, adding: finish.summand.map { UnsafePointer($0) },
                rectified: isRectified || finish.rectified, y: finish.place?.start ?? y, step: finish.place?.step,
                rows: kernel.rows(ofBlock: block, of: rows))
        }
        if isRectified {
            pass.inspector?.rectified(finish.place?.start ?? y, rows: rows, channels: channels, step: finish.place?.step)
        }
        return finish.place?.start ?? y
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
        try backward(dy, step: nil, keeping: false, into: nil, pass)
    }

    var gradientOptions: GradientOptions { [.keeping, .strided] }

    func backward(
        _ dy: UnsafeMutablePointer<Float>, step: Int?, keeping: Bool, into sum: UnsafeMutablePointer<Float>?, _ pass: Pass
    ) throws -> UnsafeMutablePointer<Float>? {
        let through = try gradient(dy, step: step, pass)
        guard needsInputGradient else {
            if !keeping { pass.pool.give(dy) }
            return nil
        }
        let dx = keeping ? pass.pool.take() : dy
        let rows = pass.samples * positions
        try pass.forEach(kernel.blocks(rows: rows)) { block, _ in
            through.write(to: dx, rows: kernel.rows(ofBlock: block, of: rows))
        }
        return dx
    }

    private var mask: Kernels.BatchNormalization.Mask { isRectified ? .recomputed(scale: factor, shift: offset) : .none }

    /// The gradients of scale and shift, and what the input's is made of.
    /// - Parameter step: floats from a position of dy to the next; nil: side by side.
    func gradient(_ dy: UnsafeMutablePointer<Float>, step: Int?, _ pass: Pass) throws -> NormalizationGradient {
        let rows = pass.samples * positions
        if let sumsBehind {
            kernel.sum(partials: sumsBehind.partials, blocks: sumsBehind.blocks, into: totals.baseAddress!)
            self.sumsBehind = nil
        } else {
            let blocks = kernel.blocks(rows: rows)
            try pass.forEach(blocks) { block, _ in
                collectGradient(
                    dy, step: step, rows: kernel.rows(ofBlock: block, of: rows), partial: partials + block &* kernel.partialCount)
            }
            kernel.sum(partials: partials, blocks: blocks, into: totals.baseAddress!)
        }
        // The parameters' gradients are summed over the ranks with all others.
        for channel in 0..<channels {
            shift.gradient[channel] = Float(totals[channel])
            scale.gradient[channel] = Float(totals[channels + channel])
        }
        try pass.finished(shift)
        try pass.finished(scale)
        // All ranks take part, whether they need dx or not: they have the same network.
        if needsInputGradient {
            totals[kernel.partialCount] = Double(rows)
            if pass.communicator.size > 1 { try pass.waiting { try pass.communicator.sum(totals) } }
            kernel.prepareBackward(
                totals: totals.baseAddress!, count: max(1, globalRows), mean: mean, inverse: inverse, scale: factor, slope: slope,
                offset: gradientOffset)
        }
        return NormalizationGradient(
            kernel: kernel, x: x, dy: dy, step: step, mask: mask, scale: factor, slope: slope, offset: gradientOffset)
    }

    func planBackward(_ plan: inout GradientPlan) {}
}

/// The gradient of a normalisation's input, not yet written anywhere.
struct NormalizationGradient {
    let kernel: Kernels.BatchNormalization
    let x, dy: UnsafePointer<Float>
    /// Of dy.
    let step: Int?
    let mask: Kernels.BatchNormalization.Mask
    let scale, slope, offset: UnsafePointer<Float>

    /// - Parameter dx: (all rows, channels), of which `rows` are written.
    func write(to dx: UnsafeMutablePointer<Float>, rows: Range<Int>) {
        kernel.inputGradient(
            x: x, dy: dy, step: step, mask: mask, scale: scale, slope: slope, offset: offset, dx: dx, rows: rows)
    }
}

// MARK: Export

/// With running statistics, as in evaluation.
extension BatchNormalization {
    package func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) throws -> ONNXValue {
        var inputs = [x.name]
        for name in ["scale", "shift", "running-mean", "running-variance"] {
            inputs.append(try graph.parameter(place.inside(name)))
        }
        var name = graph.node("BatchNormalization", inputs, layer: place.name, ["epsilon": .float(Float(epsilon))])
        if rectified { name = graph.node("Relu", [name], layer: place.name) }
        return ONNXValue(name: name, shape: place.output, isMap: x.isMap)
    }

    package func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        let parameters = ["running-mean", "running-variance", "scale", "shift"].map { module.parameter(place.inside($0)) }
        module.line("\(x.name) = F.batch_norm(\(x.name), \(parameters.joined(separator: ", ")), eps=\(epsilon))")
        if rectified { module.line("\(x.name) = F.relu(\(x.name))") }
        return x
    }
}
