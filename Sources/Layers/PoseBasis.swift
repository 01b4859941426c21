import Kernels
import Memory

@section("dtrain_layers") @used private let entry: LayerCatalog.Entry = { LayerCatalog.add(PoseBasis.self, to: $0) }

/// Coordinates in a basis of poses, turned into poses: y = x · components + mean (Oberweger et al. 2015, DeepPrior's bottleneck).
///
/// The basis is that of the training poses (PCA): fixed, or where training starts.
package struct PoseBasis: LayerDescription {
    package static let kind = "pose-basis"
    package static let result = "a pose"
    package static let example: String? = "dense: 30, pose-basis: {trained: true}"
    /// Values of a pose.
    package var outputs = 48
    /// Whether components and mean go on learning.
    package var trained = false

    package init() {}
    package init(trained: Bool) { self.trained = trained }

    package static var members: [Member<PoseBasis>] { [.integer("outputs", \.outputs), .flag("trained", \.trained)] }

    package func output(of input: Shape) throws(ShapeError) -> Shape {
        guard input.isVector, input.channels <= outputs else {
            throw ShapeError("a pose basis takes a vector of at most \(outputs) coordinates, not \(input); hint: dense: {units: 30} before it")
        }
        return Shape(vector: outputs)
    }

    package func parameters(of input: Shape) -> [LayerParameterDeclaration] {
        [
            LayerParameterDeclaration(
                "components", [input.channels, outputs], role: trained ? .weight : .constant, initial: .poseComponents),
            LayerParameterDeclaration("mean", [outputs], role: trained ? .bias : .constant, initial: .poseMean),
        ]
    }

    package func operations(of input: Shape) -> Double { 2 * Double(input.channels * outputs) }

    package func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer {
        PoseBasisLayer(self, inputs: input.channels, &builder)
    }
}

private final class PoseBasisLayer: Layer {
    private let inputs, outputs: Int
    private let isTrained: Bool
    private let components, mean: LayerParameter
    private let y: UnsafeMutablePointer<Float>
    private let needsInputGradient: Bool
    private var x: UnsafeMutablePointer<Float>!

    init(_ description: PoseBasis, inputs: Int, _ builder: inout LayerBuilder) {
        self.inputs = inputs
        outputs = description.outputs
        isTrained = description.trained
        components = builder.parameter()
        mean = builder.parameter()
        y = builder.activation(Shape(vector: outputs))
        needsInputGradient = builder.needsInputGradient
    }

    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        self.x = x
        try pass.forEach(pass.samples) { sample, _ in
            Kernels.Dense.forward(
                x: x + sample &* inputs, weights: components.values, bias: mean.values, inputs: inputs, outputs: outputs,
                y: y + sample &* outputs)
        }
        return y
    }

    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        let samples = pass.samples
        if isTrained {
            if samples > 0 {
                Kernels.Dense.weightGradient(
                    x: x, dy: dy, rows: 0..<inputs, samples: samples, inputs: inputs, outputs: outputs,
                    gradient: components.gradient)
            } else {
                components.gradient.update(repeating: 0, count: components.count)
            }
            Kernels.Dense.biasGradient(dy: dy, samples: samples, outputs: outputs, gradient: mean.gradient)
            try pass.finished(mean)
            try pass.finished(components)
        }
        defer { pass.pool.give(dy) }
        guard needsInputGradient else { return nil }
        let dx = pass.pool.take()
        Kernels.Dense.inputGradient(
            dy: dy, weights: components.values, rows: 0..<inputs, samples: samples, inputs: inputs, outputs: outputs, dx: dx)
        return dx
    }
}

// MARK: Export

extension PoseBasis {
    package func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) throws -> ONNXValue {
        let x = graph.vector(x, layer: place.name)
        let inputs = [x.name, try graph.parameter(place.inside("components")), try graph.parameter(place.inside("mean"))]
        return ONNXValue(name: graph.node("Gemm", inputs, layer: place.name), shape: place.output, isMap: false)
    }

    package func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        let x = module.vector(x)
        module.line(
            "\(x.name) = \(x.name) @ \(module.parameter(place.inside("components"))) + \(module.parameter(place.inside("mean")))")
        return x.holding(place.output, isMap: false)
    }
}
