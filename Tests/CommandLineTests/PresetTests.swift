import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// The presets that train on crops of hands, at their full size, end to end.
    @Suite struct PresetTests {
        private let folder = try! TestFolder()
        static let presets = ["deepprior", "ren", "dense", "dtrain-hand"]

        private func train(_ preset: String, into run: String, ranks: Int? = nil, _ more: [String] = []) throws {
            let outcome = try Dtrain.run(
                [
                    "--preset", preset, "--steps", "5", "--batch-size", "6", "--synthetic-frames", "60",
                    "--synthetic-test-frames", "12", "--log-every", "1", "--run-dir", folder(run),
                ] + more, ranks: ranks, timeout: 300)
            try #require(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
        }

        /// Three ranks with two samples each, with every exchange there is for the network. Losses are means over the same samples,
        /// summed in another order: see StoredExchangeTests.
        @Test(
            .enabled(if: Dtrain.canRunRanks, Dtrain.noRanks),
            arguments: [
                ("deepprior", "allreduce"), ("deepprior", "split"), ("ren", "sharded"), ("ren", "split"),
                ("dense", "allreduce"), ("dtrain-hand", "allreduce"),
            ])
        func severalRanksHaveTheLossesOfOne(preset: String, exchange: String) throws {
            // At its own rate rounding grows in the deep one: see StoredExchangeTests.
            let rate = preset == "dense" ? ["--learning-rate", "1e-6"] : []
            try train(preset, into: "one", rate)
            try train(preset, into: "three", ranks: 3, rate + ["--exchange", exchange])
            let (one, three) = (try Metrics(run: folder("one")), try Metrics(run: folder("three")))
            #expect(one.losses.count == 5 && Set(one.losses).count == 5)
            expectAgreement(three.losses, one.losses, tolerance: 1e-4, "\(preset), \(exchange)")
            for key in ["loss", "joint_error_mm"] {
                let numbers = [one, three].map { metrics in
                    metrics.lines.compactMap { (($0["validation"] as? [String: Any])?[key] as? NSNumber)?.doubleValue }
                }
                expectAgreement(numbers[1], numbers[0], tolerance: 1e-3, "\(preset), \(exchange), \(key) of the validation")
            }
        }

        /// A run that ended at step 3, as a run killed there leaves it, goes on to the same bits.
        @Test(arguments: presets, [1, 2])
        func resumesExactly(preset: String, ranks: Int) throws {
            guard ranks == 1 || Dtrain.canRunRanks else { return }
            let settings = ["--checkpoint-every", "3"]
            try train(preset, into: "whole", ranks: ranks == 1 ? nil : ranks, settings)
            try FileManager.default.copyItem(atPath: folder("whole"), toPath: folder("stopped"))
            try FileManager.default.removeItem(atPath: folder("stopped/checkpoints/step-00000005"))
            try train(preset, into: "stopped", ranks: ranks == 1 ? nil : ranks, settings + ["--resume", "auto"])
            let losses = try Metrics(run: folder("stopped")).losses
            #expect(losses == (try Metrics(run: folder("whole")).losses) && losses.count == 5)
            let names = try FileManager.default.subpathsOfDirectory(atPath: folder("whole/checkpoints")).sorted()
            #expect(names.contains("step-00000003") && names.contains("step-00000005"))
            #expect(try FileManager.default.subpathsOfDirectory(atPath: folder("stopped/checkpoints")).sorted() == names)
            for name in names {
                // Some are hundreds of megabytes.
                #expect(
                    FileManager.default.contentsEqual(
                        atPath: folder("whole/checkpoints/\(name)"), andPath: folder("stopped/checkpoints/\(name)")), "\(name)")
            }
        }
    }
}
