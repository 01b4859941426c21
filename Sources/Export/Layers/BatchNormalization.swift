import Layers

/// With running statistics, as in evaluation.
extension BatchNormalization: ExportedLayer {
    func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) throws -> ONNXValue {
        var inputs = [x.name]
        for name in ["scale", "shift", "running-mean", "running-variance"] {
            inputs.append(try graph.parameter(place.inside(name)))
        }
        var name = graph.node("BatchNormalization", inputs, layer: place.name, ["epsilon": .float(Float(epsilon))])
        if rectified { name = graph.node("Relu", [name], layer: place.name) }
        return ONNXValue(name: name, shape: place.output, isMap: x.isMap)
    }

    func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        let parameters = ["running-mean", "running-variance", "scale", "shift"].map { module.parameter(place.inside($0)) }
        module.line("\(x.name) = F.batch_norm(\(x.name), \(parameters.joined(separator: ", ")), eps=\(epsilon))")
        if rectified { module.line("\(x.name) = F.relu(\(x.name))") }
        return x
    }
}
