import Kernels
import System

@section("dtrain_layers") @used private let entry: LayerCatalog.Entry = { LayerCatalog.add(Dropout.self, to: $0) }

/// Sets values to 0 with a probability, in training (Srivastava et al. 2014). Which ones is a function of (seed, sample's
/// position in the order, layer), so that any rank, thread or resumed run finds the same.
package struct Dropout: LayerDescription {
    package enum Scaling: String, Sendable, CaseIterable {
        /// What is kept is divided by 1 - rate in training; nothing is done in evaluation.
        case training
        /// Nothing is scaled in training; all is multiplied by 1 - rate in evaluation (DeepPrior's form).
        case evaluation
    }

    package static let kind = "dropout"
    package static let result = "as the input"
    package static let example: String? = "dropout: {rate: 0.3, scaling: evaluation}"
    package var rate = 0.5
    package var scaling = Scaling.training

    package init() {}
    package init(_ rate: Double, scaling: Scaling = .training) {
        self.rate = rate
        self.scaling = scaling
    }

    package static var members: [Member<Dropout>] { [.number("rate", \.rate, 0...0.99), .choice("scaling", \.scaling)] }

    package func output(of input: Shape) -> Shape { input }

    package func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer { DropoutLayer(self, input, &builder) }
}

private final class DropoutLayer: Layer {
    private let count: Int
    private let rate: Double
    private let trainingFactor, evaluationFactor: Float
    private let output: UnsafeMutablePointer<Float>?
    private let stream: UInt64
    private let needsInputGradient: Bool

    init(_ description: Dropout, _ input: Shape, _ builder: inout LayerBuilder) {
        count = input.count
        rate = description.rate
        let kept = Float(1 - description.rate)
        (trainingFactor, evaluationFactor) = description.scaling == .training ? (1 / kept, 1) : (1, kept)
        output = builder.inputIsDisposable ? nil : builder.activation(input)
        // Layers are made in the order of the network, on all ranks alike.
        stream = 0x6472_6F70_0000_0000 | UInt64(builder.layers)
        needsInputGradient = builder.needsInputGradient
    }

    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        let y = output ?? x
        if pass.mode == .evaluation {
            try pass.forEachValue(pass.samples * count) { range in
                for index in range { y[index] = x[index] * evaluationFactor }
            }
        } else {
            try mask(from: x, to: y, pass)
        }
        return y
    }

    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        guard needsInputGradient else {
            pass.pool.give(dy)
            return nil
        }
        try mask(from: dy, to: dy, pass)
        return dy
    }

    func planBackward(_ plan: inout GradientPlan) {}

    private func mask(from source: UnsafeMutablePointer<Float>, to target: UnsafeMutablePointer<Float>, _ pass: Pass) throws {
        let mask = DropoutMask(random: CounterRandom(seed: pass.seed, stream: stream), rate: rate)
        let words = UInt64((count + 1) / 2)
        try pass.forEach(pass.samples) { sample, _ in
            mask.apply(
                source + sample &* count, y: target + sample &* count, count: count, first: pass.positions[sample] &* words,
                factor: trainingFactor)
        }
    }
}

// MARK: Export

/// Nothing is dropped in evaluation; in DeepPrior's form values are scaled there.
extension Dropout {
    private var factor: Float? { scaling == .evaluation ? Float(1 - rate) : nil }

    package func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) -> ONNXValue {
        guard let factor else { return x }
        let constant = graph.constant(place.inside("kept"), [factor], [1])
        return ONNXValue(name: graph.node("Mul", [x.name, constant], layer: place.name), shape: x.shape, isMap: x.isMap)
    }

    package func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        if let factor { module.line("\(x.name) = \(x.name) * \(factor)  # dropout, in evaluation") }
        return x
    }
}
