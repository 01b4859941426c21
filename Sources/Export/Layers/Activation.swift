import Layers

extension Activation: ExportedLayer {
    func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) -> ONNXValue {
        let name =
            switch function {
            case .linear: x.name
            case .relu: graph.node("Relu", [x.name], layer: place.name)
            case .leakyRelu: graph.node("LeakyRelu", [x.name], layer: place.name, ["alpha": .float(0.01)])
            case .exp: graph.node("Exp", [x.name], layer: place.name)
            }
        return ONNXValue(name: name, shape: x.shape, isMap: x.isMap)
    }

    func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        switch function {
        case .linear: break
        case .relu: module.line("\(x.name) = F.relu(\(x.name))")
        case .leakyRelu: module.line("\(x.name) = F.leaky_relu(\(x.name), 0.01)")
        case .exp: module.line("\(x.name) = torch.exp(\(x.name))")
        }
        return x
    }
}
