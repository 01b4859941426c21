import Exchange
import Kernels
package import Planning
import System
package import Telemetry

/// The table of a projection.
package enum ProjectionReport {
    private static let gigabits = [1.0, 10, 25, 100]
    private static let ranks = (3...10).map { 1 << $0 }

    /// - Parameters:
    ///   - operations: floating-point operations of a step.
    ///   - more: facts of this kind of network. note: a line before the clusters.
    package static func make(
        _ projection: some ClusterProjection, preset: String, operations: Double, facts more: [(String, MetricValue)],
        note: String? = nil
    ) -> BenchmarkReport {
        var notes = note.map { [$0] } ?? []
        var clusters: [(String, MetricValue)] = []
        for gigabits in gigabits {
            for ranks in ranks where ranks <= projection.batch && ranks >= projection.ranksPerNode {
                let row = projection.row(ranks: ranks, gigabits: gigabits)
                notes.append(describe(row, alone: projection.alone))
                clusters.append(("\(ranks)x\(Int(gigabits))", json(row)))
            }
        }
        let most = ranks[ranks.count - 1]
        if projection.batch < most {
            notes.append(
                "more ranks than the \(projection.batch) samples of the global batch are left out: each needs one; "
                    + "hint: --batch-size \(most) for up to \(most) ranks")
        }
        let threads = projection.threads
        return BenchmarkReport(
            title: "projection: preset \(preset), global batch \(projection.batch), "
                + "\(projection.ranksPerNode == 1 ? "one rank" : "\(projection.ranksPerNode) ranks") of \(threads) thread"
                + "\(threads == 1 ? "" : "s") a node; \(Processors.modelName)",
            facts: [
                ("benchmark", .text("projection")), ("preset", .text(preset)), ("processor", .text(Processors.modelName)),
                ("threads", .integer(threads)), ("ranks_per_node", .integer(projection.ranksPerNode)), ("batch", .integer(projection.batch)),
                ("latency_s", .number(projection.latency)),
            ] + more + [("alone_s", .number(projection.alone)), ("clusters", .object(clusters))],
            rows: [BenchmarkRow(name: "one rank alone", seconds: projection.alone, work: operations, unit: .gflops)],
            notes: notes)
    }

    private static func describe(_ row: ProjectionRow, alone: Double) -> String {
        let best = row.predictions[0]
        let steps = row.predictions.map { "\($0.kind.rawValue) " + format("%.1f ms", $0.seconds * 1000) }
        return "\(row.ranks) ranks, \(Int(row.gigabits)) Gbit/s: " + steps.joined(separator: ", ")
            + format("; %.1f times one rank", alone / best.seconds)
            + format(", %.0f%% of it latency", row.latency / best.seconds * 100)
    }

    private static func json(_ row: ProjectionRow) -> MetricValue {
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
