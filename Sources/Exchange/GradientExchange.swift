import Collectives
import Kernels
package import Layers
import Networks
import System

/// What an exchange cost since it was last reset.
package struct ExchangeCost: Sendable, Equatable {
    /// Seconds the main thread was inside collectives: sending, and waiting for others.
    package var seconds = 0.0
    /// Seconds of these in which this rank's other threads had nothing left to compute.
    package var waited = 0.0
    /// Bytes this rank sent, by the formula of the algorithm.
    package var bytes: UInt64 = 0

    package init() {}

    /// Runs collectives of `communicator`, and adds what they took and sent.
    mutating func measure<Value>(_ communicator: any Communicator, _ body: () throws -> Value) rethrows -> Value {
        let (start, sent) = (Stopwatch.now, communicator.bytesSent)
        defer {
            seconds += Stopwatch.now - start
            bytes += communicator.bytesSent - sent
        }
        return try Trace.span("exchange", body)
    }

    /// Adds what the team had to wait for a `lead` that did nothing but what was measured.
    mutating func addWaiting(_ idle: Double) { waited = min(waited + idle, seconds) }
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
    /// Each rank gets the sum of its part of every gradient, updates that part, and hands the weights to the others. The large
    /// layers' moments are divided among the ranks.
    case sharded
    /// The large layer itself is divided by its inputs: activations travel, its weights and moments never do.
    case split
    /// The one of the others that the cost model finds the fastest here.
    case auto

    /// Why this exchange cannot train so on so many ranks, or nil.
    package func problem(_ setting: ExchangePlan.Setting, ranks: Int) -> String? {
        guard self == .split, ranks > 1 else { return nil }
        if setting.policy == .stored {
            guard let smallest = setting.divisible.map({ NetworkDescription.divisionBlocks(inputs: $0.shape[0]) }).min() else {
                return "--exchange split divides fully connected layers of at least \(LayerParameterDeclaration.largeCount) weights, and "
                    + "this network has none that is updated after the backward pass; hint: --exchange allreduce"
            }
            return smallest >= ranks
                ? nil
                : "--exchange split divides \(smallest) blocks of inputs of a fully connected layer, too few for \(ranks) ranks; "
                    + "hint: --exchange allreduce, or fewer ranks"
        }
        guard let window = setting.window else { return nil }
        if !SparseDense.fits(outputs: window.hidden) {
            return "--exchange split needs a hidden layer of whole strips of 16 units, not \(window.hidden); "
                + "hint: --hidden \((window.hidden + 15) / 16 * 16), or --exchange allreduce"
        }
        let blocks = window.windowBlocks.count
        if ranks > blocks {
            return "--exchange split divides \(blocks) blocks of windows, too few for \(ranks) ranks; "
                + "hint: --exchange allreduce, or fewer ranks"
        }
        return nil
    }
}
