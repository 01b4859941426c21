import Collectives
import Exchange
import Layers
package import Networks
package import Optimizers

/// The same of any network whose gradients are stored.
package struct StoredProjection: ClusterProjection {
    /// Ranks of one node travel as those of several do.
    package var ranksPerNode: Int { 1 }
    package let network: NetworkDescription
    package let optimizer: OptimizerConfiguration
    /// Global.
    package let batch: Int
    /// Threads a rank; the rates are theirs.
    package let threads: Int
    /// What a rank with some number of samples computes in what time: few take longer each.
    package let rates: [Int: StoredRates]
    /// Seconds of the shortest message.
    package let latency: Double

    /// - Parameter rates: by samples of a rank; at least one.
    package init(
        network: NetworkDescription, optimizer: OptimizerConfiguration, batch: Int, threads: Int, rates: [Int: StoredRates],
        latency: Double
    ) {
        precondition(!rates.isEmpty)
        self.network = network
        self.optimizer = optimizer
        self.batch = batch
        self.threads = threads
        self.rates = rates
        self.latency = latency
    }

    package var alone: Double { model(1, 1, latency: 0).prediction(.allreduce).compute }

    package func row(ranks: Int, gigabits: Double) -> ProjectionRow {
        var setting = ExchangePlan.Setting(
            network: network, window: nil, policy: .stored, optimizer: optimizer, wire: .fp32, shard: max(1, batch / ranks))
        setting.divided = Set(network.divisible(ranks: ranks).map(\.name))
        let kinds = ExchangeKind.allCases.filter { $0.problem(setting, ranks: ranks) == nil }
        let predictions = model(ranks, gigabits, latency: latency).predictions(kinds)
        let immediate = model(ranks, gigabits, latency: 0).prediction(predictions[0].kind, dividing: predictions[0].divided)
        return ProjectionRow(
            ranks: ranks, gigabits: gigabits, predictions: predictions, latency: predictions[0].exchange - immediate.exchange)
    }

    /// The rates of the largest measured shard that is no larger than a rank's, or else of the smallest.
    private func rates(ranks: Int) -> StoredRates {
        let shard = (batch + ranks - 1) / ranks
        return rates[rates.keys.filter { $0 <= shard }.max() ?? rates.keys.min()!]!
    }

    private func model(_ ranks: Int, _ gigabits: Double, latency: Double) -> StoredCostModel {
        StoredCostModel(
            network: network, batch: batch, wireShare: 1, rates: rates(ranks: ranks),
            travel: TravelTimes(
                shape: RankShape(ranks: ranks, nodes: ranks, threads: threads),
                links: .ethernet(gigabits: gigabits, latency: latency)))
    }
}
