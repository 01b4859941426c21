import Layers

/// A variable of the Python program.
struct TorchValue {
    let name: String
    let shape: Shape
    /// (N, channels, rows, columns); else (N, values).
    let isMap: Bool

    /// The same variable with another content.
    func holding(_ shape: Shape, isMap: Bool) -> TorchValue { TorchValue(name: name, shape: shape, isMap: isMap) }
}

/// The forward pass of a network as lines of Python, layer by layer.
struct TorchModule {
    private(set) var lines: [String] = []
    /// Functions that layers need, by name.
    private(set) var helpers: [String: String] = [:]
    private var variables = 0

    /// A line of `forward`.
    mutating func line(_ text: String) { lines.append(text) }

    /// A function that lines call.
    mutating func helper(_ name: String, _ text: String) { helpers[name] = text }

    /// A parameter in an expression.
    func parameter(_ name: String) -> String { "p[\"\(name)\"]" }

    /// A new variable.
    mutating func variable(_ shape: Shape, isMap: Bool) -> TorchValue {
        variables += 1
        return TorchValue(name: "x\(variables)", shape: shape, isMap: isMap)
    }

    /// As a map, (N, channels, rows, columns).
    mutating func map(_ x: TorchValue) -> TorchValue {
        guard !x.isMap else { return x }
        let shape = x.shape
        line("\(x.name) = \(x.name).reshape(-1, \(shape.channels), \(shape.height), \(shape.width))")
        return x.holding(shape, isMap: true)
    }

    /// As a vector, (N, values), in the order (row, column, channel).
    mutating func vector(_ x: TorchValue) -> TorchValue {
        guard x.isMap else { return x }
        line("\(x.name) = \(x.name).permute(0, 2, 3, 1).flatten(1)")
        return x.holding(Shape(vector: x.shape.count), isMap: false)
    }

    /// Appends a list of layers.
    mutating func append(_ nodes: [LayerNode], _ x: TorchValue, _ prefix: String) throws -> TorchValue {
        var x = x
        for place in nodes.placed(on: x.shape) {
            x = try exported(place.node).torch(x, ExportPlace(prefix, place), &self)
        }
        return x
    }
}
