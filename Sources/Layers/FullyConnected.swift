import Kernels
import Memory

@section("dtrain_layers") @used private let entry: LayerCatalog.Entry = { LayerCatalog.add(FullyConnected.self, to: $0) }

/// A fully connected layer: y = x · w + b of the flattened input, (row, column, channel).
package struct FullyConnected: LayerDescription {
    package static let kind = "dense"
    package static let result = "units"
    package static let example: String? = "dense: {units: 1024, initial: small}"
    /// Ranks divide the rows of the weights at multiples of this.
    package static let divisionGranule = ExactDense.blockRows
    package var units = 0
    package var bias = true
    package var initial = Initial.he
    package var initialBias = 0.0

    package init() {}
    package init(_ units: Int, bias: Bool = true, initial: Initial = .he, initialBias: Double = 0) {
        self.units = units
        self.bias = bias
        self.initial = initial
        self.initialBias = initialBias
    }

    package static var members: [Member<FullyConnected>] {
        [
            .integer("units", \.units), .flag("bias", \.bias), .initial("initial", \.initial),
            .number("initial-bias", \.initialBias, -1e6...1e6),
        ]
    }

    package func output(of input: Shape) throws(ShapeError) -> Shape {
        guard units > 0 else { throw ShapeError("dense has no units; hint: '- dense: {units: 1024}'") }
        return Shape(vector: units)
    }

    package func parameters(of input: Shape) -> [LayerParameterDeclaration] {
        [
            LayerParameterDeclaration(
                "weight", [input.count, units], role: .weight,
                initial: initial.distribution(inputs: input.count, outputs: units), isDivisible: true)
        ]
            + (bias ? [LayerParameterDeclaration("bias", [units], role: .bias, initial: .constant(Float(initialBias)))] : [])
    }

    package func operations(of input: Shape) -> Double { 2 * Double(input.count * units) }

    package func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer {
        if let communicator = builder.dividingNext {
            return DividedFullyConnectedLayer(self, inputs: input.count, communicator, &builder)
        }
        return FullyConnectedLayer(self, inputs: input.count, &builder)
    }
}

/// The layer whole on this rank.
final class FullyConnectedLayer: Layer {
    private let inputs, outputs: Int
    private let weight: LayerParameter
    private let bias: LayerParameter?
    private let y: UnsafeMutablePointer<Float>
    /// What is added where there is no bias.
    private let zeros: UnsafeMutablePointer<Float>
    /// Of a layer whose rows could be divided, and whose predictions must not tell whether they are.
    private let prediction: ExactPrediction?
    private let needsInputGradient: Bool
    private var x: UnsafeMutablePointer<Float>!

    /// Rows or columns of the weights that one product is made of: the shapes of products depend on the network alone.
    static let block = 128
    /// Products of fewer weights are not cut into blocks.
    private static let smallest = 1 << 17

    init(_ description: FullyConnected, inputs: Int, _ builder: inout LayerBuilder) {
        self.inputs = inputs
        outputs = description.units
        weight = builder.parameter()
        bias = description.bias ? builder.parameter() : nil
        y = builder.activation(Shape(vector: outputs))
        zeros = builder.carver.floats(description.bias ? 0 : outputs)
        prediction =
            weight.count >= LayerParameterDeclaration.largeCount
            ? ExactPrediction(
                inputs: inputs, outputs: outputs, scaledSamples: builder.samples, samples: builder.samples, &builder.carver)
            : nil
        needsInputGradient = builder.needsInputGradient
    }

    /// Blocks that rows or columns are cut into.
    private func blocks(of total: Int) -> Int {
        inputs * outputs > Self.smallest ? (total + Self.block - 1) / Self.block : 1
    }

    private func block(_ item: Int, of total: Int) -> Range<Int> {
        inputs &* outputs > Self.smallest ? item &* Self.block..<min(total, (item &+ 1) &* Self.block) : 0..<total
    }

    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        self.x = x
        guard pass.samples > 0 else { return y }
        if pass.mode == .evaluation || inputs * outputs <= Self.smallest { return try predict(x, pass) }
        let samples = pass.samples
        try pass.forEach(blocks(of: outputs)) { item, _ in
            let range = block(item, of: outputs)
            BLAS.gemm(
                m: samples, n: range.count, k: inputs, a: x, strideA: inputs, b: weight.values + range.lowerBound,
                strideB: outputs, beta: 0, c: y + range.lowerBound, strideC: outputs)
            guard let bias = bias?.values else { return }
            for sample in 0..<samples {
                let row = y + sample &* outputs
                for index in range { row[index] += bias[index] }
            }
        }
        return y
    }

    /// A sample's sums are taken in one order, whatever the other samples.
    private func predict(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        if let prediction, pass.mode == .evaluation {
            try prediction.scale(x, inputs: inputs, pass)
            try prediction.multiply(prediction.scaled, samples: pass.samples, weights: weight.values, rows: inputs, pass)
            try pass.forEach(pass.samples) { sample, _ in
                prediction.finish(sample: sample, bias: bias?.values ?? zeros, into: y + sample &* outputs)
            }
            return y
        }
        try pass.forEach(pass.samples) { sample, _ in
            Kernels.Dense.forward(
                x: x + sample &* inputs, weights: weight.values, bias: bias?.values ?? zeros, inputs: inputs,
                outputs: outputs, y: y + sample &* outputs)
        }
        return y
    }

    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        let samples = pass.samples
        let dx = needsInputGradient ? pass.pool.take() : nil
        try pass.forEach(blocks(of: inputs)) { item, _ in
            let range = block(item, of: inputs)
            let gradient = weight.gradient + range.lowerBound &* outputs
            guard samples > 0 else { return gradient.update(repeating: 0, count: range.count &* outputs) }
            Kernels.Dense.weightGradient(
                x: x, dy: dy, rows: range, samples: samples, inputs: inputs, outputs: outputs, gradient: gradient)
            guard let dx else { return }
            Kernels.Dense.inputGradient(
                dy: dy, weights: weight.values, rows: range, samples: samples, inputs: inputs, outputs: outputs, dx: dx)
        }
        if let bias {
            Kernels.Dense.biasGradient(dy: dy, samples: samples, outputs: outputs, gradient: bias.gradient)
            try pass.finished(bias)
        }
        try pass.finished(weight)
        pass.pool.give(dy)
        return dx
    }
}

// MARK: Export

extension FullyConnected {
    package func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) throws -> ONNXValue {
        let x = graph.vector(x, layer: place.name)
        var inputs = [x.name, try graph.parameter(place.inside("weight"))]
        if bias { inputs.append(try graph.parameter(place.inside("bias"))) }
        return ONNXValue(name: graph.node("Gemm", inputs, layer: place.name), shape: place.output, isMap: false)
    }

    package func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        let x = module.vector(x)
        let bias = bias ? " + \(module.parameter(place.inside("bias")))" : ""
        module.line("\(x.name) = \(x.name) @ \(module.parameter(place.inside("weight")))\(bias)")
        return x.holding(place.output, isMap: false)
    }
}
