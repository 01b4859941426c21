package import Collectives
package import Networks
package import Optimizers
package import Tensors

/// How one rank takes part in an exchange: what it holds, how much memory that takes, and the exchange itself.
package struct ExchangePlan: Sendable {
    /// One of those that are carried out; `auto` has been decided before.
    package let kind: ExchangeKind
    package let rank: Int
    package let ranks: Int
    package let threads: Int
    /// How gradients travel.
    package let wire: WireFormat
    /// Samples a rank can have.
    package let shard: Int
    private let network: NetworkConfiguration
    private let layout: SplitLayout?
    /// The parameters that this rank holds.
    package let table: ParameterTable
    /// The rows of the large layer that this rank holds, in the order in which they lie in its arena; nil: all.
    package let largeRows: [Range<Int>]?

    /// - Parameters:
    ///   - kind: not `auto`, and possible (`problem`); of no effect on a single rank, which has nobody to agree with.
    ///   - wire: how gradients travel.
    ///   - shard: samples a rank can have, the same on all ranks.
    package init(
        _ kind: ExchangeKind, wire: WireFormat, network: NetworkConfiguration, shard: Int, rank: Int, ranks: Int,
        threads: Int
    ) {
        precondition(kind != .auto && kind.problem(network: network, ranks: ranks) == nil)
        self.kind = kind
        self.wire = wire
        self.network = network
        self.shard = shard
        self.rank = rank
        self.ranks = ranks
        self.threads = threads
        layout = ranks > 1 && kind == .split ? SplitLayout(blocks: network.windowBlocks, ranks: ranks) : nil
        largeRows = layout?.rows(heldBy: rank)
        table = network.table(largeRows: largeRows?.reduce(0) { $0 + $1.count })
    }

    private var isSharded: Bool { ranks > 1 && kind == .sharded }

    /// How many rows of the large layer this rank holds, if not all.
    package var largeRowCount: Int? { largeRows?.reduce(0) { $0 + $1.count } }

    /// What this rank holds moments of.
    package var held: HeldRanges {
        isSharded ? ShardedExchange.held(table: table, rank: rank, of: ranks) : HeldRanges(all: table)
    }

    /// Who holds what.
    package var ownership: Ownership {
        if let layout { return layout.ownership(network) }
        return isSharded ? ShardedExchange.ownership(table: table, ranks: ranks) : Ownership(replicated: table)
    }
    /// Bytes of arena that the moments and the exchange need.
    package var arenaBytes: Int {
        let exchange =
            if ranks == 1 {
                SoloExchange.bytes(table: table, threads: threads)
            } else if let layout {
                SplitExchange.bytes(
                    layout: layout, rank: rank, outputs: network.hidden, maximumSamples: shard, threads: threads)
            } else {
                0
            }
        return Adam.bytes(holding: held) + exchange
    }

    /// Bytes that the exchange allocates besides.
    package var ownBytes: Int {
        if ranks == 1 || layout != nil { return 0 }
        return isSharded
            ? ShardedExchange.bytes(table: table, threads: threads, ranks: ranks, wire: wire)
            : AllreduceExchange.bytes(table: table, threads: threads)
    }

    /// The exchange of this rank; all ranks make theirs together.
    /// - Parameters:
    ///   - adam: holds `held`.
    ///   - network: holds `largeRows`; is given its large layer if that is divided.
    ///   - arena: gives room.
    /// - Throws: `CollectiveError`, `ArenaError`.
    package func make(
        adam: Adam, network: HandNetwork, communicator: any Communicator, team: WorkerTeam, arena: Arena
    ) throws -> any GradientExchange {
        if ranks == 1 { return SoloExchange(adam: adam, table: table, threads: team.count, arena: arena) }
        if let layout {
            let exchange = SplitExchange(
                adam: adam, communicator: communicator, team: team, layout: layout,
                outputs: network.configuration.hidden, maximumSamples: shard, arena: arena)
            network.windowLayer = exchange
            return exchange
        }
        if isSharded {
            return try ShardedExchange(
                adam: adam, weights: network.parameters, communicator: communicator, team: team, table: table, wire: wire)
        }
        return try AllreduceExchange(adam: adam, communicator: communicator, team: team, table: table, wire: wire)
    }
}
