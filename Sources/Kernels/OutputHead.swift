import Glibc

/// What the last layer's values z become: the outputs o that are compared with labels.
package enum OutputHead: String, Sendable, CaseIterable, Codable {
    /// o = z: passes every gradient.
    case linear
    /// o = max(0, z): an output that is 0 passes no gradient, and a network whose outputs are all 0 never learns again.
    case relu
    /// o = exp(z): positive, and passes every gradient.
    case exp

    /// o = head(z), in place.
    package func forward(_ values: UnsafeMutablePointer<Float>, count: Int) {
        switch self {
        case .linear: break
        case .relu: for index in 0..<count { values[index] = values[index] <= 0 ? 0 : values[index] }
        case .exp: for index in 0..<count { values[index] = Glibc.expf(values[index]) }
        }
    }

    /// A z that gives the output `value`; where none does, 0.
    package func inverse(_ value: Float) -> Float {
        switch self {
        case .linear: value
        case .relu: max(0, value)
        case .exp: value > 0 ? Glibc.logf(value) : 0
        }
    }

    /// dz = do · head'(z), written with the outputs: ReLU' = (o > 0), exp' = o; in place. NaN stays NaN.
    package func backward(outputs: UnsafePointer<Float>, gradient: UnsafeMutablePointer<Float>, count: Int) {
        switch self {
        case .linear: break
        case .relu: Elementwise.rectifierBackward(y: outputs, dy: gradient, dx: gradient, count: count)
        case .exp: Elementwise.exponentialBackward(y: outputs, dy: gradient, dx: gradient, count: count)
        }
    }

    /// dz of one value.
    @inlinable
    package func backward<Value: BinaryFloatingPoint>(output: Value, gradient: Value) -> Value {
        switch self {
        case .linear: gradient
        case .relu: output <= 0 ? 0 : gradient
        case .exp: gradient * output
        }
    }
}

/// Squared error in the labels' own units.
package enum SquaredError {
    /// Sum of (o - t)^2, in Double, elements in order.
    package static func sum(outputs: UnsafePointer<Float>, labels: UnsafePointer<Float>, count: Int) -> Double {
        var total = 0.0
        for index in 0..<count {
            let difference = Double(outputs[index]) - Double(labels[index])
            total += difference * difference
        }
        return total
    }

    /// Gradient of (sum of squared errors) · scale: 2 · scale · (o - t).
    /// - Parameters:
    ///   - scale: 1 / (number of values over all ranks) for the mean squared error.
    ///   - gradient: overwritten.
    package static func backward(
        outputs: UnsafePointer<Float>, labels: UnsafePointer<Float>, count: Int, scale: Float,
        gradient: UnsafeMutablePointer<Float>
    ) {
        for index in 0..<count { gradient[index] = 2 * scale * (outputs[index] - labels[index]) }
    }
}
