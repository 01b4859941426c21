import Collectives
package import Networks

/// What an exchange cost since it was last reset.
package struct ExchangeCost: Sendable, Equatable {
    /// Seconds the main thread was inside collectives: sending, and waiting for others.
    package var seconds = 0.0
    /// Bytes this rank sent, by the formula of the algorithm.
    package var bytes: UInt64 = 0

    package init() {}
}

/// How ranks agree on the update: a gradient sink that also applies it, by Adam.
///
/// The gradients handed in are sums over the rank's own samples, scaled by one over the global number of values, so the
/// global mean is their plain sum over the ranks, however unevenly a batch divides.
package protocol GradientExchange: GradientSink {
    /// Cost since the last `resetCost`.
    var cost: ExchangeCost { get }
    func resetCost()
}

/// The exchanges there are, by the names of the command line.
package enum ExchangeKind: String, Sendable, CaseIterable, Codable {
    /// Average every gradient over the ranks by allreduce, then the same Adam step on every rank.
    case allreduce
}
