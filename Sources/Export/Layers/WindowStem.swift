import Layers

/// Convolution, ReLU, max pool, fully connected, ReLU, each by itself.
extension WindowStem: ExportedLayer {
    func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) throws -> ONNXValue {
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

    func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
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
