import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// The same training on any number of ranks.
    @Suite(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) struct RanksTests {
        private let folder = try! TestFolder()

        /// 100 divides by 1, 2 and 4; 10 by 1 and 2; 7 by 1 alone. 200 frames: epochs change within the 20 steps of 100.
        @Test(arguments: [100, 10, 7]) func lossSeriesAgree(batch: Int) throws {
            let settings = ["--steps", "20", "--batch-size", "\(batch)", "--synthetic-test-frames", "7"]
            try Dtrain.train(settings, into: folder("1"))
            let reference = try Metrics(run: folder("1"))
            #expect(reference.losses.count == 20)
            for ranks in [2, 3, 4] {
                try Dtrain.train(settings, into: folder("\(ranks)"), ranks: ranks)
                let metrics = try Metrics(run: folder("\(ranks)"))
                expectAgreement(metrics.losses, reference.losses, tolerance: 1e-4, "\(ranks) ranks")
                expectAgreement(
                    metrics.numbers("joint_error_mm"), reference.numbers("joint_error_mm"), tolerance: 1e-4, "\(ranks) ranks")
                let (validation, expected) = (try validation(metrics), try validation(reference))
                #expect(validation["frames"] == 7)
                expectAgreement(
                    ["loss", "joint_error_mm"].map { validation[$0] ?? .nan }, ["loss", "joint_error_mm"].map { expected[$0] ?? 0 },
                    tolerance: 1e-4, "\(ranks) ranks, validation")
            }
        }

        private func validation(_ metrics: Metrics) throws -> [String: Double] {
            let results = metrics.lines.compactMap { $0["validation"] as? [String: Any] }
            return try #require(results.last).compactMapValues { $0 as? Double }
        }

        @Test(arguments: [1, 3]) func theSameCommandWritesTheSameBytes(ranks: Int) throws {
            let settings = ["--steps", "20", "--checkpoint-every", "5", "--validate-every", "5", "--save-initial"]
            for run in ["first", "second"] { try Dtrain.train(settings, into: folder(run), ranks: ranks) }
            let (first, second) = (try folder.contents("first/checkpoints"), try folder.contents("second/checkpoints"))
            #expect(first.count >= 9)
            #expect(first == second)
        }

        @Test(arguments: [2, 3]) func bytesSentAreInTheMetrics(ranks: Int) throws {
            try Dtrain.train(["--steps", "2"], into: folder("run"), ranks: ranks)
            // FC1 is 32 x 24 x 8 rows of 64; the small parameters are padded to cache lines of 16 floats.
            let small = [200, 16, 64, 64 * 48, 48].reduce(0) { $0 + ($1 + 15) / 16 * 16 }
            let expected = [32 * 24 * 8 * 64, small].reduce(0) { $0 + 2 * (ranks - 1) * $1 * 4 / ranks }
            #expect(try Metrics(run: folder("run")).numbers("exchange_bytes") == [Double(expected), Double(expected)])
        }

        @Test func theStartSaysWhoRunsWhere() throws {
            let outcome = try Dtrain.train(["--steps", "1"], into: folder("run"), ranks: 3)
            #expect(outcome.stdout.contains("ranks: 3, exchange allreduce"))
            for rank in 0..<3 {
                let line = try #require(outcome.lines.first { $0.hasPrefix("  rank \(rank) on ") })
                for word in [ProcessInfo.processInfo.hostName, "thread", "OpenBLAS ", " GB needed"] { #expect(line.contains(word)) }
            }
            // Only rank 0 speaks.
            #expect(outcome.lines.count { $0.hasPrefix("run directory:") } == 1)
            #expect(outcome.lines.count { $0.hasPrefix("step 1/1") } == 1)
        }
    }
}
