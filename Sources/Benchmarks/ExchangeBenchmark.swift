package import Collectives
import Exchange
import Memory
import Planning
import System
import Telemetry

/// Times the collectives by size, beside the library's own `MPI_Allreduce`, all in one run: each round does every one of
/// them once, so that all meet the same weather.
package struct ExchangeBenchmark {
    package let communicator: any Communicator
    package let repeats: Int
    /// Bytes of the largest values.
    package let largest: Int

    package init(communicator: any Communicator, repeats: Int, largest: Int) {
        self.communicator = communicator
        self.repeats = repeats
        self.largest = largest
    }

    /// The gradient of the question's large layer.
    package static let gradientBytes = 153_600 * 1024 * 4

    /// What is timed, one line of the table for each size.
    private struct Candidate {
        let name: String
        let run: (_ count: Int) throws -> Void
    }

    /// All ranks call it. Rank 0's report is the one to show; times are the slowest rank's.
    /// - Throws: `CollectiveError`, `ArenaError`.
    package func run() throws -> BenchmarkReport {
        let rates = try LinkProbe(communicator: communicator).measure()
        let count = largest / 4
        let arena = try Arena(capacity: 2 * Arena.bytes(Float.self, count: count))
        let values = arena.carve(Float.self, count: count)
        let others = arena.carve(Float.self, count: count)
        // Zeros stay zeros however often they are summed; and every page is there before the first measurement.
        for buffer in [values, others] { buffer.initialize(repeating: 0) }
        let shared = try communicator.sharedBuffer(count: count)

        var rows: [BenchmarkRow] = []
        for bytes in sizes {
            rows += try self.rows(bytes, candidates(values, others, shared))
        }
        return report(rows, rates)
    }

    /// 1 KB, 32 KB, 1 MB, 32 MB and the largest.
    private var sizes: [Int] { [1 << 10, 32 << 10, 1 << 20, 32 << 20].filter { $0 < largest } + [largest] }

    private func candidates(
        _ values: UnsafeMutableBufferPointer<Float>, _ others: UnsafeMutableBufferPointer<Float>,
        _ shared: UnsafeMutableBufferPointer<Float>?
    ) -> [Candidate] {
        let communicator = communicator
        func first(_ buffer: UnsafeMutableBufferPointer<Float>, _ count: Int) -> UnsafeMutableBufferPointer<Float> {
            UnsafeMutableBufferPointer(rebasing: buffer[..<count])
        }
        func counts(_ count: Int) -> [Int] {
            (0..<communicator.size).map { part($0, of: communicator.size, total: count).count }
        }
        var all: [Candidate] = []
        if let library = communicator as? MPICommunicator {
            all.append(Candidate(name: "MPI_Allreduce, one call") { try library.librarySum(first(values, $0)) })
        }
        all.append(Candidate(name: "sum") { try communicator.sum(first(values, $0)) })
        if let shared {
            all.append(Candidate(name: "sum in a shared buffer") { try communicator.sum(first(shared, $0)) })
        }
        all.append(Candidate(name: "sum bf16") { try communicator.sum(first(values, $0), wire: .bf16) })
        for wire in WireFormat.allCases {
            let suffix = wire == .fp32 ? "" : " bf16"
            all.append(
                Candidate(name: "reduce-scatter\(suffix)") { count in
                    let counts = counts(count)
                    try communicator.reduceScatterSum(
                        UnsafeBufferPointer(first(values, count)), counts: counts,
                        into: first(others, counts[communicator.rank]), wire: wire)
                })
            all.append(
                Candidate(name: "allgather\(suffix)") { count in
                    let counts = counts(count)
                    try communicator.allgather(
                        UnsafeBufferPointer(first(others, counts[communicator.rank])), counts: counts,
                        into: first(values, count), wire: wire)
                })
        }
        all.append(
            Candidate(name: "alltoall") { count in
                let sendCounts = counts(count)
                let receiveCounts = [Int](repeating: sendCounts[communicator.rank], count: communicator.size)
                try communicator.alltoall(
                    UnsafeBufferPointer(first(values, count)), sendCounts: sendCounts,
                    into: first(others, receiveCounts.reduce(0, +)), receiveCounts: receiveCounts)
            })
        return all
    }

    private func rows(_ bytes: Int, _ candidates: [Candidate]) throws -> [BenchmarkRow] {
        let count = bytes / 4
        // A call of a few microseconds is timed many at a time.
        let calls = max(1, min(50, (1 << 20) / bytes))
        var measurements = [Measurement](repeating: Measurement(), count: candidates.count)
        for round in 0...repeats {
            for (index, candidate) in candidates.enumerated() {
                try communicator.barrier()
                var measurement = Measurement()
                try measurement.run { for _ in 0..<calls { try candidate.run(count) } }
                let seconds = try communicator.maximum(measurement.median / Double(calls))
                if round > 0 { measurements[index].add(seconds) }  // the first is the warm-up
            }
        }
        return zip(candidates, measurements).map { candidate, measurement in
            BenchmarkRow(
                name: "\(Self.label(bytes)) \(candidate.name)", seconds: measurement.median, work: Double(count * 4),
                unit: .gigabytes)
        }
    }

    private static func label(_ bytes: Int) -> String {
        switch bytes {
        case ..<(1 << 20): "\(bytes >> 10) KiB"
        case gradientBytes: "629 MB"
        default: "\(bytes >> 20) MiB"
        }
    }

    private func report(_ rows: [BenchmarkRow], _ rates: LinkRates) -> BenchmarkReport {
        let place = communicator.place
        var facts: [(String, MetricValue)] = [
            ("benchmark", .text("exchange")), ("processor", .text(Processors.modelName)),
            ("processors", .integer(Processors.allowed().count)), ("ranks", .integer(communicator.size)),
            ("nodes", .integer(place.nodes)), ("ranks_on_node_0", .integer(place.localSize)),
            ("repeats", .integer(repeats)),
        ]
        var notes: [String] = []
        for (name, latency, bandwidth) in [
            ("within_node", rates.latencyWithin, rates.bandwidthWithin),
            ("between_nodes", rates.latencyBetween, rates.bandwidthBetween),
        ] where bandwidth.isFinite {
            facts.append(("\(name)_latency_s", .number(latency)))
            facts.append(("\(name)_bytes_per_s", .number(bandwidth)))
        }
        if rates.bandwidthWithin.isFinite {
            notes.append(
                format("messages within a node: %.1f us", rates.latencyWithin * 1e6)
                    + format(", %.2f GB/s a rank and direction", rates.bandwidthWithin * 1e-9))
        }
        if rates.bandwidthBetween.isFinite {
            notes.append(
                format("messages between nodes: %.1f us", rates.latencyBetween * 1e6)
                    + format(", %.3f GB/s a node and direction", rates.bandwidthBetween * 1e-9))
        }
        if let plain = rows.last(where: { $0.name.hasSuffix("MPI_Allreduce, one call") }) {
            for row in rows where row.name.hasPrefix(Self.label(largest)) && row.name.contains(" sum") {
                notes.append("\(row.name): " + format("%.2f times the rate of MPI_Allreduce in one call", plain.seconds / row.seconds))
            }
        }
        if let notice = communicator.notice { notes.append(notice) }
        return BenchmarkReport(
            title: "exchange: \(communicator.size) rank\(communicator.size == 1 ? "" : "s") on \(place.nodes) node\(place.nodes == 1 ? "" : "s"), "
                + "\(Processors.allowed().count) processors allowed; \(Processors.modelName); bytes of the values over the slowest "
                + "rank's time",
            facts: facts, rows: rows, notes: notes)
    }
}
