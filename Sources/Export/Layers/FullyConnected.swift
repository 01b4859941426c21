import Layers

extension FullyConnected: ExportedLayer {
    func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) throws -> ONNXValue {
        let x = graph.vector(x, layer: place.name)
        var inputs = [x.name, try graph.parameter(place.inside("weight"))]
        if bias { inputs.append(try graph.parameter(place.inside("bias"))) }
        return ONNXValue(name: graph.node("Gemm", inputs, layer: place.name), shape: place.output, isMap: false)
    }

    func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        let x = module.vector(x)
        let bias = bias ? " + \(module.parameter(place.inside("bias")))" : ""
        module.line("\(x.name) = \(x.name) @ \(module.parameter(place.inside("weight")))\(bias)")
        return x.holding(place.output, isMap: false)
    }
}

extension PoseBasis: ExportedLayer {
    func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) throws -> ONNXValue {
        let x = graph.vector(x, layer: place.name)
        let inputs = [x.name, try graph.parameter(place.inside("components")), try graph.parameter(place.inside("mean"))]
        return ONNXValue(name: graph.node("Gemm", inputs, layer: place.name), shape: place.output, isMap: false)
    }

    func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        let x = module.vector(x)
        module.line(
            "\(x.name) = \(x.name) @ \(module.parameter(place.inside("components"))) + \(module.parameter(place.inside("mean")))")
        return x.holding(place.output, isMap: false)
    }
}
