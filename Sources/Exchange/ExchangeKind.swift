import Kernels
import Layers
import Networks

/// The exchanges there are, by the names of the command line.
package enum ExchangeKind: String, Sendable, CaseIterable, Codable {
    /// Average every gradient over the ranks by allreduce, then the same Adam step on every rank.
    case allreduce
    /// Each rank gets the sum of its part of every gradient, updates that part, and hands the weights to the others. The large
    /// layers' moments are divided among the ranks.
    case sharded
    /// The large layer itself is divided by its inputs: activations travel, its weights and moments never do.
    case split

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
        if !WindowBatch.fits(outputs: window.hidden) {
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

/// Which exchange a run is asked for.
package enum ExchangeChoice: RawRepresentable, CaseIterable, Equatable, Sendable {
    case kind(ExchangeKind)
    /// The one that the cost model finds the fastest here.
    case auto

    private static let autoName = "auto"

    package static var allCases: [ExchangeChoice] { ExchangeKind.allCases.map(ExchangeChoice.kind) + [.auto] }

    package init?(rawValue: String) {
        if rawValue == Self.autoName {
            self = .auto
        } else if let kind = ExchangeKind(rawValue: rawValue) {
            self = .kind(kind)
        } else {
            return nil
        }
    }

    package var rawValue: String { kind?.rawValue ?? Self.autoName }

    /// The one that was named; nil: none.
    package var kind: ExchangeKind? {
        if case .kind(let kind) = self { return kind }
        return nil
    }
}
