import Layers

/// A layer under test. Each has a file beside this one, with its definition and with lists of layers to try it in; `LayerTests` then
/// checks outputs, central differences, threads, ranks without samples and exact predictions.
protocol TestedLayer: LayerDescription {
    /// Odd shapes, every member.
    static var cases: [LayerCase] { get }

    /// Its output by the definition in its doc comment, in Double.
    /// - Parameters:
    ///   - x: (samples, input).
    ///   - network: parameters, samples, and layers inside.
    func oracle(_ x: [Double], _ place: OraclePlace, _ network: inout OracleLayers) -> [Double]
}

/// Where a layer stands: the shapes around it, and its name among the parameters.
struct OraclePlace {
    let input, output: Shape
    let name: String
}

extension LayerCase {
    /// Each layer's own cases.
    static let layers = LayerCatalog.types.flatMap { ($0 as? any TestedLayer.Type)?.cases ?? [] }
}
