/// A variable of the Python program.
package struct TorchValue {
    package let name: String
    package let shape: Shape
    /// (N, channels, rows, columns); else (N, values).
    package let isMap: Bool

    package init(name: String, shape: Shape, isMap: Bool) {
        (self.name, self.shape, self.isMap) = (name, shape, isMap)
    }

    /// The same variable with another content.
    package func holding(_ shape: Shape, isMap: Bool) -> TorchValue { TorchValue(name: name, shape: shape, isMap: isMap) }
}

/// The forward pass of a network as lines of Python, layer by layer.
package struct TorchModule {
    package private(set) var lines: [String] = []
    /// Functions that layers need, by name.
    package private(set) var helpers: [String: String] = [:]
    private var variables = 0

    package init() {}

    /// A line of `forward`.
    package mutating func line(_ text: String) { lines.append(text) }

    /// A function that lines call.
    package mutating func helper(_ name: String, _ text: String) { helpers[name] = text }

    /// A parameter in an expression.
    package func parameter(_ name: String) -> String { "p[\"\(name)\"]" }

    /// A new variable.
    package mutating func variable(_ shape: Shape, isMap: Bool) -> TorchValue {
        variables += 1
        return TorchValue(name: "x\(variables)", shape: shape, isMap: isMap)
    }

    /// As a map, (N, channels, rows, columns).
    package mutating func map(_ x: TorchValue) -> TorchValue {
        guard !x.isMap else { return x }
        let shape = x.shape
        line("\(x.name) = \(x.name).reshape(-1, \(shape.channels), \(shape.height), \(shape.width))")
        return x.holding(shape, isMap: true)
    }

    /// As a vector, (N, values), in the order (row, column, channel).
    package mutating func vector(_ x: TorchValue) -> TorchValue {
        guard x.isMap else { return x }
        line("\(x.name) = \(x.name).permute(0, 2, 3, 1).flatten(1)")
        return x.holding(Shape(vector: x.shape.count), isMap: false)
    }

    /// A new variable that holds what layers make of `x`.
    mutating func copy(_ x: TorchValue, through nodes: [LayerNode], _ prefix: String) throws -> TorchValue {
        let copy = variable(x.shape, isMap: x.isMap)
        line("\(copy.name) = \(x.name)")
        return try append(nodes, copy, prefix)
    }

    /// All as maps if one of them is.
    mutating func alike(_ values: [TorchValue]) -> (names: [String], isMap: Bool) {
        let isMap = values.contains { $0.isMap }
        return (values.map { isMap ? map($0).name : $0.name }, isMap)
    }

    /// Appends a list of layers.
    package mutating func append(_ nodes: [LayerNode], _ x: TorchValue, _ prefix: String) throws -> TorchValue {
        var x = x
        for place in nodes.placed(on: x.shape) {
            x = try place.node.layer.torch(x, ExportPlace(prefix, place), &self)
        }
        return x
    }
}
