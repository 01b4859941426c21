import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// Gradients that are not finite, and replicas that drift apart, by injected faults.
    @Suite struct FiniteTests {
        private let folder = try! TestFolder()
        private let settings = ["--checkpoint-every", "2", "--validate-every", "100", "--keep-checkpoints", "9"]

        private func run(_ fault: String, ranks: Int, _ arguments: [String], into run: String) throws -> Subprocess.Outcome {
            try Dtrain.run(
                Dtrain.small + settings + arguments + ["--run-dir", folder(run)], ranks: ranks == 1 ? nil : ranks,
                environment: ["DTRAIN_FAULT": fault])
        }

        private func checkpoints(_ run: String) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: folder("\(run)/checkpoints")).filter { $0 != "best" }.sorted()
        }

        @Test(arguments: [1, 2, 3]) func theRunStopsBeforeTheUpdate(ranks: Int) throws {
            guard ranks == 1 || Dtrain.canRunRanks else { return }
            let rank = ranks - 1
            let outcome = try run("nan-gradient:rank=\(rank):step=5", ranks: ranks, ["--steps", "9"], into: "run")
            #expect(outcome.status == 1)
            let lines = outcome.stderr.split(separator: "\n").filter { $0.hasPrefix("dtrain: ") }
            #expect(lines.count == 1)
            let pattern =
                #/dtrain: step 5: the gradient is not finite; nothing was updated, and no checkpoint holds it; rank (\d): synthetic frame \d+ of seed 1; hint: .*/#
            let match = try #require(try pattern.wholeMatch(in: String(lines.first ?? "")), "\(outcome.stderr)")
            #expect(match.1 == "\(rank)")
            #expect(try checkpoints("run") == ["step-00000002", "step-00000004"])
            // The run goes on from there as if nothing had been.
            try Dtrain.train(settings + ["--steps", "9", "--resume", "auto"], into: folder("run"), ranks: ranks)
            try Dtrain.train(settings + ["--steps", "9"], into: folder("whole"), ranks: ranks)
            #expect(try folder.contents("run/checkpoints") == folder.contents("whole/checkpoints"))
        }

        /// The table of a checkpoint's tensors, moments included, to as many digits as it has.
        private func table(_ run: String, step: Int) throws -> [String] {
            let outcome = try Dtrain.run(["inspect", folder("\(run)/checkpoints/step-0000000\(step)"), "--optimizer"])
            return outcome.lines.filter { $0.contains(/^(conv|fc)/) }
        }

        /// After a skipped step weights and moments are those of the step before, and a later step's Adam is corrected for as many
        /// updates as there were.
        @Test(arguments: [1, 2]) func aSkippedStepChangesNothing(ranks: Int) throws {
            guard ranks == 1 || Dtrain.canRunRanks else { return }
            let skip = ["--on-nonfinite", "skip"]
            let fault = "nan-gradient:rank=\(ranks - 1):step=4"
            let outcome = try run(fault, ranks: ranks, skip + ["--steps", "4", "--checkpoint-every", "1"], into: "run")
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.lines.count { $0.contains("warning: step 4: the gradient is not finite; no rank updates in this step; ") } == 1)
            #expect(outcome.stdout.contains("steps without an update: 1"))
            #expect(try table("run", step: 4) == table("run", step: 3))
            #expect(try table("run", step: 4) != table("run", step: 2))
            #expect(try Metrics(run: folder("run")).steps.map { $0["skipped_steps"] as? Int } == [nil, nil, nil, 1])

            // Resumed after it, also the count of Adam's steps is right.
            _ = try run(fault, ranks: ranks, skip + ["--steps", "9", "--checkpoint-every", "3"], into: "whole")
            try Dtrain.train(skip + settings + ["--steps", "9", "--checkpoint-every", "3", "--resume", "auto"], into: folder("run"), ranks: ranks)
            let end = "checkpoints/step-00000009"
            #expect(try folder.contents("run/\(end)") == folder.contents("whole/\(end)"))
            let state = String(decoding: try #require(try folder.contents("run/\(end)")["state.json"]), as: UTF8.self)
            #expect(state.contains("\"optimizerSteps\" : 8") && state.contains("\"skippedSteps\" : 1"))
        }

        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) func aReplicaThatDiffersIsNamed() throws {
            let outcome = try run(
                "flip-weight:rank=2:step=5", ranks: 3, ["--steps", "50", "--verify-every", "4", "--checkpoint-every", "7"], into: "run")
            #expect(outcome.status == 1)
            // Step 7 would be saved, so the replicas are compared there too.
            #expect(
                outcome.stderr.contains(
                    "dtrain: step 7: the weights of rank 2 differ from those of the other 2 ranks; nothing of it was saved; hint: "),
                "\(outcome.stderr)")
            #expect(try checkpoints("run") == [])
        }

        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) func replicasThatAgreeAreLeftAlone() throws {
            try Dtrain.train(["--steps", "12", "--verify-every", "1"], into: folder("often"), ranks: 3)
            try Dtrain.train(["--steps", "12", "--verify-every", "0"], into: folder("never"), ranks: 3)
            #expect(try folder.contents("often/checkpoints") == folder.contents("never/checkpoints"))
        }

        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) func withoutTheComparisonADifferenceGoesUnseen() throws {
            let outcome = try run("flip-weight:rank=1:step=2", ranks: 2, ["--steps", "4", "--verify-every", "0"], into: "run")
            #expect(outcome.status == 0, "or the test above shows nothing: \(outcome)")
        }
    }
}
