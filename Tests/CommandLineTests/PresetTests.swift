import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// The presets that train on crops of hands, end to end: at their full size, but where it is said.
    @Suite struct PresetTests {
        private let folder = try! TestFolder()
        static let presets = ["deepprior", "ren", "dense", "dtrain-hand"]
        /// Crops of a size that trains in a moment.
        private static let small = ["--image-size", "64x48", "--crop-size", "64"]

        @discardableResult
        private func train(
            _ preset: String, into run: String, ranks: Int? = nil, environment: [String: String?] = [:], _ more: [String] = []
        ) throws -> Subprocess.Outcome {
            let outcome = try Dtrain.run(
                [
                    "--preset", preset, "--steps", "5", "--batch-size", "6", "--synthetic-frames", "60",
                    "--synthetic-test-frames", "12", "--log-every", "1", "--run-dir", folder(run),
                ] + more, ranks: ranks, environment: environment, timeout: 300)
            try #require(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
            return outcome
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
            try train(preset, into: "one")
            try train(preset, into: "three", ranks: 3, ["--exchange", exchange])
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

        /// Those of x86-64-v3 and x86-64-v4 may cut sums in other ways: see InstructionSet. At a small size.
        @Test(
            .enabled(if: Dtrain.hasAVX512, "this processor has no AVX-512, so it runs the kernels of x86-64-v3 alone"),
            arguments: ["dense", "dtrain-hand"])
        func bothSetsOfKernelsHaveTheSameLosses(preset: String) throws {
            let settings = Self.small + ["--steps", "3"]
            var losses: [[Double]] = []
            for (set, name) in [("v3", "x86-64-v3"), (nil, "x86-64-v4")] as [(String?, String)] {
                let outcome = try train(preset, into: name, environment: ["DTRAIN_KERNELS": set], settings)
                #expect(outcome.stdout.contains("\(name) kernels"), "\(outcome)")
                losses.append(try Metrics(run: folder(name)).losses)
            }
            #expect(losses[0].count == 3 && Set(losses[0]).count == 3)
            expectAgreement(losses[1], losses[0], tolerance: 1e-4, "\(preset)")
        }

        /// A run that ended at step 3, as a run killed there leaves it, goes on to the same bits.
        @Test(arguments: presets, [1, 2])
        func resumesExactly(preset: String, ranks: Int) throws {
            guard ranks == 1 || Dtrain.canRunRanks else { return }
            try expectExactResume(preset, ranks: ranks, [])
        }

        /// With what a step keeps besides the weights and the optimiser's state: the place among the micro-batches, and averages. At a
        /// small size; an epoch ends within step 4.
        @Test(arguments: ["deepprior", "dtrain-hand"], [1, 2])
        func resumesExactlyWithClippingAccumulationAndAverages(preset: String, ranks: Int) throws {
            guard ranks == 1 || Dtrain.canRunRanks else { return }
            let settings = Self.small + ["--accumulate", "2", "--ema", "0.9", "--synthetic-frames", "40"]
            let names = try expectExactResume(preset, ranks: ranks, settings + ["--clip", "norm:0.001"])
            #expect(names.contains("step-00000003/average.safetensors"))
            // The limit lies below the norms: without it the run takes another course.
            guard ranks == 1 else { return }
            try train(preset, into: "free", settings)
            #expect(try Metrics(run: folder("free")).losses.last != Metrics(run: folder("whole")).losses.last)
        }

        /// - Returns: what lies in the folder of the checkpoints.
        @discardableResult
        private func expectExactResume(_ preset: String, ranks: Int, _ more: [String]) throws -> [String] {
            let settings = more + ["--checkpoint-every", "3"]
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
            return names
        }
    }
}
