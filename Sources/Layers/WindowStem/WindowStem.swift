package import Kernels
import Memory

@section("dtrain_layers") @used private let entry: LayerCatalog.Entry = { LayerCatalog.add(WindowStem.self, to: $0) }

/// The question's first layers as one: 5x5 convolution to 8 channels, ReLU, max pool, fully connected, ReLU.
///
/// They are one layer because most windows of a depth frame see background alone: their products are left out by an identity, and
/// the fully connected layer's gradient is never held whole.
package struct WindowStem: LayerDescription {
    package static let kind = "window-stem"
    package static let result = "units; only as the first layer"
    package static let example: String? = nil
    /// Pooling window and stride, 2 or 4.
    package var pool = 2
    /// Units of the fully connected layer.
    package var units = 1024
    package var initial = Initial.he
    package var initialBias = 0.0
    /// Which routines compute the fully connected layer's products.
    package var kernels = DenseKernels.auto

    package init() {}
    package init(
        pool: Int, units: Int, initial: Initial = .he, initialBias: Double = 0, kernels: DenseKernels = .auto
    ) {
        self.pool = pool
        self.units = units
        self.initial = initial
        self.initialBias = initialBias
        self.kernels = kernels
    }

    package static var members: [Member<WindowStem>] {
        [
            .integer("pool", \.pool), .integer("units", \.units), .initial("initial", \.initial),
            .number("initial-bias", \.initialBias, -1e6...1e6), .choice("kernels", \.kernels),
        ]
    }

    package func output(of input: Shape) throws(ShapeError) -> Shape {
        guard input.channels == 1 else { throw ShapeError("window-stem takes one channel, not \(input); hint: put it first") }
        guard pool == 2 || pool == 4 else { throw ShapeError("the pooling window is \(pool); hint: pool 2 or 4") }
        guard input.height >= pool, input.width >= pool, input.height % pool == 0, input.width % pool == 0 else {
            throw ShapeError(
                "an image of \(input.width)x\(input.height) pixels does not divide into \(pool)x\(pool) windows; "
                    + "hint: another pool, or an image size that is a multiple of it")
        }
        return Shape(vector: units)
    }

    /// Inputs of the fully connected layer: pooled rows x columns x 8 channels.
    package func flattened(of input: Shape) -> Int {
        input.height / pool * (input.width / pool) * ConvolutionPool.channels
    }

    /// How the pooling windows are cut into blocks.
    package func windowBlocks(of input: Shape) -> WindowBlocks {
        WindowBlocks(rows: input.height / pool, columns: input.width / pool)
    }

    package func parameters(of input: Shape) -> [LayerParameterDeclaration] {
        let (channels, flattened) = (ConvolutionPool.channels, flattened(of: input))
        let bias = InitialDistribution.constant(Float(initialBias))
        return [
            LayerParameterDeclaration(
                "conv1.weight", [5, 5, 1, channels], role: .weight, initial: initial.distribution(inputs: 25, outputs: channels)),
            LayerParameterDeclaration("conv1.bias", [channels], role: .bias, initial: bias),
            LayerParameterDeclaration(
                "fc1.weight", [flattened, units], role: .weight,
                initial: initial.distribution(inputs: flattened, outputs: units), isTiled: true),
            LayerParameterDeclaration("fc1.bias", [units], role: .bias, initial: bias),
        ]
    }

    package func operations(of input: Shape) -> Double {
        2 * Double(ConvolutionPool.weightCount * input.positions) + 2 * Double(flattened(of: input) * units)
    }

    package func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer { WindowStemLayer(self, input, &builder) }

    /// Floats of a weight tile: with its gradient it stays in a 1 MiB level-2 cache.
    package static let tileFloats = 1 << 17

    /// Above this share of active windows the dense kernels are faster.
    package static let sparseLimit = 0.5
}

// MARK: Export

/// Convolution, ReLU, max pool, fully connected, ReLU, each by itself.
extension WindowStem {
    package func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) throws -> ONNXValue {
        let convolution = place.inside("conv1")
        let weights = [try graph.convolutionWeight("\(convolution).weight"), try graph.parameter("\(convolution).bias")]
        var name = graph.node(
            "Conv", [x.name] + weights, layer: convolution,
            ["kernel_shape": .integers([5, 5]), "strides": .integers([1, 1]), "pads": .integers([2, 2, 2, 2])])
        name = graph.node("Relu", [name], layer: convolution)
        name = graph.node(
            "MaxPool", [name], layer: convolution, ["kernel_shape": .integers([pool, pool]), "strides": .integers([pool, pool])])
        let dense = place.inside("fc1")
        let flat = graph.vector(ONNXValue(name: name, shape: pooled(place), isMap: true), layer: dense)
        name = graph.node(
            "Gemm", [flat.name, try graph.parameter("\(dense).weight"), try graph.parameter("\(dense).bias")], layer: dense)
        return ONNXValue(name: graph.node("Relu", [name], layer: dense), shape: place.output, isMap: false)
    }

    package func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        func parameter(_ name: String) -> String { module.parameter(place.inside(name)) }
        module.line("\(x.name) = F.relu(F.conv2d(\(x.name), \(parameter("conv1.weight")), \(parameter("conv1.bias")), padding=2))")
        module.line("\(x.name) = F.max_pool2d(\(x.name), \(pool))")
        let flat = module.vector(x.holding(pooled(place), isMap: true))
        module.line("\(x.name) = F.relu(\(x.name) @ \(parameter("fc1.weight")) + \(parameter("fc1.bias")))")
        return flat.holding(place.output, isMap: false)
    }

    private func pooled(_ place: ExportPlace) -> Shape {
        let (height, width) = (place.input.height / pool, place.input.width / pool)
        return Shape(height: height, width: width, channels: flattened(of: place.input) / (height * width))
    }
}
