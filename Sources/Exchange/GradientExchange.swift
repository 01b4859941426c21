package import Collectives
package import Layers

/// How ranks agree on the update: a gradient sink that also applies it, by Adam.
///
/// The gradients handed in are sums over the rank's own samples, scaled by one over the global number of values, so the
/// global mean is their plain sum over the ranks, however unevenly a batch divides.
package protocol GradientExchange: GradientSink {
    /// Cost since the last `resetCost`.
    var cost: ExchangeCost { get }
    func resetCost()
}
