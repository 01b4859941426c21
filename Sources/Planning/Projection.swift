package import Networks

/// A cluster, and its steps by strategy.
package struct ProjectionRow: Sendable {
    package let ranks: Int
    package let gigabits: Double
    /// Fastest first.
    package let predictions: [CostModel.Prediction]
    /// Seconds that the fastest spends in messages' latency.
    package let latency: Double
}

/// What a cost model says of clusters that are not at hand: ranks that are each as fast as this one.
package protocol ClusterProjection: Sendable {
    /// Global.
    var batch: Int { get }
    var threads: Int { get }
    /// Seconds of the shortest message.
    var latency: Double { get }
    /// A step on one rank alone, seconds: what the others are held against.
    var alone: Double { get }
    var ranksPerNode: Int { get }

    /// One cluster's row. A batch needs a sample for every rank.
    func row(ranks: Int, gigabits: Double) -> ProjectionRow
}

/// Of the question's network.
package struct Projection: ClusterProjection {
    package let network: WindowNetwork
    /// Global.
    package let batch: Int
    /// Threads a rank; the rates are theirs.
    package let threads: Int
    package let rates: ComputeRates
    package let activeShare: Double
    /// Seconds of the shortest message between nodes.
    package let latency: Double
    package let ranksPerNode: Int

    package init(
        network: WindowNetwork, batch: Int, threads: Int, rates: ComputeRates, activeShare: Double, latency: Double,
        ranksPerNode: Int = 1
    ) {
        self.network = network
        self.batch = batch
        self.threads = threads
        self.rates = rates
        self.activeShare = activeShare
        self.latency = latency
        self.ranksPerNode = ranksPerNode
    }

    package var alone: Double { rates.step(network, samples: Double(batch)) }

    /// The last node may have fewer ranks.
    package func row(ranks: Int, gigabits: Double) -> ProjectionRow {
        let predictions = model(ranks, gigabits, latency: latency).predictions()
        let immediate = model(ranks, gigabits, latency: 0).prediction(predictions[0].kind)
        return ProjectionRow(
            ranks: ranks, gigabits: gigabits, predictions: predictions,
            latency: predictions[0].exchange - immediate.exchange)
    }

    private func model(_ ranks: Int, _ gigabits: Double, latency: Double) -> CostModel {
        CostModel(
            network: network, batch: batch,
            shape: RankShape(ranks: ranks, nodes: (ranks + ranksPerNode - 1) / ranksPerNode, threads: threads),
            links: .ethernet(gigabits: gigabits, latency: latency),
            rates: rates, activeShare: activeShare)
    }
}
