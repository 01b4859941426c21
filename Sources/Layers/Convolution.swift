import Kernels
import Tensors

/// A two-dimensional convolution (cross-correlation) with square kernel, of maps (row, column, channel).
package struct Convolution: LayerDescription {
    package enum Padding: String, Sendable, CaseIterable {
        /// kernel / 2 zeros on each side.
        case same
        case valid
    }

    package static let kind = "convolution"
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

    fileprivate func convolution(of input: Shape) -> Convolution2D {
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

private final class ConvolutionLayer: Layer {
    private let convolution: Convolution2D
    private let weight: LayerParameter
    private let bias: LayerParameter?
    private let y: UnsafeMutablePointer<Float>
    private let packedForward, packedBackward: UnsafeMutablePointer<Float>
    private let needsInputGradient: Bool
    /// The version of the weights that are packed.
    private var packedVersion = 0
    private var x: UnsafeMutablePointer<Float>!

    init(_ description: Convolution, _ input: Shape, _ builder: inout LayerBuilder) {
        convolution = description.convolution(of: input)
        weight = builder.parameter()
        bias = description.bias ? builder.parameter() : nil
        y = builder.activation(
            Shape(height: convolution.outputHeight, width: convolution.outputWidth, channels: description.channels))
        needsInputGradient = builder.needsInputGradient
        packedForward = builder.carver.floats(convolution.forwardPackedCount)
        packedBackward = builder.carver.floats(needsInputGradient ? convolution.backwardPackedCount : 0)
        builder.needScratch(convolution.scratchCount)
        builder.needWorkspace(convolution.weightGradientLanes(samples: max(1, builder.samples)) * convolution.partialCount)
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
        self.x = x
        try pack(pass)
        let items = convolution.forwardItems
        try pass.forEach(pass.samples * items) { item, thread in
            let (sample, block) = (item / items, item % items)
            convolution.forward(
                x: x + sample &* convolution.inputCount, packed: packedForward, bias: bias.map { UnsafePointer($0.values) },
                y: y + sample &* convolution.outputCount, item: block, scratch: pass.scratch(thread))
        }
        return y
    }

    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        let lanes = convolution.weightGradientLanes(samples: pass.samples)
        let (partials, partialCount) = (pass.workspace, convolution.partialCount)
        if pass.samples == 0 { partials.update(repeating: 0, count: partialCount) }
        try pass.forEach(lanes) { lane, thread in
            convolution.weightGradient(
                x: x, dy: dy, samples: pass.samples, lane: lane, partial: partials + lane &* partialCount,
                withBias: bias != nil, scratch: pass.scratch(thread))
        }
        try pass.forEach(convolution.sumItems) { item, _ in
            convolution.sumWeightGradient(
                partials: partials, lanes: lanes, weights: weight.gradient, bias: bias?.gradient, item: item)
        }
        if let bias { try pass.finished(bias) }
        try pass.finished(weight)
        defer { pass.pool.give(dy) }
        guard needsInputGradient else { return nil }
        let dx = pass.pool.take()
        let items = convolution.inputGradientItems
        try pass.forEach(pass.samples * items) { item, thread in
            let (sample, block) = (item / items, item % items)
            convolution.inputGradient(
                dy: dy + sample &* convolution.outputCount, packed: packedBackward,
                dx: dx + sample &* convolution.inputCount, item: block, scratch: pass.scratch(thread))
        }
        return dx
    }
}
