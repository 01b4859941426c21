import Layers

/// Nothing is dropped in evaluation; in DeepPrior's form values are scaled there.
extension Dropout: ExportedLayer {
    private var factor: Float? { scaling == .evaluation ? Float(1 - rate) : nil }

    func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) -> ONNXValue {
        guard let factor else { return x }
        let constant = graph.constant(place.inside("kept"), [factor], [1])
        return ONNXValue(name: graph.node("Mul", [x.name, constant], layer: place.name), shape: x.shape, isMap: x.isMap)
    }

    func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        if let factor { module.line("\(x.name) = \(x.name) * \(factor)  # dropout, in evaluation") }
        return x
    }
}
