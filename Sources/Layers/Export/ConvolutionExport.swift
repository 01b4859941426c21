/// How a convolution's weights (rows, columns, channels in of a group, channels out) go over the image, in other programs' terms.
struct ConvolutionExport {
    let kernel, stride: Int
    /// Zeros on each side.
    let border: Int
    let hasBias: Bool
    /// Groups of channels that see each other alone.
    var groups = 1

    func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) throws -> ONNXValue {
        let x = graph.map(x, layer: place.name)
        var inputs = [x.name, try graph.convolutionWeight(place.inside("weight"))]
        if hasBias { inputs.append(try graph.parameter(place.inside("bias"))) }
        let name = graph.node(
            "Conv", inputs, layer: place.name,
            [
                "kernel_shape": .integers([kernel, kernel]), "strides": .integers([stride, stride]),
                "pads": .integers([border, border, border, border]), "group": .integer(groups),
            ])
        return ONNXValue(name: name, shape: place.output, isMap: true)
    }

    func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        let x = module.map(x)
        var arguments = [x.name, module.parameter(place.inside("weight"))]
        if hasBias { arguments.append(module.parameter(place.inside("bias"))) }
        if stride != 1 { arguments.append("stride=\(stride)") }
        if border != 0 { arguments.append("padding=\(border)") }
        if groups != 1 { arguments.append("groups=\(groups)") }
        module.line("\(x.name) = F.conv2d(\(arguments.joined(separator: ", ")))")
        return x.holding(place.output, isMap: true)
    }
}
