import ArgumentParser
import Benchmarks
import Networks
import Training

struct BenchProjection: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "projection",
        abstract: "What the cost model says of clusters: 8 to 1024 ranks, each as fast as one here, at 1 to 100 Gbit/s.",
        discussion: """
            Measures this machine's rates, one rank on it, and predicts a step of each exchange, sums of batch statistics \
            included. More ranks than samples of the batch are left out.

            EXAMPLES
              dtrain bench projection --batch-size 1024 --json
              dtrain bench projection --preset dense --batch-size 1024
            """)

    @OptionGroup var network: BenchNetworkOptions
    @OptionGroup var options: BenchOptions

    @Option(help: "Microseconds of the shortest message between nodes.")
    var latency = 30.0

    @Option(help: "Ranks of a node, each with processors of its own, as many as one has here.")
    var ranksPerNode = 1

    func validate() throws {
        guard 1...1024 ~= ranksPerNode else {
            throw ValidationError("--ranks-per-node is \(ranksPerNode); hint: a number from 1 to 1024")
        }
        guard ranksPerNode == 1 || network.preset.architecture == nil else {
            throw ValidationError("--ranks-per-node is of the question's networks; hint: one rank a node with --preset \(network.preset.rawValue)")
        }
        guard latency >= 0 && latency <= 1e6 else {
            throw ValidationError("--latency is \(latency); hint: microseconds, 2 for fast fabrics, 30 for TCP")
        }
    }

    func run() throws {
        try measured {
            if let architecture = network.preset.architecture {
                return options.show(
                    try StoredProjectionBenchmark(
                        network: architecture.description(), preset: network.preset.rawValue,
                        optimizer: RunConfiguration(preset: network.preset).optimizer, batch: network.samples,
                        threads: options.resolvedThreads, latency: latency * 1e-6
                    ).run())
            }
            options.show(
                try ProjectionBenchmark(
                    network: try network.window(), preset: network.preset.rawValue, batch: network.samples,
                    threads: options.resolvedThreads, latency: latency * 1e-6, ranksPerNode: ranksPerNode
                ).run())
        }
    }
}
