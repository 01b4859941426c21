import Kernels
import Memory

@section("dtrain_layers") @used private let entry: LayerCatalog.Entry = { LayerCatalog.add(Residual.self, to: $0) }

/// y = layers(x) + skip(x); without a skip of its own, + x (He et al. 2016).
package struct Residual: LayerDescription {
    package static let kind = "residual"
    package static let result = "layers + skip, or layers + input"
    package static let example: String? = "residual: {layers: [convolution: 8], skip: [convolution: {channels: 8, kernel: 1}]}"
    package var layers: [LayerNode] = []
    /// What the input goes through beside the layers; none: nothing.
    package var skip: [LayerNode] = []

    package init() {}
    package init(_ layers: [LayerNode], skip: [LayerNode] = []) {
        self.layers = layers
        self.skip = skip
    }

    package static var members: [Member<Residual>] { [.layers("layers", \.layers), .layers("skip", \.skip)] }

    package func output(of input: Shape) throws(ShapeError) -> Shape {
        guard !layers.isEmpty else { throw ShapeError("residual has no layers; hint: layers: [...]") }
        let output = try layers.output(of: input)
        let beside: Shape
        do { beside = try skip.output(of: input) } catch { throw error.inside("skip", line: nil) }
        guard output == beside else {
            throw ShapeError(
                "the layers give \(output), the skip \(beside): they cannot be added; hint: a skip with a convolution of kernel 1")
        }
        return output
    }

    package func parameters(of input: Shape) -> [LayerParameterDeclaration] {
        layers.parameters(of: input) + skip.parameters(of: input).map { $0.inside("skip") }
    }

    package func operations(of input: Shape) -> Double { layers.operations(of: input) + skip.operations(of: input) }

    package func contents(of input: Shape) -> [LayerList] {
        [LayerList(layers, input: input)] + (skip.isEmpty ? [] : [LayerList(skip, named: "skip", input: input)])
    }

    package func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer { ResidualLayer(self, input, &builder) }
}

private final class ResidualLayer: Layer {
    private let body: LayerSequence
    private let skip: LayerSequence?
    private let inputCount, count: Int
    /// Where y goes, if not in the place of the body's output.
    private let output: UnsafeMutablePointer<Float>?
    private let needsInputGradient: Bool

    var contents: [any Layer] { [body] + (skip.map { [$0] } ?? []) }

    init(_ description: Residual, _ input: Shape, _ builder: inout LayerBuilder) {
        let isDisposable = builder.inputIsDisposable
        builder.inputIsDisposable = false
        needsInputGradient = builder.needsInputGradient
        let shape = description.layers.placed(on: input).last!.output
        body = LayerSequence(description.layers, input, &builder)
        skip = description.skip.isEmpty ? nil : LayerSequence(description.skip, input, &builder)
        output = body.needsOutput ? builder.activation(shape) : nil
        inputCount = input.count
        count = shape.count
        builder.inputIsDisposable = isDisposable
    }

    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        try forward(x, finish: Finish(), pass)
    }

    var finishes: FinishOptions { .rectifier }

    func forward(_ x: UnsafeMutablePointer<Float>, finish: Finish, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        let other = try skip?.forward(x, pass) ?? x
        if output == nil, body.finishes.isSuperset(of: [.sum, .rectifier]) {
            return try body.forward(x, finish: Finish(adding: other, rectified: finish.rectified), pass)
        }
        let one = try body.forward(x, pass)
        let y = output ?? one
        try pass.forEachValue(pass.samples * count) { range in
            Elementwise.add(
                one + range.lowerBound, other + range.lowerBound, rectified: finish.rectified, y: y + range.lowerBound,
                count: range.count)
        }
        return y
    }

    /// The body's gradient is added to dy itself, or to the skip's to it.
    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        guard needsInputGradient else {
            let one = try body.backward(dy, step: nil, keeping: true, into: nil, pass)
            return try pass.joined(one, try skip.map { try $0.backward(dy, pass) } ?? dy, isNeeded: false, count: 0)
        }
        guard let skip else { return try body.backward(dy, step: nil, keeping: true, into: dy, pass) }
        let one = try body.backward(dy, step: nil, keeping: true, into: nil, pass)
        return try skip.backward(dy, step: nil, keeping: false, into: one, pass)
    }

    func planBackward(_ plan: inout GradientPlan) {
        plan.take()
        body.planBackward(&plan)
        skip?.planBackward(&plan)
        plan.give()
    }
}

// MARK: Export

extension Residual {
    package func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) throws -> ONNXValue {
        let one = try graph.append(layers, x, place.name)
        let other = try graph.append(skip, x, place.inside("skip"))
        let (sum, isMap) = graph.joined([one, other], "Add", layer: place.name)
        return ONNXValue(name: sum, shape: place.output, isMap: isMap)
    }

    package func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) throws -> TorchValue {
        let one = try module.copy(x, through: layers, place.name)
        let other = try module.append(skip, x, place.inside("skip"))
        let (names, isMap) = module.alike([one, other])
        module.line("\(x.name) = \(names.joined(separator: " + "))")
        return x.holding(place.output, isMap: isMap)
    }
}
