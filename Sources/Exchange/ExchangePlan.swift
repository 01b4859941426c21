package import Collectives
package import Layers
package import Memory
package import Networks
package import Optimizers
package import System

/// How one rank takes part in an exchange: what it holds, how much memory that takes, and the exchange itself.
package struct ExchangePlan: Sendable {
    /// What an exchange is planned for.
    package struct Setting: Sendable {
        package var network: NetworkDescription
        /// The network as one of the question's kind, if it is; nil: any other.
        package var window: WindowNetwork?
        package var policy: UpdatePolicy
        package var optimizer: OptimizerConfiguration
        /// How gradients travel.
        package var wire: WireFormat
        /// Micro-batches of a step.
        package var accumulate: Int
        /// Samples of a rank's largest pass.
        package var shard: Int
        /// Under `split`, of a network whose gradients are stored: the weights that are divided; nil: all that can be.
        package var divided: Set<String>?

        /// The weights that `split` divides.
        package var divisible: [LayerParameterDeclaration] {
            network.divisible.filter { divided?.contains($0.name) ?? true }
        }

        package init(
            network: NetworkDescription, window: WindowNetwork?, policy: UpdatePolicy, optimizer: OptimizerConfiguration,
            wire: WireFormat, accumulate: Int = 1, shard: Int
        ) {
            self.network = network
            self.window = window
            self.policy = policy
            self.optimizer = optimizer
            self.wire = wire
            self.accumulate = accumulate
            self.shard = shard
        }

        /// Of a network of the question's kind, with Adam on each tile.
        package init(window: WindowNetwork, wire: WireFormat, shard: Int) {
            self.init(
                network: window.description, window: window, policy: .fused, optimizer: OptimizerConfiguration(), wire: wire,
                shard: shard)
        }
    }

    package let kind: ExchangeKind
    package let rank: Int
    package let ranks: Int
    package let threads: Int
    /// Threads of the rank that has most.
    private let mostThreads: Int
    /// Whether ranks pack activations by node.
    private let packsByNode: Bool
    package let setting: Setting
    private let layout: SplitLayout?
    private let stored: StoredPlan?
    /// Which parameters lie divided among the ranks.
    package let division: Division
    /// The parameters that this rank holds.
    package let table: ParameterTable

    /// - Parameters:
    ///   - kind: possible (`problem`); of no effect on a single rank, which has nobody to agree with.
    ///   - mostThreads: threads of the rank that has most; nil: all have the same.
    ///   - packsByNode: the communicator's.
    package init(
        _ kind: ExchangeKind, _ setting: Setting, rank: Int, ranks: Int, threads: Int, mostThreads: Int? = nil,
        packsByNode: Bool = false
    ) {
        precondition(kind.problem(setting, ranks: ranks) == nil)
        self.kind = kind
        self.setting = setting
        self.rank = rank
        self.ranks = ranks
        self.threads = threads
        self.mostThreads = mostThreads ?? threads
        self.packsByNode = packsByNode
        let isSplit = ranks > 1 && kind == .split
        let isStored = setting.policy == .stored
        layout = isSplit && !isStored ? SplitLayout(blocks: setting.window!.windowBlocks, ranks: ranks) : nil
        division = layout?.division ?? (isSplit ? setting.network.division(ranks: ranks, of: setting.divisible) : .none)
        let isSharded = ranks > 1 && kind == .sharded
        table = setting.network.table(division: division, rank: rank, sharded: isStored && isSharded)
        stored =
            isStored
            ? StoredPlan(
                table: table, sharded: isSharded, division: division, accumulates: setting.accumulate > 1, rank: rank,
                ranks: ranks)
            : nil
    }

    private var isSharded: Bool { ranks > 1 && kind == .sharded }

    /// What the network is to be made with.
    package var network: Network.Setting {
        var network = Network.Setting(maximumSamples: setting.shard)
        network.division = division
        network.storesGradients = stored != nil
        network.isSharded = stored != nil && isSharded
        return network
    }

    /// What this rank holds the optimiser's state of.
    package var held: HeldRanges {
        if let stored { return stored.held }
        return isSharded ? ShardedExchange.held(table: table, rank: rank, of: ranks) : HeldRanges(all: table)
    }

    /// Who holds what.
    package var ownership: Ownership {
        if let layout, let window = setting.window { return layout.ownership(window) }
        if let stored {
            if !division.rows.isEmpty { return Ownership(setting.network, division: division, ranks: ranks) }
            return isSharded ? Ownership(table: table, held: stored.heldByRanks) : Ownership(replicated: table)
        }
        return isSharded ? ShardedExchange.ownership(table: table, ranks: ranks) : Ownership(replicated: table)
    }

    /// Bytes of arena that the optimiser's state and the exchange need.
    package var arenaBytes: Int {
        let exchange =
            if let stored {
                stored.bytes
            } else if ranks == 1 {
                SoloExchange.bytes(table: table, threads: threads)
            } else if let layout, let window = setting.window {
                SplitExchange.bytes(
                    layout: layout, rank: rank, outputs: window.hidden, maximumSamples: setting.shard, threads: threads)
            } else {
                0
            }
        return setting.optimizer.bytes(holding: held) + exchange
    }

    /// Bytes that the exchange allocates besides.
    package var ownBytes: Int {
        if kind == .split { return AlltoallPacking.bytes(room: packingRoom, ranks: ranks) }
        if stored != nil || ranks == 1 { return 0 }
        return isSharded
            ? ShardedExchange.bytes(table: table, threads: mostThreads, ranks: ranks, wire: setting.wire)
            : AllreduceExchange.bytes(table: table, threads: mostThreads)
    }

    /// Bytes that a rank sends to other nodes, or receives from them, at once at the most: activations, which are packed. 0 where
    /// nothing is.
    package var packingRoom: Int {
        guard packsByNode, ranks > 1, kind == .split else { return 0 }
        if let layout, let window = setting.window {
            return SplitExchange.packingRoom(layout: layout, outputs: window.hidden, maximumSamples: setting.shard)
        }
        // x of the own samples to those that hold its columns, and there of all samples; of one layer after the other, or of one in each
        // branch.
        let widths = setting.divisible.map { declared in
            let held = division.rows[declared.name]!.map { $0.reduce(0) { $0 + $1.count } }.max() ?? 0
            return max(declared.shape[0], ranks * held)
        }
        let layers = setting.divisible.contains(where: \.isAbreast) ? Branches.mostAbreast : 1
        return layers * (widths.max() ?? 0) * setting.shard * MemoryLayout<Float>.stride
    }

    /// The exchange of this rank; all ranks make theirs together.
    /// - Parameters:
    ///   - optimizer: holds `held`.
    ///   - network: made with `network`; is given its large layer if that is divided.
    ///   - arena: gives room.
    /// - Throws: `CollectiveError`, `ArenaError`.
    package func make(
        optimizer: any Optimizer, network: Network, communicator: any Communicator, team: WorkerTeam, arena: Arena
    ) throws -> any GradientExchange {
        if packingRoom > 0 { try communicator.reservePacking(room: packingRoom) }
        if let stored {
            return try StoredExchange(
                stored, gradients: network.gradients.baseAddress!, optimizer: optimizer, weights: network.parameters,
                communicator: communicator, team: team, wire: setting.wire, arena: arena)
        }
        guard let adam = optimizer as? Adam else { preconditionFailure("only Adam updates tile by tile") }
        if ranks == 1 { return SoloExchange(adam: adam, table: table, threads: team.count, arena: arena) }
        if let layout, let window = setting.window {
            let exchange = SplitExchange(
                adam: adam, communicator: communicator, team: team, layout: layout, outputs: window.hidden,
                maximumSamples: setting.shard, arena: arena)
            network.stem?.windowLayer = exchange
            return exchange
        }
        if isSharded {
            return try ShardedExchange(
                adam: adam, weights: network.parameters, communicator: communicator, team: team, table: table,
                wire: setting.wire)
        }
        return try AllreduceExchange(adam: adam, communicator: communicator, team: team, table: table, wire: setting.wire)
    }
}

extension Ownership {
    /// Divided parameters by rows, everything else on every rank.
    init(_ network: NetworkDescription, division: Division, ranks: Int) {
        let whole = network.table
        let tables = (0..<ranks).map { network.table(division: division, rank: $0) }
        let layouts = whole.parameters.enumerated().map { index, parameter -> Layout in
            guard let rows = division.rows[parameter.name] else {
                return .replicated(place: tables[0].parameters[index].range.lowerBound)
            }
            var pieces: [Piece] = []
            for rank in 0..<ranks {
                var place = tables[rank].parameters[index].range.lowerBound
                for rows in rows[rank] where !rows.isEmpty {
                    pieces.append(Piece(rank: rank, rows: rows, place: place))
                    place += rows.count * parameter.rowLength
                }
            }
            return .divided(pieces.sorted { $0.rows.lowerBound < $1.rows.lowerBound })
        }
        self.init(table: whole, weights: layouts, states: layouts)
    }
}
