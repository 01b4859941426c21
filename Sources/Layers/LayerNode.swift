/// A layer in its place: its name, if it was given one, and where it was read.
package struct LayerNode: Sendable {
    package let name: String?
    package let layer: any LayerDescription
    /// Of the file that it was read from.
    package let line: Int?

    static let nameKey = "name"

    package init(_ layer: any LayerDescription, name: String? = nil, line: Int? = nil) {
        self.layer = layer
        self.name = name
        self.line = line
    }

    // MARK: Names

    /// The names of a list's layers: as given, else the kind and its number in the list, such as `convolution2`.
    package static func names(of nodes: [LayerNode]) -> [String] {
        var counts: [String: Int] = [:]
        return nodes.map { node in
            let kind = type(of: node.layer).kind
            counts[kind, default: 0] += 1
            return node.name ?? "\(kind)\(counts[kind]!)"
        }
    }

    /// The layers' names for people: a layer whose name is empty has its kind's.
    package static func labels(of nodes: [LayerNode]) -> [String] {
        zip(names(of: nodes), nodes).map { name, node in name.isEmpty ? type(of: node.layer).kind : name }
    }

    // MARK: Files

    /// A list of layers, each `kind`, `kind: value` or `kind: {member: value, name: NAME}`.
    static func list(_ node: OptionNode) throws(OptionError) -> [LayerNode] {
        guard case .list(let entries) = node.value else {
            throw OptionError("\(node.summary) where a list of layers is expected; hint: lines that begin with '- '", line: node.line)
        }
        var nodes: [LayerNode] = []
        var counts: [String: Int] = [:]
        for entry in entries { nodes.append(try read(entry, &counts)) }
        var seen: Set<String> = []
        for (name, node) in zip(names(of: nodes), nodes) where !name.isEmpty && !seen.insert(name).inserted {
            throw OptionError("two layers of one list are called '\(name)'; hint: give each its own name", line: node.line)
        }
        return nodes
    }

    /// - Parameter counts: of each kind's layers before it in the list.
    private static func read(_ entry: OptionNode, _ counts: inout [String: Int]) throws(OptionError) -> LayerNode {
        let (kind, value): (String, OptionNode?)
        switch entry.value {
        case .scalar(let text): (kind, value) = (text, nil)
        case .map(let entries) where entries.count == 1: (kind, value) = (entries[0].name, entries[0].node)
        default:
            throw OptionError(
                "\(entry.summary) where one layer is expected; hint: '- convolution: {channels: 16, kernel: 3}'", line: entry.line)
        }
        guard let type = LayerCatalog.type(of: kind) else {
            throw OptionError(
                "no layer is called '\(kind)'; hint: \(LayerCatalog.kinds.joined(separator: ", "))", line: entry.line)
        }
        counts[kind, default: 0] += 1
        var name: String?
        do throws(OptionError) {
            if case .map(let entries)? = value?.value, let given = entries.first(where: { $0.name == nameKey }) {
                guard let text = given.node.text, isName(text) else {
                    throw given.node.refused(nameKey, "letters, digits, '-' and '_', such as conv1")
                }
                name = text
            }
            return LayerNode(try type.init(reading: value), name: name, line: entry.line)
        } catch {
            throw error.inside(name ?? "\(kind)\(counts[kind]!)", line: entry.line)
        }
    }

    /// An empty name puts none before the names of the layer's parameters.
    private static func isName(_ text: String) -> Bool {
        text.utf8.count <= 64
            && text.utf8.allSatisfy { ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x2D || $0 == 0x5F }
    }

    /// What `list` reads.
    static func node(of nodes: [LayerNode]) -> OptionNode {
        .list(
            nodes.map { node in
                let members = (node.name.map { [(nameKey, OptionNode.scalar($0))] } ?? []) + node.layer.written
                let kind = type(of: node.layer).kind
                return members.isEmpty ? .scalar(kind) : .map([(kind, .map(members))])
            })
    }
}

extension Array where Element == LayerNode {
    /// Reads a list of layers.
    /// - Throws: `OptionError` with the line of what is wrong.
    package init(reading node: OptionNode) throws(OptionError) { self = try LayerNode.list(node) }

    /// What `init(reading:)` reads.
    package var node: OptionNode { LayerNode.node(of: self) }

    /// The shape after the last layer.
    /// - Throws: `ShapeError` that names the layer.
    package func output(of input: Shape) throws(ShapeError) -> Shape {
        var shape = input
        for (node, name) in zip(self, LayerNode.names(of: self)) {
            do throws(ShapeError) {
                shape = try node.layer.output(of: shape)
                // Sizes beyond this, multiplied, would leave the range of whole numbers.
                guard shape.count <= Shape.largestCount else {
                    throw ShapeError("gives \(shape), more than \(Shape.largestCount) values a frame; hint: smaller maps")
                }
            } catch {
                throw error.inside(name, line: node.line)
            }
        }
        return shape
    }

    /// Each layer with its name and the shape it is given; the list must fit.
    package func placed(on input: Shape) -> [(name: String, node: LayerNode, input: Shape, output: Shape)] {
        var shape = input
        return zip(LayerNode.names(of: self), self).map { name, node in
            guard let output = try? node.layer.output(of: shape) else { preconditionFailure("\(name) does not fit \(shape)") }
            defer { shape = output }
            return (name, node, shape, output)
        }
    }

    package func parameters(of input: Shape) -> [LayerParameterDeclaration] {
        placed(on: input).flatMap { place in
            place.node.layer.parameters(of: place.input).map { $0.inside(place.name) }
        }
    }

    package func operations(of input: Shape) -> Double {
        placed(on: input).reduce(0) { $0 + $1.node.layer.operations(of: $1.input) }
    }
}
