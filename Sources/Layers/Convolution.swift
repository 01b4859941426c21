package import Kernels
import Memory
import System

@section("dtrain_layers") @used private let entry: LayerCatalog.Entry = { LayerCatalog.add(Convolution.self, to: $0) }

/// A two-dimensional convolution (cross-correlation) with square kernel, of maps (row, column, channel).
package struct Convolution: LayerDescription {
    package enum Padding: String, Sendable, CaseIterable {
        /// kernel / 2 zeros on each side.
        case same
        case valid
    }

    package static let kind = "convolution"
    package static let result = "(h / stride, w / stride, channels), rounded up; `valid`: without the kernel's border"
    package static let example: String? = "convolution: {channels: 12, kernel: 3}"
    /// Of the output.
    package var channels = 0
    package var kernel = 3
    package var stride = 1
    package var padding = Padding.same
    package var bias = true
    package var initial = Initial.he

    package init() {}
    package init(
        _ channels: Int, kernel: Int, stride: Int = 1, padding: Padding = .same, bias: Bool = true, initial: Initial = .he
    ) {
        self.channels = channels
        self.kernel = kernel
        self.stride = stride
        self.padding = padding
        self.bias = bias
        self.initial = initial
    }

    package static var members: [Member<Convolution>] {
        [
            .integer("channels", \.channels), .integer("kernel", \.kernel, 1...15), .integer("stride", \.stride, 1...2),
            .choice("padding", \.padding), .flag("bias", \.bias), .initial("initial", \.initial),
        ]
    }

    package func output(of input: Shape) throws(ShapeError) -> Shape {
        guard channels > 0 else { throw ShapeError("a convolution has no channels; hint: convolution: {channels: 16, kernel: 3}") }
        guard kernel % 2 == 1 else { throw ShapeError("a kernel of \(kernel) is even; hint: 1, 3, 5 or 7") }
        let border = padding == .same ? kernel / 2 : 0
        guard input.height + 2 * border >= kernel, input.width + 2 * border >= kernel else {
            throw ShapeError("a kernel of \(kernel)x\(kernel) does not fit a map of \(input); hint: padding: same, or a smaller kernel")
        }
        let shape = convolution(of: input)
        return Shape(height: shape.outputHeight, width: shape.outputWidth, channels: channels)
    }

    /// What it computes of an input that it can take.
    package func convolution(of input: Shape) -> Convolution2D {
        Convolution2D(
            height: input.height, width: input.width, inputChannels: input.channels, outputChannels: channels, kernel: kernel,
            stride: stride, padding: padding == .same ? .same : .valid)
    }

    package func parameters(of input: Shape) -> [LayerParameterDeclaration] {
        let inputs = kernel * kernel * input.channels
        return [
            LayerParameterDeclaration(
                "weight", [kernel, kernel, input.channels, channels], role: .weight,
                initial: initial.distribution(inputs: inputs, outputs: kernel * kernel * channels))
        ] + (bias ? [LayerParameterDeclaration("bias", [channels], role: .bias, initial: .constant(0))] : [])
    }

    package func operations(of input: Shape) -> Double { 2 * Double(convolution(of: input).multiplyAdds) }

    package func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer { ConvolutionLayer(self, input, &builder) }
}

final class ConvolutionLayer: Layer {
    private let convolution: Convolution2D
    private let weight: LayerParameter
    private let bias: LayerParameter?
    /// nil: it is pooled at once.
    private let y: UnsafeMutablePointer<Float>!
    /// Together with the max pooling behind; nil: something else is behind, or `PooledConvolution` leaves it to the two.
    private let pooled: PooledConvolution?
    /// That pooling, which has room for the values and winners.
    var pooling: MaxPoolingLayer?
    /// Whether what `forward` returns are the pooled values, and `backward` is given their gradient.
    var isPooled: Bool { pooled != nil }
    /// Whether a gradient of the convolution's own values is ever made: not of those pooled at once, where nobody needs the input's.
    var takesOutputGradient: Bool { !isPooled || needsInputGradient }
    private let packedForward, packedBackward: UnsafeMutablePointer<Float>
    private let needsInputGradient: Bool
    /// The normalisation behind, for which each item's statistics are summed while they are in the cache.
    var follower: BatchNormalizationLayer?
    /// The normalisation before, for which the sums of the input's gradient are made likewise, and room for them:
    /// (items of all samples, 2, channels).
    private let preceding: BatchNormalizationLayer?
    /// What the normalisation before leaves to this layer.
    private let normalization: InputNormalization?
    /// Floats from a position of x to the next, where x is some channels of a wider map; nil: side by side.
    private let inputStep: Int?
    private let gradientPartials: UnsafeMutablePointer<Double>
    /// The version of the weights that are packed.
    private var packedVersion = 0
    private var x: UnsafeMutablePointer<Float>!

    init(_ description: Convolution, _ input: Shape, _ builder: inout LayerBuilder) {
        let convolution = description.convolution(of: input)
        self.convolution = convolution
        weight = builder.parameter()
        bias = description.bias ? builder.parameter() : nil
        pooled = (builder.following as? MaxPooling).flatMap { PooledConvolution(convolution, window: $0.size) }
        let output = Shape(height: convolution.outputHeight, width: convolution.outputWidth, channels: description.channels)
        y = pooled == nil ? builder.activation(output) : nil
        needsInputGradient = builder.needsInputGradient
        packedForward = builder.carver.floats(convolution.forwardPackedCount)
        packedBackward = builder.carver.floats(needsInputGradient ? convolution.backwardPackedCount : 0)
        normalization = (builder.previous as? BatchNormalizationLayer)?.pending
        inputStep = (builder.previous as? ChannelsLayer)?.outputStep
        preceding = needsInputGradient && description.stride == 1 ? builder.previous as? BatchNormalizationLayer : nil
        let partials = preceding == nil ? 0 : builder.samples * convolution.inputGradientItems * 2 * input.channels
        gradientPartials = builder.carver.carve(Double.self, count: partials).baseAddress!
        builder.needScratch(convolution.scratchCount + (isFused && pooled == nil ? convolution.outputCount : 0))
        if let pooled { builder.needScratch(pooled.scratchCount) }
        let samples = max(1, builder.samples)
        let lanes = pooled?.lanes(samples: samples) ?? convolution.weightGradientLanes(samples: samples)
        builder.needWorkspace(lanes * convolution.partialCount)
    }

    private func pack(_ pass: Pass) throws {
        guard packedVersion != pass.weightsVersion else { return }
        packedVersion = pass.weightsVersion
        try pass.forEach(convolution.packItems) { item, _ in
            convolution.packForward(weight.values, into: packedForward, item: item)
            if needsInputGradient { convolution.packBackward(weight.values, into: packedBackward, item: item) }
        }
    }

    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        try forward(x, finish: Finish(), pass)
    }

    var finishes: FinishOptions { pooled == nil ? .rectifier : [] }

    func forward(_ x: UnsafeMutablePointer<Float>, finish: Finish, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        self.x = x
        try pack(pass)
        if let pooled { return try forward(x, pooled, pass) }
        let items = convolution.forwardItems
        try pass.forEach(pass.samples * items) { item, thread in
            let (sample, block) = (item / items, item % items)
            convolution.forward(
                x: x + sample &* convolution.height &* convolution.width &* (inputStep ?? convolution.inputChannels),
                normalization: normalization, step: inputStep, packed: packedForward, bias: bias.map { UnsafePointer($0.values) },
                rectified: finish.rectified, y: y + sample &* convolution.outputCount, item: block, scratch: pass.scratch(thread))
            if let follower, pass.mode == .training {
                let first = sample &* positions
                let rows = convolution.positions(ofForwardItem: block)
                follower.collect(item: item, x: y, rows: first &+ rows.lowerBound..<first &+ rows.upperBound)
            }
        }
        return y
    }

    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        try backward(dy, step: nil, keeping: false, into: nil, pass)
    }

    var gradientOptions: GradientOptions { [.keeping, .sum] }

    func backward(
        _ dy: UnsafeMutablePointer<Float>, step: Int?, keeping: Bool, into sum: UnsafeMutablePointer<Float>?, _ pass: Pass
    ) throws -> UnsafeMutablePointer<Float>? {
        if let pooled { return try backward(dy, pooled, into: sum, pass) }
        let lanes = convolution.weightGradientLanes(samples: pass.samples)
        let (partials, partialCount) = (pass.workspace, convolution.partialCount)
        if pass.samples == 0 { partials.update(repeating: 0, count: partialCount) }
        try pass.forEach(lanes) { lane, thread in
            convolution.weightGradient(
                x: x, normalization: normalization, step: inputStep, dy: dy, samples: pass.samples, lane: lane,
                partial: partials + lane &* partialCount, withBias: bias != nil, scratch: pass.scratch(thread))
        }
        try sumWeightGradient(lanes, pass)
        defer { if !keeping { pass.pool.give(dy) } }
        guard needsInputGradient else { return nil }
        return try inputGradient(dy, into: sum, pass)
    }

    /// The gradient of the input, in a buffer of the pool or added to `sum`.
    private func inputGradient(
        _ dy: UnsafePointer<Float>, into sum: UnsafeMutablePointer<Float>?, _ pass: Pass
    ) throws -> UnsafeMutablePointer<Float> {
        let dx = sum ?? pass.pool.take()
        let items = convolution.inputGradientItems
        try pass.forEach(pass.samples * items) { item, thread in
            let (sample, block) = (item / items, item % items)
            inputGradient(
                dy: dy + sample &* convolution.outputCount, dx: dx, isSum: sum != nil, sample: sample, block: block,
                scratch: pass.scratch(thread))
        }
        adoptSums(pass, isSum: sum != nil)
        return dx
    }

    /// An item of the input's gradient, and its sums for the normalisation before.
    /// - Parameters:
    ///   - dy: of the sample. dx: of all samples.
    private func inputGradient(
        dy: UnsafePointer<Float>, dx: UnsafeMutablePointer<Float>, isSum: Bool, sample: Int, block: Int,
        scratch: UnsafeMutablePointer<Float>
    ) {
        convolution.inputGradient(
            dy: dy, packed: packedBackward, dx: dx + sample &* convolution.inputCount, accumulating: isSum, item: block,
            scratch: scratch)
        guard let preceding, !isSum else { return }
        let channels = convolution.inputChannels
        let first = sample &* convolution.height &* convolution.width
        let rows = convolution.positions(ofInputItem: block)
        preceding.collectGradient(
            dx, rows: first &+ rows.lowerBound..<first &+ rows.upperBound,
            partial: gradientPartials + (sample &* convolution.inputGradientItems &+ block) &* 2 &* channels)
    }

    private func adoptSums(_ pass: Pass, isSum: Bool) {
        guard let preceding, !isSum else { return }
        preceding.adoptSums(blocks: pass.samples * convolution.inputGradientItems, partials: gradientPartials)
    }

    // MARK: Together with the max pooling behind

    /// The pooled values, in their place: the convolution's own are never stored.
    private func forward(
        _ x: UnsafeMutablePointer<Float>, _ pooled: PooledConvolution, _ pass: Pass
    ) throws -> UnsafeMutablePointer<Float> {
        guard let pooling else { preconditionFailure("no max pooling is behind") }
        try pass.forEach(pass.samples * pooled.items) { item, thread in
            let (sample, row) = (item / pooled.items, item % pooled.items)
            let start = sample &* pooled.pooling.outputCount
            pooled.forward(
                x: x + sample &* convolution.height &* convolution.width &* (inputStep ?? convolution.inputChannels),
                normalization: normalization, step: inputStep, packed: packedForward, bias: bias.map { UnsafePointer($0.values) },
                rectified: pooling.isRectified, y: pooling.y + start, winners: pooling.winners + start, item: row,
                scratch: pass.scratch(thread))
        }
        return pooling.y
    }

    /// - Parameter dy: of the pooled values.
    private func backward(
        _ dy: UnsafeMutablePointer<Float>, _ pooled: PooledConvolution, into sum: UnsafeMutablePointer<Float>?, _ pass: Pass
    ) throws -> UnsafeMutablePointer<Float>? {
        guard let pooling else { preconditionFailure("no max pooling is behind") }
        let lanes = pooled.lanes(samples: pass.samples)
        let (partials, partialCount) = (pass.workspace, convolution.partialCount)
        if pass.samples == 0 { partials.update(repeating: 0, count: partialCount) }
        try pass.forEach(lanes) { lane, thread in
            pooled.weightGradient(
                x: x, normalization: normalization, step: inputStep, dy: dy, y: pooling.isRectified ? pooling.y : nil,
                winners: pooling.winners, samples: pass.samples, lane: lane, partial: partials + lane &* partialCount,
                scratch: pass.scratch(thread))
        }
        try sumWeightGradient(lanes, pass)
        guard needsInputGradient else {
            pass.pool.give(dy)
            return nil
        }
        let whole = try pooling.spread(dy, pass)
        pass.pool.give(dy)
        defer { pass.pool.give(whole) }
        return try inputGradient(whole, into: sum, pass)
    }

    // MARK: Together with the normalisation behind

    /// Items of a sample whose statistics are summed.
    var statisticsItems: Int { convolution.forwardItems }
    private var positions: Int { convolution.outputHeight * convolution.outputWidth }

    /// Whether a sample's dy may be made where it is used. Winograd's weights and sums fill the level-2 cache by themselves: there it
    /// would be in their way.
    private var isFused: Bool { convolution.isDirect && convolution.outputCount <= 1 << 18 }

    /// Whether `backward(through:)` keeps all threads busy.
    func goesThrough(_ pass: Pass) -> Bool {
        isFused && pass.samples > 0 && pass.team.count <= convolution.weightGradientLanes(samples: pass.samples)
    }

    /// `backward` of the normalisation and this: a sample's dy is made in the cache, used for both gradients, and forgotten. The
    /// same bits as one after the other.
    /// - Precondition: `goesThrough`; `sum` is not the normalisation's dy.
    func backward(
        through incoming: NormalizationGradient, into sum: UnsafeMutablePointer<Float>?, _ pass: Pass
    ) throws -> UnsafeMutablePointer<Float>? {
        let lanes = convolution.weightGradientLanes(samples: pass.samples)
        let (partials, partialCount) = (pass.workspace, convolution.partialCount)
        let dx = needsInputGradient ? sum ?? pass.pool.take() : nil
        try pass.forEach(lanes) { lane, thread in
            let scratch = pass.scratch(thread)
            let dy = scratch + convolution.scratchCount
            convolution.directWeightGradient(
                x: x, normalization: normalization, step: inputStep, samples: pass.samples, lane: lane,
                partial: partials + lane &* partialCount, withBias: bias != nil, scratch: scratch
            ) { sample, isWhole in
                incoming.write(
                    to: dy - sample &* convolution.outputCount, rows: sample &* positions..<(sample &+ 1) &* positions)
                // The lane in which a sample begins makes its dx.
                if let dx, isWhole {
                    for block in 0..<convolution.inputGradientItems {
                        inputGradient(dy: dy, dx: dx, isSum: sum != nil, sample: sample, block: block, scratch: scratch)
                    }
                }
                return UnsafePointer(dy)
            }
        }
        try sumWeightGradient(lanes, pass)
        if dx != nil { adoptSums(pass, isSum: sum != nil) }
        return dx
    }

    private func sumWeightGradient(_ lanes: Int, _ pass: Pass) throws {
        try pass.forEach(convolution.sumItems) { item, _ in
            convolution.sumWeightGradient(
                partials: pass.workspace, lanes: lanes, weights: weight.gradient, bias: bias?.gradient, item: item)
        }
        if let bias { try pass.finished(bias) }
        try pass.finished(weight)
    }
}

// MARK: Export

extension Convolution {
    private var export: ConvolutionExport {
        ConvolutionExport(kernel: kernel, stride: stride, border: padding == .same ? kernel / 2 : 0, hasBias: bias)
    }

    package func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) throws -> ONNXValue {
        try export.onnx(x, place, &graph)
    }

    package func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        export.torch(x, place, &module)
    }
}
