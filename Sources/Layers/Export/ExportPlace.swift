/// Where a layer stands in a network that is written in other programs' terms: its name among the parameters, the shapes around it.
package struct ExportPlace {
    /// `block1.conv1`; empty for a layer whose parameters have no prefix.
    package let name: String
    package let input: Shape
    package let output: Shape

    init(_ prefix: String, _ place: (name: String, node: LayerNode, input: Shape, output: Shape)) {
        name = Self.join(prefix, place.name)
        input = place.input
        output = place.output
    }

    /// The name of a parameter, or of a list of layers inside.
    package func inside(_ name: String) -> String { Self.join(self.name, name) }

    private static func join(_ prefix: String, _ name: String) -> String {
        prefix.isEmpty ? name : name.isEmpty ? prefix : "\(prefix).\(name)"
    }
}

/// Stored parameters by their names.
package protocol StoredWeights: Sendable {
    /// - Throws: when there is none of this name.
    func shape(of name: String) throws -> [Int]
    /// All values, row-major.
    func values(_ name: String) throws -> [Float]
}
