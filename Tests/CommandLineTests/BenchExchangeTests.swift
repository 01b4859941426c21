import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    @Suite struct BenchExchangeTests {
        private struct Report: Decodable {
            struct Part: Decodable {
                let seconds: Double
                let rate: Double
                let unit: String
            }
            let ranks: Int
            let nodes: Int
            let parts: [String: Part]
        }

        /// Two ranks of one node, and each on a node of its own.
        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks), arguments: [1, 2])
        func rankZeroReports(nodes: Int) throws {
            let outcome = try Dtrain.run(
                ["bench", "exchange", "--largest", "1", "--repeats", "1", "--json"],
                ranks: 2,
                environment: ["DTRAIN_RANKS_PER_NODE": "\(2 / nodes)"])
            #expect(outcome.status == 0 && outcome.stderr == "")
            #expect(outcome.lines.count == 1)
            let report = try JSONDecoder().decode(Report.self, from: Data(outcome.stdout.utf8))
            #expect(report.ranks == 2 && report.nodes == nodes)
            let wanted = [
                "MPI_Allreduce, one call", "sum", "sum bf16", "reduce-scatter", "allgather", "reduce-scatter bf16",
                "allgather bf16", "alltoall",
            ]
            for size in ["1 KiB", "32 KiB", "1 MiB"] {
                for name in wanted { #expect(report.parts["\(size) \(name)"] != nil, "\(size) \(name)") }
                #expect((report.parts["\(size) sum in a shared buffer"] != nil) == (nodes == 1))
            }
            for (name, part) in report.parts {
                #expect(part.unit == "GB/s")
                // A kibibyte, or 32, or a mebibyte, over the time.
                let bytes = part.rate * 1e9 * part.seconds
                #expect([1024, 32 << 10, 1 << 20].contains(Int(bytes.rounded())), "\(name)")
            }
        }

        @Test func oneRankAlone() throws {
            let outcome = try Dtrain.run(["bench", "exchange", "--largest", "1", "--repeats", "1"])
            #expect(outcome.status == 0)
            #expect(outcome.stdout.contains("exchange: 1 rank on 1 node"))
            #expect(!outcome.stdout.contains("MPI_Allreduce"))
        }

        @Test(arguments: [["--largest", "0"], ["--repeats", "0"]]) func numbersOfNoMeaning(_ flags: [String]) throws {
            let outcome = try Dtrain.run(["bench", "exchange"] + flags)
            #expect(outcome.status == 64)
            #expect(outcome.stderr.contains("\(flags[0]) is 0; hint: "))
        }
    }
}
