package import Collectives
import Layers
package import Memory
package import Networks
package import Optimizers
package import System

/// What one rank trains with: its network, optimiser, averaged weights and exchange, in one arena. It is made once from a plan,
/// for training, for benchmarks and for probes alike.
package struct Replica {
    package let network: Network
    package let optimizer: any Optimizer
    /// Averaged weights, where there are any.
    package let average: AveragedWeights?
    package let exchange: any GradientExchange
    /// Holds the memory of all of it.
    package let arena: Arena

    /// Bytes of arena.
    package static func bytes(_ plan: ExchangePlan, hasAverage: Bool = false) -> Int {
        Network.bytes(plan.setting.network, plan.network, threads: plan.threads, rank: plan.rank) + plan.arenaBytes
            + (hasAverage ? AveragedWeights.bytes(holding: HeldRanges(all: plan.table)) : 0)
    }

    /// All ranks make theirs together. The weights are zeros.
    /// - Parameter arena: new; gives room: `bytes`.
    /// - Throws: `CollectiveError`, `ArenaError`.
    package init(
        _ plan: ExchangePlan, averaging: AveragedWeights.Configuration? = nil, communicator: any Communicator, team: WorkerTeam,
        arena: Arena
    ) throws {
        self.arena = arena
        arena.touch(team: team)
        let network = Network(plan.setting.network, plan.network, team: team, communicator: communicator, arena: arena)
        self.network = network
        optimizer = plan.setting.optimizer.make(
            weights: network.parameters, table: network.table, holding: plan.held, arena: arena)
        average = averaging.map { AveragedWeights($0, weights: network.parameters, table: network.table, arena: arena) }
        exchange = try plan.make(optimizer: optimizer, network: network, communicator: communicator, team: team, arena: arena)
    }

    /// That of a single rank.
    /// - Parameter room: bytes of arena besides, for what the caller carves.
    /// - Throws: `ArenaError`.
    package init(alone setting: ExchangePlan.Setting, team: WorkerTeam, room: Int = 0) throws {
        let plan = ExchangePlan(.allreduce, setting, rank: 0, ranks: 1, threads: team.count)
        try self.init(plan, communicator: Solo(), team: team, arena: Arena(capacity: Self.bytes(plan) + room))
    }
}
