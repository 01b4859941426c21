import Layers

/// A layer that can be written in other programs' terms. One file a kind in `Layers/`, with both forms.
protocol ExportedLayer: LayerDescription {
    /// Appends its nodes; evaluation, not training.
    func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) throws -> ONNXValue
    /// Appends its lines of Python, which change the variable `x` or make new ones.
    func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) throws -> TorchValue
}

/// Where a layer stands: its name among the parameters, and the shapes around it.
struct ExportPlace {
    /// `block1.conv1`; empty for a layer whose parameters have no prefix.
    let name: String
    let input: Shape
    let output: Shape

    init(_ prefix: String, _ place: (name: String, node: LayerNode, input: Shape, output: Shape)) {
        name = Self.join(prefix, place.name)
        input = place.input
        output = place.output
    }

    /// The name of a parameter, or of a list of layers inside.
    func inside(_ name: String) -> String { Self.join(self.name, name) }

    private static func join(_ prefix: String, _ name: String) -> String {
        prefix.isEmpty ? name : name.isEmpty ? prefix : "\(prefix).\(name)"
    }
}

/// The layer of a node as one that can be written.
/// - Throws: `ExportError` for a kind that has no form here.
func exported(_ node: LayerNode) throws(ExportError) -> any ExportedLayer {
    guard let layer = node.layer as? any ExportedLayer else {
        throw ExportError("layers of kind '\(type(of: node.layer).kind)' cannot be exported; hint: --safetensors writes the weights alone")
    }
    return layer
}

/// Why a model cannot be exported: one line.
package struct ExportError: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}
