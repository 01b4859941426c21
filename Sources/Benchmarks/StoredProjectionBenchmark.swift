import Exchange
import Memory
package import Networks
package import Optimizers
import Planning
import System
import Telemetry

/// `ProjectionBenchmark` of any network whose gradients are stored.
package struct StoredProjectionBenchmark {
    package var network: NetworkDescription
    package var preset: String
    package var optimizer: OptimizerConfiguration
    /// Global.
    package var batch: Int
    package var threads: Int
    /// Seconds of the shortest message between nodes.
    package var latency: Double

    package init(
        network: NetworkDescription, preset: String, optimizer: OptimizerConfiguration, batch: Int, threads: Int, latency: Double
    ) {
        self.network = network
        self.preset = preset
        self.optimizer = optimizer
        self.batch = batch
        self.threads = threads
        self.latency = latency
    }

    /// Samples of a rank at which rates are measured; the last: as of any more.
    private var shards: [Int] { [1, 2, 4, 8, StoredProbe.most(network) + 1] }

    /// - Throws: `ArenaError`, `ThreadError`.
    package func run() throws -> BenchmarkReport {
        let sums = 2 * network.batchStatistics.count
        return ProjectionReport.make(
            try projection(), preset: preset, operations: network.operations(samples: batch),
            facts: [("statistics_sums", .integer(sums))],
            note: sums > 0 ? "sums of batch statistics a step: \(sums)" : nil)
    }

    /// The rates of this machine in the cost model.
    func projection() throws -> StoredProjection {
        let team = try WorkerTeam(count: threads)
        var rates: [Int: StoredRates] = [:]
        for shard in shards where shard <= batch {
            rates[shard] = try StoredProbe.measure(network, optimizer: optimizer, shard: shard, team: team) {}
        }
        return StoredProjection(
            network: network, optimizer: optimizer, batch: batch, threads: threads, rates: rates, latency: latency)
    }
}
