import Exchange
import Kernels
import Memory
package import Networks
import Planning
import System
import Telemetry

/// Measures this machine's rates, and projects them to clusters of such machines by the cost model.
package struct ProjectionBenchmark {
    package var network: WindowNetwork
    package var preset: String
    /// Global.
    package var batch: Int
    package var threads: Int
    /// Seconds of the shortest message between nodes.
    package var latency: Double
    package var ranksPerNode: Int

    package init(network: WindowNetwork, preset: String, batch: Int, threads: Int, latency: Double, ranksPerNode: Int = 1) {
        self.network = network
        self.preset = preset
        self.batch = batch
        self.threads = threads
        self.latency = latency
        self.ranksPerNode = ranksPerNode
    }

    /// Samples at which the rates are measured.
    private static let (few, many) = (10, 100)

    /// - Throws: `ArenaError`, `ThreadError`.
    package func run() throws -> BenchmarkReport {
        let projection = try projection()
        return ProjectionReport.make(
            projection, preset: preset, operations: network.operations(samples: batch),
            facts: [("active_share", .number(projection.activeShare))])
    }

    /// The rates of this machine in the cost model.
    func projection() throws -> Projection {
        let team = try WorkerTeam(count: threads)
        let frames = ComputeProbe.imageCount
        let inputs = try BenchmarkBatches(network: network, batch: frames, team: team)
        let convolution = ConvolutionPool(height: network.height, width: network.width, pool: network.pool)
        let images = (0..<frames).map { inputs.batch(0).input + $0 * network.width * network.height }
        let rates = try ComputeProbe(
            network: network, shard: Self.few, batch: Self.many,
            images: images.enumerated().flatMap { ComputeProbe.strip(of: $1, number: $0, network) }, team: team
        ).measure {}
        return Projection(
            network: network, batch: batch, threads: threads, rates: rates,
            activeShare: images.reduce(0) { $0 + convolution.activeShare($1) } / Double(frames), latency: latency,
            ranksPerNode: ranksPerNode)
    }
}
