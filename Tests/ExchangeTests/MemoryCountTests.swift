import Collectives
import Exchange
import Layers
import Memory
import Networks
import Optimizers
import System
import Testing
import TestSupport

/// The memory that a rank asks for beforehand is what network, optimiser and exchange take, to the byte: an arena's pages are
/// rounded up, so that too little would go unseen where it is a little.
struct MemoryCountTests {
    private static func expectExact(
        _ setting: ExchangePlan.Setting, _ kind: ExchangeKind, ranks: Int, threads: Int, _ comment: String
    ) throws {
        _ = try Simulated.run(ranks: ranks) { communicator in
            let rank = communicator.rank
            let plan = ExchangePlan(kind, setting, rank: rank, ranks: ranks, threads: threads)
            let team = try WorkerTeam(count: threads, spins: 0)
            let averages = AveragedWeights.bytes(holding: HeldRanges(all: plan.table))
            let counted =
                Network.bytes(setting.network, plan.network, threads: threads, rank: rank) + plan.arenaBytes + averages
            let arena = try Arena(capacity: counted)
            let network = Network(setting.network, plan.network, team: team, communicator: communicator, arena: arena)
            let optimizer = setting.optimizer.make(
                weights: network.parameters, table: network.table, holding: plan.held, arena: arena)
            let average = AveragedWeights(
                AveragedWeights.Configuration(decay: 0.9), weights: network.parameters, table: network.table, arena: arena)
            let exchange = try plan.make(
                optimizer: optimizer, network: network, communicator: communicator, team: team, arena: arena)
            #expect(arena.used == counted, "\(comment), \(kind), rank \(rank) of \(ranks), \(threads) threads")
            withExtendedLifetime((average, exchange)) {}
        }
    }

    @Test(arguments: Architecture.allCases, [ExchangeKind.allreduce, .sharded, .split])
    func storedGradients(architecture: Architecture, kind: ExchangeKind) throws {
        for (ranks, threads, accumulate) in [(1, 1, 1), (1, 3, 2), (2, 1, 1), (3, 2, 2)] {
            for optimizer in [OptimizerKind.adam, .sgd] {
                let setting = ExchangePlan.Setting(
                    network: architecture.description(), window: nil, policy: .stored,
                    optimizer: OptimizerConfiguration(kind: optimizer), wire: .fp32, accumulate: accumulate, shard: 2)
                guard kind.problem(setting, ranks: ranks) == nil else { continue }
                try Self.expectExact(setting, kind, ranks: ranks, threads: threads, "\(architecture), \(optimizer)")
            }
        }
    }

    /// Room for what any rank sends or receives at once, both ways, where ranks pack by node; nothing elsewhere.
    @Test func packing() {
        let window = WindowNetwork(height: 24, width: 40, pool: 2, hidden: 48)
        // 240 windows of 8 channels for three samples each; a rank of two holds half of the rows, for six.
        let own = 240 * 8 * 3 * 4
        let fused = ExchangePlan.Setting(window: window, wire: .fp32, shard: 3)
        let plan = ExchangePlan(.split, fused, rank: 0, ranks: 4, threads: 1, packsByNode: true)
        // Blocks divide unevenly.
        #expect(own...own * 5 / 4 ~= plan.packingRoom, "\(plan.packingRoom)")
        #expect(plan.ownBytes == AlltoallPacking.bytes(room: plan.packingRoom, ranks: 4))
        #expect(plan.ownBytes >= 2 * plan.packingRoom)
        #expect((1..<4).allSatisfy { ExchangePlan(.split, fused, rank: $0, ranks: 4, threads: 1, packsByNode: true).packingRoom == plan.packingRoom })
        #expect(ExchangePlan(.split, fused, rank: 0, ranks: 4, threads: 1).ownBytes == 0)
        let network = Architecture.deepPrior.description()
        let stored = ExchangePlan.Setting(
            network: network, window: nil, policy: .stored, optimizer: OptimizerConfiguration(), wire: .fp32, shard: 3)
        let widest = network.divisible.map { $0.shape[0] }.max()! * 3 * 4
        let room = ExchangePlan(.split, stored, rank: 1, ranks: 4, threads: 1, packsByNode: true).packingRoom
        #expect(widest...widest * 5 / 4 ~= room, "\(room), \(widest)")
        #expect(ExchangePlan(.allreduce, stored, rank: 1, ranks: 4, threads: 1, packsByNode: true).packingRoom == 0)
    }

    @Test(arguments: [2, 4], [ExchangeKind.allreduce, .sharded, .split])
    func updatesByTiles(pool: Int, kind: ExchangeKind) throws {
        // Small tensors end within a cache line; FC1's rows divide unevenly.
        let window = WindowNetwork(height: 24, width: 40, pool: pool, hidden: 48)
        for policy in UpdatePolicy.allCases {
            for (ranks, threads) in [(1, 1), (1, 2), (2, 1), (3, 2), (5, 1)] {
                let setting = ExchangePlan.Setting(
                    network: window.description, window: window, policy: policy, optimizer: OptimizerConfiguration(),
                    wire: .fp32, shard: 3)
                guard kind.problem(setting, ranks: ranks) == nil else { continue }
                try Self.expectExact(setting, kind, ranks: ranks, threads: threads, "\(policy)")
            }
        }
    }
}
