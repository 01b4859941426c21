import Layers

extension Region: ExportedLayer {
    func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) -> ONNXValue {
        var name = graph.map(x, layer: place.name).name
        name = graph.slice(name, axis: 2, rows[0]..<rows[1], layer: place.name)
        name = graph.slice(name, axis: 3, columns[0]..<columns[1], layer: place.name)
        return ONNXValue(name: name, shape: place.output, isMap: true)
    }

    func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        let x = module.map(x)
        module.line("\(x.name) = \(x.name)[:, :, \(rows[0]):\(rows[1]), \(columns[0]):\(columns[1])]")
        return x.holding(place.output, isMap: true)
    }
}

extension Channels: ExportedLayer {
    func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) -> ONNXValue {
        ONNXValue(
            name: graph.slice(x.name, axis: 1, range[0]..<range[1], layer: place.name), shape: place.output, isMap: x.isMap)
    }

    func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        module.line("\(x.name) = \(x.name)[:, \(range[0]):\(range[1])]")
        return x.holding(place.output, isMap: x.isMap)
    }
}
