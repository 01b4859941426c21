import Exchange
import Kernels
package import Networks
import Telemetry
import Tensors

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

    private static let gigabits = [1.0, 10, 25, 100]
    private static let ranks = (3...10).map { 1 << $0 }
    /// Samples at which the rates are measured.
    private static let (few, many) = (10, 100)

    /// - Throws: `ArenaError`, `ThreadError`.
    package func run() throws -> BenchmarkReport { report(try projection()) }

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

    private func report(_ projection: Projection) -> BenchmarkReport {
        var notes: [String] = []
        var facts: [(String, MetricValue)] = [
            ("benchmark", .text("projection")), ("preset", .text(preset)), ("processor", .text(Processors.modelName)),
            ("threads", .integer(threads)), ("ranks_per_node", .integer(ranksPerNode)), ("batch", .integer(batch)),
            ("latency_s", .number(latency)),
            ("active_share", .number(projection.activeShare)), ("alone_s", .number(projection.alone)),
        ]
        var clusters: [(String, MetricValue)] = []
        for gigabits in Self.gigabits {
            for ranks in Self.ranks where ranks <= batch && ranks >= ranksPerNode {
                let row = projection.row(ranks: ranks, gigabits: gigabits)
                notes.append(describe(row, alone: projection.alone))
                clusters.append(("\(ranks)x\(Int(gigabits))", json(row)))
            }
        }
        facts.append(("clusters", .object(clusters)))
        return BenchmarkReport(
            title: "projection: preset \(preset), global batch \(batch), \(ranksPerNode == 1 ? "one rank" : "\(ranksPerNode) ranks")"
                + " of \(threads) thread\(threads == 1 ? "" : "s") a node; \(Processors.modelName)",
            facts: facts,
            rows: [
                BenchmarkRow(
                    name: "one rank alone", seconds: projection.alone, work: network.operations(samples: batch), unit: .gflops)
            ],
            notes: notes)
    }

    private func describe(_ row: Projection.Row, alone: Double) -> String {
        let best = row.predictions[0]
        let steps = row.predictions.map { "\($0.kind.rawValue) " + format("%.1f ms", $0.seconds * 1000) }
        return "\(row.ranks) ranks, \(Int(row.gigabits)) Gbit/s: " + steps.joined(separator: ", ")
            + format("; %.1f times one rank", alone / best.seconds)
            + format(", %.0f%% of it latency", row.latency / best.seconds * 100)
    }

    private func json(_ row: Projection.Row) -> MetricValue {
        .object(
            row.predictions.map { prediction in
                (
                    prediction.kind.rawValue,
                    .object([
                        ("seconds", .number(prediction.seconds)), ("compute_s", .number(prediction.compute)),
                        ("exchange_s", .number(prediction.exchange)), ("bytes", .number(prediction.bytes)),
                    ])
                )
            } + [("latency_s", .number(row.latency))])
    }
}
