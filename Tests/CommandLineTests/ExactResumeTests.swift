import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// Resuming from any step, against a run that never stopped, and what a resumed run may change.
    @Suite struct ExactResumeTests {
        private let folder = try! TestFolder()

        /// A data set of 60 frames, of which two that are trained on, one that is held out and one of the test are damaged.
        private func damagedData() throws -> String {
            let data = try folder.dataSet()
            for line in [10, 33, 57] {
                let name = try BadInput.labels(folder)[line].prefix { $0 != " " }
                try Data("damaged".utf8).write(to: URL(fileURLWithPath: folder("data/Training/Depth/\(name)")))
            }
            let test = try String(contentsOfFile: folder("data/Testing/test_seq_1.txt"), encoding: .utf8).prefix { $0 != " " }
            try Data("damaged".utf8).write(to: URL(fileURLWithPath: folder("data/Testing/Depth/\(test)")))
            return data
        }

        /// What of metrics.jsonl does not depend on the clock.
        private func content(_ run: String) throws -> [String] {
            try Metrics(run: folder(run)).lines.compactMap { line in
                let kept = line.filter { key, _ in !key.hasSuffix("_ms") && key != "samples_per_second" && key != "checkpoint" && key != "predicted" }
                return kept.count == 1
                    ? nil : String(decoding: try JSONSerialization.data(withJSONObject: kept, options: .sortedKeys), as: UTF8.self)
            }
        }

        /// Every step of two epochs and more, with validation, the best, and samples that are skipped and counted once.
        @Test(arguments: [1, 2]) func fromAnyStep(ranks: Int) throws {
            guard ranks == 1 || Dtrain.canRunRanks else { return }
            let last = 14
            let settings = [
                "--data", try damagedData(), "--on-bad-sample", "skip", "--checkpoint-every", "1", "--keep-checkpoints", "50",
                "--validate-every", "3", "--learning-rate", "1e-3", "--steps", "\(last)",
            ]
            try Dtrain.train(settings, into: folder("whole"), ranks: ranks)
            let (whole, lines) = (try folder.contents("whole/checkpoints"), try content("whole"))
            #expect(lines.last?.contains("\"test\"") == true)
            #expect(try Metrics(run: folder("whole")).steps.last?["skipped_samples"] as? Int == 3)
            for step in 1..<last where ranks == 1 || step % 3 == 1 {
                // What a run killed after this step leaves, or one that was killed while it wrote the next checkpoint.
                try FileManager.default.copyItem(atPath: folder("whole"), toPath: folder("\(step)"))
                for later in step + 1...last {
                    let name = "step-" + String(repeating: "0", count: 8 - "\(later)".count) + "\(later)"
                    try FileManager.default.removeItem(atPath: folder("\(step)/checkpoints/\(name)"))
                }
                try Dtrain.train(settings + ["--resume", "auto"], into: folder("\(step)"), ranks: ranks)
                #expect(try folder.contents("\(step)/checkpoints") == whole, "from step \(step)")
                #expect(try content("\(step)") == lines, "from step \(step)")
            }
        }

        /// A held-out frame that cannot be read ends a run in its validation; repaired, the validation is made up for.
        @Test(arguments: [1, 2]) func fromAValidationThatFailed(ranks: Int) throws {
            guard ranks == 1 || Dtrain.canRunRanks else { return }
            let settings = [
                "--data", try folder.dataSet(), "--checkpoint-every", "1", "--keep-checkpoints", "50", "--validate-every", "3",
                "--learning-rate", "1e-3", "--steps", "7",
            ]
            try Dtrain.train(settings, into: folder("whole"), ranks: ranks)
            let frame = URL(
                fileURLWithPath: folder("data/Training/Depth/\(try BadInput.labels(folder)[57].prefix { $0 != " " })"))
            let good = try Data(contentsOf: frame)
            try Data("damaged".utf8).write(to: frame)
            let arguments = Dtrain.small + settings + ["--resume", "auto", "--run-dir", folder("run")]
            let refused = try ranks == 1 ? Dtrain.run(arguments) : Dtrain.run(arguments, ranks: ranks)
            #expect(refused.status == 1 && refused.stderr.contains("step 3 is saved"), "\(refused)")
            try good.write(to: frame)
            try Dtrain.train(settings + ["--resume", "auto"], into: folder("run"), ranks: ranks)
            let (whole, run) = (try folder.contents("whole/checkpoints"), try folder.contents("run/checkpoints"))
            for (name, content) in whole { #expect(run[name] == content, "\(name)") }
            #expect(try content("run") == content("whole"))
        }

        private func resume(_ arguments: [String]) throws -> Subprocess.Outcome {
            try Dtrain.run(Dtrain.small + ["--steps", "4", "--resume", "auto", "--run-dir", folder("run")] + arguments)
        }

        @Test(arguments: [
            (["--learning-rate", "1e-3"], "learning-rate", "--learning-rate 0.0001 there, 0.001 here"),
            (["--batch-size", "20"], "batch-size", "--batch-size 10 there, 20 here"),
            (["--on-bad-sample", "skip"], "on-bad-sample", "--on-bad-sample stop there, skip here"),
            (["--synthetic-frames", "210"], "data", "training samples 200 there, 210 here"),
            (["--seed", "2"], "data,seed", "--seed 1 there, 2 here"),
            (["--seed", "2", "--batch-size", "20"], "batch-size,data,seed", "--batch-size 10 there, 20 here"),
        ])
        func whatMayChangeIsNamedWithItsFlag(change: [String], names: String, text: String) throws {
            try Dtrain.train(["--steps", "2"], into: folder("run"))
            let refused = try resume(change)
            #expect(refused.status == 1 && refused.stderr.contains(text), "\(refused)")
            #expect(refused.stderr.contains("allow it with --allow-change \(names), "), "\(refused)")
            let allowed = try resume(change + ["--allow-change", names])
            #expect(allowed.status == 0, "\(allowed)")
            #expect(try Metrics(run: folder("run")).numbers("step") == [1, 2, 3, 4])
            // Given once: the next run goes on with the new settings, and needs no permission.
            let next = try Dtrain.run(["--config", folder("run/config.yaml"), "--steps", "6", "--resume", "auto", "--run-dir", folder("run")])
            #expect(next.status == 0, "\(next)")
            #expect(try String(contentsOfFile: folder("run/config.yaml"), encoding: .utf8).contains("\nallow-change: none\n"))
        }

        /// Nothing makes another network of the weights that are there.
        @Test(arguments: [["--pool", "4"], ["--hidden", "32"], ["--output", "exp"], ["--input", "raw"], ["--pool", "4", "--seed", "2"]])
        func theNetworkMayNotChange(change: [String]) throws {
            try Dtrain.train(["--steps", "2"], into: folder("run"))
            let outcome = try resume(change + ["--allow-change", "batch-size,data,learning-rate,on-bad-sample,seed"])
            #expect(outcome.status == 1 && !outcome.stderr.contains("allow it with"), "\(outcome)")
            #expect(outcome.stderr.contains(" there, "))
        }
    }
}
