import Layers

extension Residual: ExportedLayer {
    func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) throws -> ONNXValue {
        let one = try graph.append(layers, x, place.name)
        let other = try graph.append(skip, x, place.inside("skip"))
        let (sum, isMap) = graph.joined([one, other], "Add", layer: place.name)
        return ONNXValue(name: sum, shape: place.output, isMap: isMap)
    }

    func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) throws -> TorchValue {
        let one = try module.copy(x, through: layers, place.name)
        let other = try module.append(skip, x, place.inside("skip"))
        let (names, isMap) = module.alike([one, other])
        module.line("\(x.name) = \(names.joined(separator: " + "))")
        return x.holding(place.output, isMap: isMap)
    }
}

extension Branches: ExportedLayer {
    func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) throws -> ONNXValue {
        var values: [ONNXValue] = []
        for (number, nodes) in branches.enumerated() {
            values.append(try graph.append(nodes, x, place.inside("branch\(number + 1)")))
        }
        let (name, isMap) = graph.joined(values, join == .add ? "Sum" : "Concat", layer: place.name)
        return ONNXValue(name: name, shape: place.output, isMap: isMap)
    }

    func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) throws -> TorchValue {
        var values: [TorchValue] = []
        for (number, nodes) in branches.enumerated() {
            values.append(try module.copy(x, through: nodes, place.inside("branch\(number + 1)")))
        }
        let (names, isMap) = module.alike(values)
        let joined = join == .add ? names.joined(separator: " + ") : "torch.cat([\(names.joined(separator: ", "))], 1)"
        module.line("\(x.name) = \(joined)")
        return x.holding(place.output, isMap: isMap)
    }
}

/// Its output is for the loss, in training alone.
extension Intermediate: ExportedLayer {
    func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) -> ONNXValue { x }
    func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue { x }
}

extension ONNXGraph {
    /// One node of several values, all as maps if one of them is.
    fileprivate mutating func joined(_ values: [ONNXValue], _ operation: String, layer: String) -> (name: String, isMap: Bool) {
        let isMap = values.contains { $0.isMap }
        let names = values.map { isMap ? map($0, layer: layer).name : $0.name }
        if operation == "Concat" { return (node(operation, names, layer: layer, ["axis": .integer(1)]), isMap) }
        return (node(operation, names, layer: layer), isMap)
    }
}

extension TorchModule {
    /// A new variable that holds what layers make of `x`.
    fileprivate mutating func copy(_ x: TorchValue, through nodes: [LayerNode], _ prefix: String) throws -> TorchValue {
        let copy = variable(x.shape, isMap: x.isMap)
        line("\(copy.name) = \(x.name)")
        return try append(nodes, copy, prefix)
    }

    /// All as maps if one of them is.
    fileprivate mutating func alike(_ values: [TorchValue]) -> (names: [String], isMap: Bool) {
        let isMap = values.contains { $0.isMap }
        return (values.map { isMap ? map($0).name : $0.name }, isMap)
    }
}
