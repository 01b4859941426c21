import Layers

extension MaxPooling: ExportedLayer {
    func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) -> ONNXValue {
        var name = pooled("MaxPool", size, x, place, &graph)
        if rectified { name = graph.node("Relu", [name], layer: place.name) }
        return ONNXValue(name: name, shape: place.output, isMap: true)
    }

    func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        let x = module.map(x)
        let pooled = "F.max_pool2d(\(x.name), \(size))"
        module.line("\(x.name) = \(rectified ? "F.relu(\(pooled))" : pooled)")
        return x.holding(place.output, isMap: true)
    }
}

extension AveragePooling: ExportedLayer {
    func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) -> ONNXValue {
        ONNXValue(name: pooled("AveragePool", size, x, place, &graph), shape: place.output, isMap: true)
    }

    func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        let x = module.map(x)
        module.line("\(x.name) = F.avg_pool2d(\(x.name), \(size))")
        return x.holding(place.output, isMap: true)
    }
}

private func pooled(
    _ operation: String, _ size: Int, _ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph
) -> String {
    graph.node(
        operation, [graph.map(x, layer: place.name).name], layer: place.name,
        ["kernel_shape": .integers([size, size]), "strides": .integers([size, size])])
}
