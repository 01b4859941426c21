import Kernels
import Memory

@section("dtrain_layers") @used private let entry: LayerCatalog.Entry = { LayerCatalog.add(DepthwiseConvolution.self, to: $0) }

/// A depth-wise convolution: each channel by a square kernel of its own, with kernel / 2 zeros on each side. Before a 1x1 convolution
/// it makes a depth-wise separable one (Howard et al. 2017, "MobileNets").
package struct DepthwiseConvolution: LayerDescription {
    package static let kind = "depthwise-convolution"
    package static let result = "(h / stride, w / stride, c), rounded up"
    package static let example: String? = "depthwise-convolution: {kernel: 3}"
    package var kernel = 3
    package var stride = 1
    package var bias = true
    package var initial = Initial.he

    package init() {}
    package init(kernel: Int, stride: Int = 1, bias: Bool = true, initial: Initial = .he) {
        self.kernel = kernel
        self.stride = stride
        self.bias = bias
        self.initial = initial
    }

    package static var members: [Member<DepthwiseConvolution>] {
        [
            .integer("kernel", \.kernel, 1...15), .integer("stride", \.stride, 1...2), .flag("bias", \.bias),
            .initial("initial", \.initial),
        ]
    }

    package func output(of input: Shape) throws(ShapeError) -> Shape {
        guard kernel % 2 == 1 else { throw ShapeError("a kernel of \(kernel) is even; hint: 3 or 5") }
        return Shape(height: (input.height - 1) / stride + 1, width: (input.width - 1) / stride + 1, channels: input.channels)
    }

    package func parameters(of input: Shape) -> [LayerParameterDeclaration] {
        [
            LayerParameterDeclaration(
                "weight", [kernel, kernel, 1, input.channels], role: .weight,
                initial: initial.distribution(inputs: kernel * kernel, outputs: kernel * kernel))
        ] + (bias ? [LayerParameterDeclaration("bias", [input.channels], role: .bias, initial: .constant(0))] : [])
    }

    package func operations(of input: Shape) -> Double {
        let positions = ((input.height - 1) / stride + 1) * ((input.width - 1) / stride + 1)
        return 2 * Double(positions * kernel * kernel * input.channels)
    }

    package func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer { DepthwiseConvolutionLayer(self, input, &builder) }
}

private final class DepthwiseConvolutionLayer: Layer {
    private let convolution: Kernels.DepthwiseConvolution
    private let weight: LayerParameter
    private let bias: LayerParameter?
    private let y: UnsafeMutablePointer<Float>
    private let needsInputGradient: Bool
    private var x: UnsafeMutablePointer<Float>!

    init(_ description: DepthwiseConvolution, _ input: Shape, _ builder: inout LayerBuilder) {
        convolution = Kernels.DepthwiseConvolution(
            height: input.height, width: input.width, channels: input.channels, kernel: description.kernel, stride: description.stride)
        weight = builder.parameter()
        bias = description.bias ? builder.parameter() : nil
        y = builder.activation(
            Shape(height: convolution.outputHeight, width: convolution.outputWidth, channels: input.channels))
        needsInputGradient = builder.needsInputGradient
        builder.needWorkspace(builder.samples * partialCount)
    }

    /// Of a sample's part of the gradients: weights, then bias.
    private var partialCount: Int { convolution.weightCount + convolution.channels }

    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        self.x = x
        try pass.forEach(pass.samples * convolution.outputHeight) { item, _ in
            let (sample, row) = (item / convolution.outputHeight, item % convolution.outputHeight)
            convolution.forward(
                x: x + sample &* convolution.inputCount, weights: weight.values, bias: bias.map { UnsafePointer($0.values) },
                y: y + sample &* convolution.outputCount, row: row)
        }
        return y
    }

    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        defer { pass.pool.give(dy) }
        // A part of each sample, so that the bits depend neither on threads nor on who computes which.
        let (partials, count) = (pass.workspace, partialCount)
        try pass.forEach(pass.samples) { sample, _ in
            let partial = partials + sample &* count
            partial.update(repeating: 0, count: count)
            convolution.weightGradient(
                x: x + sample &* convolution.inputCount, dy: dy + sample &* convolution.outputCount, gradient: partial,
                bias: bias == nil ? nil : partial + convolution.weightCount)
        }
        try pass.forEachValue(bias == nil ? convolution.weightCount : count) { range in
            for index in range {
                var sum = 0.0
                for sample in 0..<pass.samples { sum += Double(partials[sample &* count &+ index]) }
                if index < convolution.weightCount {
                    weight.gradient[index] = Float(sum)
                } else {
                    bias?.gradient[index - convolution.weightCount] = Float(sum)
                }
            }
        }
        try pass.finished(weight)
        if let bias { try pass.finished(bias) }
        guard needsInputGradient else { return nil }
        let dx = pass.pool.take()
        try pass.forEach(pass.samples * convolution.height) { item, _ in
            let (sample, row) = (item / convolution.height, item % convolution.height)
            convolution.inputGradient(
                dy: dy + sample &* convolution.outputCount, weights: weight.values, dx: dx + sample &* convolution.inputCount, row: row)
        }
        return dx
    }
}

// MARK: Export

extension DepthwiseConvolution {
    private func export(channels: Int) -> ConvolutionExport {
        ConvolutionExport(kernel: kernel, stride: stride, border: kernel / 2, hasBias: bias, groups: channels)
    }

    package func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) throws -> ONNXValue {
        try export(channels: place.input.channels).onnx(x, place, &graph)
    }

    package func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        export(channels: place.input.channels).torch(x, place, &module)
    }
}
