import Layers

/// The published and own networks that dtrain brings along, for crops of a hand.
package enum Architecture: String, Sendable, Codable, CaseIterable {
    case deepPrior = "deepprior"
    case ren
    case dense
    case hand = "dtrain-hand"

    /// Rows and columns of the crop that the network was designed for.
    package var size: Int { self == .deepPrior ? 128 : 96 }

    /// The network for crops of `size` x `size` pixels; nil: of its own size.
    package func description(size: Int? = nil) -> NetworkDescription {
        let size = size ?? self.size
        return switch self {
        case .deepPrior: .deepPrior(size: size)
        case .ren: .ren(size: size)
        case .dense: .dense(size: size)
        case .hand: .hand(size: size)
        }
    }
}

// MARK: Blocks that several of them share

extension [LayerNode] {
    /// A convolution without bias, as batch normalisation follows, then ReLU if `rectified`.
    /// - Parameter scale: what the normalisation's scales begin with.
    static func normalizedConvolution(
        _ name: String, _ channels: Int, kernel: Int, stride: Int = 1, rectified: Bool = true, initial: Initial = .he,
        scale: Double = 1
    ) -> [LayerNode] {
        [
            LayerNode(
                Convolution(channels, kernel: kernel, stride: stride, bias: false, initial: initial), name: name),
            LayerNode(BatchNormalization(rectified: rectified, initialScale: scale), name: "\(name)-norm"),
        ]
    }
}

extension LayerNode {
    static func relu(_ name: String? = nil) -> LayerNode { LayerNode(Activation(.relu), name: name) }
}
