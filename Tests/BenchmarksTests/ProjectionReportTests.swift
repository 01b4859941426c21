import Benchmarks
import Networks
import Optimizers
import Planning
import Telemetry
import Testing

@Suite("Reports of projections")
struct ProjectionReportTests {
    @Test("clusters of more ranks than samples are left out, and the report says how to see them", arguments: [(4, 0), (32, 3), (1024, 8)])
    func leftOut(batch: Int, clusters: Int) {
        let projection = StoredProjection(
            network: .dense(), optimizer: OptimizerConfiguration(), batch: batch, threads: 2,
            rates: [1: StoredRates(sample: 8e-3, forward: 3e-3, update: 1e-9)], latency: 30e-6)
        let report = ProjectionReport.make(projection, preset: "dense", operations: 1e9, facts: [])
        // At each of four rates of the links.
        #expect(report.notes.count { $0.contains(" Gbit/s: ") } == 4 * clusters)
        let hint =
            "more ranks than the \(batch) samples of the global batch are left out: each needs one; "
            + "hint: --batch-size 1024 for up to 1024 ranks"
        #expect(report.notes.contains(hint) == (batch < 1024))
        #expect(batch == 1024 || report.notes.last == hint)
    }

    @Test("the sums of batch statistics of a step are counted: two a normalisation")
    func statistics() throws {
        let network = NetworkDescription.dense(size: 32)
        let report = try StoredProjectionBenchmark(
            network: network, preset: "dense", optimizer: OptimizerConfiguration(), batch: 8, threads: 1, latency: 30e-6
        ).run()
        let sums = 2 * network.batchStatistics.count
        #expect(sums > 100)
        #expect(report.notes.first == "sums of batch statistics a step: \(sums)")
        #expect(report.facts.contains { $0.0 == "statistics_sums" && $0.1 == .integer(sums) })
    }
}
