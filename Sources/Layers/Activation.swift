import Kernels

@section("dtrain_layers") @used private let entry: LayerCatalog.Entry = { LayerCatalog.add(Activation.self, to: $0) }

/// A function of each value: ReLU, leaky ReLU (slope 0.01 below 0), exp, or none.
package struct Activation: LayerDescription {
    package enum Function: String, Sendable, CaseIterable { case relu, leakyRelu = "leaky-relu", exp, linear }

    package static let kind = "activation"
    package static let result = "as the input"
    package static let example: String? = "activation: leaky-relu"
    package var function = Function.relu

    package init() {}
    package init(_ function: Function) { self.function = function }

    package static var members: [Member<Activation>] { [.choice("function", \.function)] }

    package func output(of input: Shape) -> Shape { input }

    package func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer {
        ActivationLayer(self, input, &builder)
    }
}

final class ActivationLayer: Layer {
    private let function: Activation.Function
    private let count: Int
    private let channels: Int
    private let needsInputGradient: Bool
    /// Where y goes; nil: in the place of x.
    private let output: UnsafeMutablePointer<Float>?
    /// y, (samples, values).
    private var y: UnsafeMutablePointer<Float>!
    let needsOutput: Bool

    init(_ description: Activation, _ input: Shape, _ builder: inout LayerBuilder) {
        function = description.function
        count = input.count
        channels = input.channels
        needsInputGradient = builder.needsInputGradient
        let isIdentity = function == .linear
        output = builder.inputIsDisposable || isIdentity ? nil : builder.activation(input)
        needsOutput = isIdentity ? !builder.inputIsDisposable : true
    }

    /// Whether it is a ReLU that writes y in the place of x: the layer before may do it on its way.
    var isRectifierInPlace: Bool { function == .relu && output == nil }

    /// Takes y from the layer before, which was asked to rectify.
    func adopt(_ y: UnsafeMutablePointer<Float>, _ pass: Pass) {
        self.y = y
        inspect(y, pass)
    }

    private func inspect(_ y: UnsafePointer<Float>, _ pass: Pass) {
        guard function == .relu else { return }
        pass.inspector?.rectified(y, rows: pass.samples * count / channels, channels: channels)
    }

    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        y = output ?? x
        guard function != .linear, let y else { return x }
        try pass.forEachValue(pass.samples * count) { range in
            let (x, y) = (x + range.lowerBound, y + range.lowerBound)
            if x != y { y.update(from: x, count: range.count) }
            switch function {
            case .relu: OutputHead.relu.forward(y, count: range.count)
            case .exp: OutputHead.exp.forward(y, count: range.count)
            case .leakyRelu: LeakyRectifier.forward(y, count: range.count)
            case .linear: break
            }
        }
        inspect(y, pass)
        return y
    }

    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        guard needsInputGradient else {
            pass.pool.give(dy)
            return nil
        }
        guard function != .linear, let y else { return dy }
        try pass.forEachValue(pass.samples * count) { range in
            let (y, dy) = (y + range.lowerBound, dy + range.lowerBound)
            switch function {
            case .relu: OutputHead.relu.backward(outputs: y, gradient: dy, count: range.count)
            case .exp: OutputHead.exp.backward(outputs: y, gradient: dy, count: range.count)
            case .leakyRelu: LeakyRectifier.backward(outputs: y, gradient: dy, count: range.count)
            case .linear: break
            }
        }
        return dy
    }

    func planBackward(_ plan: inout GradientPlan) {}
}

// MARK: Export

extension Activation {
    package func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) -> ONNXValue {
        let name =
            switch function {
            case .linear: x.name
            case .relu: graph.node("Relu", [x.name], layer: place.name)
            case .leakyRelu: graph.node("LeakyRelu", [x.name], layer: place.name, ["alpha": .float(0.01)])
            case .exp: graph.node("Exp", [x.name], layer: place.name)
            }
        return ONNXValue(name: name, shape: x.shape, isMap: x.isMap)
    }

    package func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        switch function {
        case .linear: break
        case .relu: module.line("\(x.name) = F.relu(\(x.name))")
        case .leakyRelu: module.line("\(x.name) = F.leaky_relu(\(x.name), 0.01)")
        case .exp: module.line("\(x.name) = torch.exp(\(x.name))")
        }
        return x
    }
}
