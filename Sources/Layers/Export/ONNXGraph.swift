package import Protobuf

/// A tensor in a graph under construction.
package struct ONNXValue {
    package let name: String
    /// Of a sample, as the layers have it.
    package let shape: Shape
    /// (N, channels, rows, columns); else (N, values).
    package let isMap: Bool

    package init(name: String, shape: Shape, isMap: Bool) {
        (self.name, self.shape, self.isMap) = (name, shape, isMap)
    }
}

/// The part of ONNX that is needed, as messages (onnx.proto, github.com/onnx/onnx): a list of nodes that grows layer by layer.
package struct ONNXGraph {
    /// The operator set that the nodes are of.
    package static let operatorSet = 17
    /// The version of onnx.proto; 8 is that of ONNX 1.12, which came with operator set 17.
    package static let intermediateVersion = 8

    package enum Attribute {
        case integer(Int)
        case integers([Int])
        case float(Float)
        case text(String)
    }

    private enum ElementType: Int { case float = 1, int64 = 7 }

    /// The network's input, (N, 1, rows, columns).
    package let input: ONNXValue
    private let weights: any StoredWeights
    private var nodes: [ProtobufMessage] = []
    private var initializers: [ProtobufMessage] = []
    private var names: Set<String> = []

    package init(input: Shape, weights: any StoredWeights) {
        self.weights = weights
        self.input = ONNXValue(name: "input", shape: input, isMap: true)
        names = ["input", "output"]
    }

    // MARK: Nodes

    /// A name that is not taken yet, made from a layer's.
    private mutating func name(_ stem: String) -> String {
        var (name, number) = (stem, 2)
        while !names.insert(name).inserted { (name, number) = ("\(stem)_\(number)", number + 1) }
        return name
    }

    /// Appends a node and returns the name of its output.
    /// - Parameter layer: what the node is called after.
    package mutating func node(
        _ operation: String, _ inputs: [String], layer: String, _ attributes: KeyValuePairs<String, Attribute> = [:]
    ) -> String {
        let output = name(layer.isEmpty ? operation.lowercased() : "\(layer).\(operation.lowercased())")
        node(operation, inputs, output: output, attributes)
        return output
    }

    private mutating func node(
        _ operation: String, _ inputs: [String], output: String, _ attributes: KeyValuePairs<String, Attribute> = [:]
    ) {
        var message = ProtobufMessage()
        for input in inputs { message.text(1, input) }
        message.text(2, output)
        message.text(3, output)
        message.text(4, operation)
        for (name, value) in attributes { message.message(5, Self.attribute(name, value)) }
        nodes.append(message)
    }

    private static func attribute(_ name: String, _ value: Attribute) -> ProtobufMessage {
        var message = ProtobufMessage()
        message.text(1, name)
        switch value {
        case .float(let value):
            message.float(2, value)
            message.integer(20, 1)
        case .integer(let value):
            message.integer(3, value)
            message.integer(20, 2)
        case .text(let value):
            message.text(4, value)
            message.integer(20, 3)
        case .integers(let values):
            for value in values { message.integer(8, value) }
            message.integer(20, 7)
        }
        return message
    }

    // MARK: Constants

    /// A parameter as it is stored, by its name.
    package mutating func parameter(_ name: String) throws -> String {
        let shape = try weights.shape(of: name)
        guard names.insert(name).inserted else { return name }
        var message = Self.tensor(name, .float, shape)
        message.stored(9, tensor: name, byteCount: 4 * shape.reduce(1, *))
        initializers.append(message)
        return name
    }

    /// A convolution's weights, (rows, columns, in, out), as ONNX has them: (out, in, rows, columns).
    package mutating func convolutionWeight(_ name: String) throws -> String {
        let shape = try weights.shape(of: name)
        let (positions, inputs, outputs) = (shape[0] * shape[1], shape[2], shape[3])
        let values = try weights.values(name)
        var turned = [Float](repeating: 0, count: values.count)
        for position in 0..<positions {
            for input in 0..<inputs {
                for output in 0..<outputs {
                    turned[(output * inputs + input) * positions + position] = values[(position * inputs + input) * outputs + output]
                }
            }
        }
        return constant(name, turned, [outputs, inputs, shape[0], shape[1]])
    }

    /// A tensor of floats.
    package mutating func constant(_ stem: String, _ values: [Float], _ shape: [Int]) -> String {
        let name = name(stem)
        var message = Self.tensor(name, .float, shape)
        message.bytes(9, values.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) } })
        initializers.append(message)
        return name
    }

    /// A vector of whole numbers, such as a shape.
    package mutating func constant(_ stem: String, integers values: [Int]) -> String {
        let name = name(stem)
        var message = Self.tensor(name, .int64, [values.count])
        message.bytes(9, values.flatMap { value in withUnsafeBytes(of: Int64(value).littleEndian) { Array($0) } })
        initializers.append(message)
        return name
    }

    private static func tensor(_ name: String, _ type: ElementType, _ shape: [Int]) -> ProtobufMessage {
        var message = ProtobufMessage()
        for extent in shape { message.integer(1, extent) }
        message.integer(2, type.rawValue)
        message.text(8, name)
        return message
    }

    // MARK: Shapes

    /// Reshapes; 0 leaves an extent, which keeps N free.
    package mutating func reshape(_ name: String, _ shape: [Int], layer: String) -> String {
        let target = constant("\(layer).shape", integers: shape)
        return node("Reshape", [name, target], layer: layer)
    }

    /// The part first ..< end along an axis.
    package mutating func slice(_ name: String, axis: Int, _ range: Range<Int>, layer: String) -> String {
        let bounds = [range.lowerBound, range.upperBound, axis].map { constant("\(layer).bound", integers: [$0]) }
        return node("Slice", [name] + bounds, layer: layer)
    }

    /// As a map, (N, channels, rows, columns).
    package mutating func map(_ value: ONNXValue, layer: String) -> ONNXValue {
        guard !value.isMap else { return value }
        let shape = value.shape
        return ONNXValue(
            name: reshape(value.name, [0, shape.channels, shape.height, shape.width], layer: layer), shape: shape, isMap: true)
    }

    /// As a vector, (N, values), in the order (row, column, channel).
    package mutating func vector(_ value: ONNXValue, layer: String) -> ONNXValue {
        guard value.isMap else { return value }
        var name = value.name
        if value.shape.positions > 1 && value.shape.channels > 1 {
            name = node("Transpose", [name], layer: layer, ["perm": .integers([0, 2, 3, 1])])
        }
        return ONNXValue(
            name: reshape(name, [0, value.shape.count], layer: layer), shape: Shape(vector: value.shape.count), isMap: false)
    }

    /// One node of several values, all as maps if one of them is.
    mutating func joined(
        _ values: [ONNXValue], _ operation: String, layer: String, _ attributes: KeyValuePairs<String, Attribute> = [:]
    ) -> (name: String, isMap: Bool) {
        let isMap = values.contains { $0.isMap }
        let names = values.map { isMap ? map($0, layer: layer).name : $0.name }
        return (node(operation, names, layer: layer, attributes), isMap)
    }

    // MARK: Layers

    /// Appends a list of layers.
    /// - Parameter prefix: what stands before the names of their parameters.
    package mutating func append(_ nodes: [LayerNode], _ x: ONNXValue, _ prefix: String) throws -> ONNXValue {
        var x = x
        for place in nodes.placed(on: x.shape) {
            x = try place.node.layer.onnx(x, ExportPlace(prefix, place), &self)
        }
        return x
    }

    /// The graph whose output is `value`, as (N, 48).
    /// - Parameter words: what it does, takes and gives.
    package mutating func finish(
        _ value: ONNXValue, name: String, words: (summary: String, input: String, output: String)
    ) -> ProtobufMessage {
        let last = vector(value, layer: "output")
        node("Identity", [last.name], output: "output")
        var graph = ProtobufMessage()
        for node in nodes { graph.message(1, node) }
        graph.text(2, name)
        for initializer in initializers { graph.message(5, initializer) }
        graph.text(10, words.summary)
        let shape = input.shape
        graph.message(11, Self.information("input", [shape.channels, shape.height, shape.width], words.input))
        graph.message(12, Self.information("output", [last.shape.count], words.output))
        return graph
    }

    /// ValueInfoProto of a tensor of floats (N, ...).
    private static func information(_ name: String, _ shape: [Int], _ words: String) -> ProtobufMessage {
        var (shapes, tensor, type, information) = (ProtobufMessage(), ProtobufMessage(), ProtobufMessage(), ProtobufMessage())
        var batch = ProtobufMessage()
        batch.text(2, "N")
        shapes.message(1, batch)
        for extent in shape {
            var dimension = ProtobufMessage()
            dimension.integer(1, extent)
            shapes.message(1, dimension)
        }
        tensor.integer(1, ElementType.float.rawValue)
        tensor.message(2, shapes)
        type.message(1, tensor)
        information.text(1, name)
        information.message(2, type)
        information.text(3, words)
        return information
    }
}
