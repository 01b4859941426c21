import Glibc

/// What the last layer's values become, by definition; raw values are the product's names of them.
package enum Head: String, Sendable, CaseIterable {
    case linear, relu, exp

    /// o = head(z).
    package func forward(_ values: [Double]) -> [Double] {
        switch self {
        case .linear: values
        case .relu: Layers.rectifier(values)
        case .exp: values.map { Glibc.exp($0) }
        }
    }

    /// dz = do · head'(z).
    package func backward(_ values: [Double], gradient: [Double]) -> [Double] {
        switch self {
        case .linear: gradient
        case .relu: Layers.rectifierBackward(values, gradient: gradient)
        case .exp: zip(values, gradient).map { Glibc.exp($0) * $1 }
        }
    }
}
