/// How a layer's weights begin, as files write it.
package enum Initial: Sendable, Equatable {
    /// He et al. 2015, for a layer before a ReLU: variance 2 / inputs.
    case he
    /// Variance 1 / inputs, for a layer before no ReLU.
    case linear
    /// Variance 0.01 / inputs, for a layer that begins near its bias.
    case small
    /// Glorot and Bengio 2010: uniform, by inputs and outputs.
    case glorot
    /// Normal of this standard deviation, cut off at two of them, whatever the shape.
    case normal(Double)
    /// Truncated normal whose uncut standard deviation is this.
    case truncated(Double)

    /// Of weights with so many inputs and outputs.
    package func distribution(inputs: Int, outputs: Int) -> InitialDistribution {
        switch self {
        case .he: .he(inputs: inputs)
        case .linear: .he(inputs: inputs, gain: 1)
        case .small: .he(inputs: inputs, gain: 0.01)
        case .glorot: .glorot(inputs: inputs, outputs: outputs)
        case .normal(let deviation): .truncatedNormal(deviation: Float(deviation / 0.879_625_66))
        case .truncated(let deviation): .truncatedNormal(deviation: Float(deviation))
        }
    }

    /// Such as `he` or `normal:0.01`.
    package var text: String {
        switch self {
        case .he: "he"
        case .linear: "linear"
        case .small: "small"
        case .glorot: "glorot"
        case .normal(let deviation): "normal:\(deviation)"
        case .truncated(let deviation): "truncated:\(deviation)"
        }
    }

    package init?(_ text: String) {
        func deviation(_ prefix: String) -> Double? {
            guard text.hasPrefix(prefix), let value = Double(text.dropFirst(prefix.count)), value >= 0, value <= 1000 else {
                return nil
            }
            return value
        }
        switch text {
        case "he": self = .he
        case "linear": self = .linear
        case "small": self = .small
        case "glorot": self = .glorot
        default:
            if let value = deviation("normal:") {
                self = .normal(value)
            } else if let value = deviation("truncated:") {
                self = .truncated(value)
            } else {
                return nil
            }
        }
    }
}

extension Member {
    /// How weights begin.
    package static func initial(_ name: String, _ path: WritableKeyPath<Owner, Initial>) -> Member {
        text(name, path, "he, linear, small, glorot, normal:DEVIATION or truncated:DEVIATION", read: Initial.init, write: \.text)
    }
}
