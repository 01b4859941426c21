import Memory

@section("dtrain_layers") @used private let entry: LayerCatalog.Entry = { LayerCatalog.add(Intermediate.self, to: $0) }

/// An output on the way: layers on the side whose output has a loss of its own, while the input goes on unchanged.
///
/// Stacked networks have one a stack (Newell et al. 2016, "intermediate supervision").
package struct Intermediate: LayerDescription {
    package static let kind = "intermediate"
    package static let result = "the input; what `layers` give has a loss of its own"
    package static let example: String? = "intermediate: {layers: [dense: 48], weight: 0.5}"
    package var layers: [LayerNode] = []
    /// Of its loss in the sum of losses; the last output's is 1.
    package var weight = 1.0

    package init() {}
    package init(_ layers: [LayerNode], weight: Double = 1) {
        self.layers = layers
        self.weight = weight
    }

    package static var members: [Member<Intermediate>] {
        [.layers("layers", \.layers), .number("weight", \.weight, 0...1e6)]
    }

    package func output(of input: Shape) throws(ShapeError) -> Shape {
        guard !layers.isEmpty else { throw ShapeError("intermediate has no layers; hint: layers: [...]") }
        _ = try layers.output(of: input)
        return input
    }

    package func parameters(of input: Shape) -> [LayerParameterDeclaration] { layers.parameters(of: input) }
    package func operations(of input: Shape) -> Double { layers.operations(of: input) }
    package func contents(of input: Shape) -> [LayerList] { [LayerList(layers, input: input)] }

    package func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer { IntermediateLayer(self, input, &builder) }
}

private final class IntermediateLayer: Layer {
    private let layers: LayerSequence
    private let number: Int
    private let inputCount: Int
    private let needsInputGradient: Bool
    let needsOutput = true

    var contents: [any Layer] { [layers] }

    init(_ description: Intermediate, _ input: Shape, _ builder: inout LayerBuilder) {
        let isDisposable = builder.inputIsDisposable
        builder.inputIsDisposable = false
        needsInputGradient = builder.needsInputGradient
        inputCount = input.count
        // Before those inside, as descriptions are walked.
        number = builder.nextIntermediate()
        layers = LayerSequence(description.layers, input, &builder)
        builder.inputIsDisposable = isDisposable
    }

    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        // In evaluation only the last output is asked for.
        guard pass.mode == .training else { return x }
        pass.intermediateOutputs[number] = try layers.forward(x, pass)
        return x
    }

    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        let gradient = pass.pool.take()
        pass.addLossGradient(number, gradient)
        if needsInputGradient { return try layers.backward(gradient, step: nil, keeping: false, into: dy, pass) }
        return try pass.joined(dy, try layers.backward(gradient, pass), isNeeded: false, count: 0)
    }

    func planBackward(_ plan: inout GradientPlan) {
        plan.take()
        layers.planBackward(&plan)
        plan.give()
    }
}

// MARK: Export

/// Its output is for the loss, in training alone.
extension Intermediate {
    package func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) -> ONNXValue { x }
    package func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue { x }
}
