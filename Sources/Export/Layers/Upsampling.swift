import Layers

extension Upsampling: ExportedLayer {
    func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) -> ONNXValue {
        let x = graph.map(x, layer: place.name)
        let scales = graph.constant(place.inside("scales"), [1, 1, 2, 2], [4])
        let name = graph.node(
            "Resize", [x.name, "", scales], layer: place.name,
            ["mode": .text("nearest"), "coordinate_transformation_mode": .text("asymmetric"), "nearest_mode": .text("floor")])
        return ONNXValue(name: name, shape: place.output, isMap: true)
    }

    func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        let x = module.map(x)
        module.line("\(x.name) = F.interpolate(\(x.name), scale_factor=2, mode=\"nearest\")")
        return x.holding(place.output, isMap: true)
    }
}
