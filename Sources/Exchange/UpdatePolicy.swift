package import Networks
package import Optimizers

/// When weights are updated.
package enum UpdatePolicy: String, Sendable, Codable, CaseIterable {
    /// A tile of the window stem's weights the moment its gradient is made, while it is in cache: no large gradient is ever held.
    case fused
    /// All weights at once, when all gradients are stored and summed.
    case stored

    /// Why the fused policy cannot train, or nil.
    package static func problemOfFused(
        network: NetworkDescription, optimizer: OptimizerConfiguration, clipping: Clipping, accumulate: Int
    ) -> String? {
        if network.stem == nil { return "the network does not begin with a window stem" }
        if optimizer.kind != .adam || optimizer.weightDecay != 0 { return "only Adam without weight decay updates tile by tile" }
        if clipping != .none { return "gradients are clipped when all are known" }
        if accumulate > 1 { return "gradients of micro-batches are added up first" }
        return nil
    }
}
