import Layers

extension Convolution: ExportedLayer {
    private var border: Int { padding == .same ? kernel / 2 : 0 }

    func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) throws -> ONNXValue {
        let x = graph.map(x, layer: place.name)
        var inputs = [x.name, try graph.convolutionWeight(place.inside("weight"))]
        if bias { inputs.append(try graph.parameter(place.inside("bias"))) }
        let name = graph.node(
            "Conv", inputs, layer: place.name,
            [
                "kernel_shape": .integers([kernel, kernel]), "strides": .integers([stride, stride]),
                "pads": .integers([border, border, border, border]),
            ])
        return ONNXValue(name: name, shape: place.output, isMap: true)
    }

    func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        let x = module.map(x)
        var arguments = [x.name, module.parameter(place.inside("weight"))]
        if bias { arguments.append(module.parameter(place.inside("bias"))) }
        if stride != 1 { arguments.append("stride=\(stride)") }
        if border != 0 { arguments.append("padding=\(border)") }
        module.line("\(x.name) = F.conv2d(\(arguments.joined(separator: ", ")))")
        return x.holding(place.output, isMap: true)
    }
}
