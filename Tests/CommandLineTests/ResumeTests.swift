import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// A run that stopped and goes on, against one that never stopped.
    @Suite struct ResumeTests {
        private let folder = try! TestFolder()
        private let settings = ["--checkpoint-every", "7", "--validate-every", "10", "--keep-checkpoints", "9"]

        /// The 14th step ends within the first epoch of 20.
        ///
        /// Resuming hands every rank the bits of rank 0, and an undisturbed rank goes on with its own. So equal bytes at the end also
        /// say that the replicas on the other ranks were the same, bit for bit, at step 14.
        @Test(arguments: [1, 2, 3]) func aKilledRunEndsInTheSameBytes(ranks: Int) throws {
            guard ranks == 1 || Dtrain.canRunRanks else { return }
            try Dtrain.train(settings + ["--steps", "30"], into: folder("whole"), ranks: ranks)
            // What a run killed after step 14 leaves.
            try FileManager.default.copyItem(atPath: folder("whole"), toPath: folder("killed"))
            for step in [21, 28, 30] {
                try FileManager.default.removeItem(atPath: folder("killed/checkpoints/step-000000\(step)"))
            }
            let outcome = try Dtrain.train(
                settings + ["--steps", "30", "--resume", "auto"], into: folder("killed"), ranks: ranks)
            #expect(outcome.stdout.contains("resumed: \(folder("killed"))/checkpoints/step-00000014, step 14"))
            #expect(try folder.contents("killed/checkpoints") == folder.contents("whole/checkpoints"))
            let (metrics, whole) = (try Metrics(run: folder("killed")), try Metrics(run: folder("whole")))
            #expect(metrics.numbers("step") == (1...30).map(Double.init))
            #expect(metrics.losses == whole.losses)
            #expect(metrics.lines.count == whole.lines.count)
        }

        @Test func aRunContinuedWithMoreStepsHasTheWeightsOfALongOne() throws {
            try Dtrain.train(settings + ["--steps", "30"], into: folder("whole"))
            try Dtrain.train(settings + ["--steps", "12"], into: folder("parts"))
            try Dtrain.train(settings + ["--steps", "13", "--resume", "auto"], into: folder("parts"))
            try Dtrain.train(settings + ["--steps", "30", "--resume", "auto"], into: folder("parts"))
            let end = "checkpoints/step-00000030"
            #expect(try folder.contents("parts/\(end)") == folder.contents("whole/\(end)"))
        }

        /// SIGKILL at any moment, also within the writing of a checkpoint.
        @Test func killedByASignalItGoesOn() throws {
            let often = ["--checkpoint-every", "2", "--validate-every", "1000", "--synthetic-test-frames", "5"]
            var killed = 0
            for _ in 0..<4 {
                let outcome = try Subprocess.run(
                    ["timeout", "-s", "KILL", "0.6", Dtrain.path] + Dtrain.small + often
                        + ["--steps", "1000000", "--resume", "auto", "--run-dir", folder("run")])
                if outcome.status == 137 { killed += 1 }
            }
            #expect(killed == 4)
            let newest = try #require(
                try FileManager.default.contentsOfDirectory(atPath: folder("run/checkpoints"))
                    .filter { $0.hasPrefix("step-") }.max().flatMap { Int($0.suffix(8)) })
            let steps = ["--steps", "\(newest + 5)"]
            try Dtrain.train(often + steps + ["--resume", "auto"], into: folder("run"))
            try Dtrain.train(often + steps, into: folder("whole"))
            let end = try FileManager.default.contentsOfDirectory(atPath: folder("whole/checkpoints"))
                .filter { $0.hasPrefix("step-") }.max()!
            #expect(try folder.contents("run/checkpoints/\(end)") == folder.contents("whole/checkpoints/\(end)"))
        }

        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) func otherRanksGoOnToRounding() throws {
            try Dtrain.train(settings + ["--steps", "30"], into: folder("whole"))
            try Dtrain.train(settings + ["--steps", "14"], into: folder("parts"), ranks: 3)
            try Dtrain.train(settings + ["--steps", "30", "--resume", "auto"], into: folder("parts"), ranks: 2)
            let (metrics, whole) = (try Metrics(run: folder("parts")), try Metrics(run: folder("whole")))
            expectAgreement(metrics.losses, whole.losses, tolerance: 1e-4)
        }

        @Test func aCheckpointByItsPathStartsANewRun() throws {
            try Dtrain.train(settings + ["--steps", "14"], into: folder("old"))
            let before = try folder.contents("old")
            try Dtrain.train(
                settings + ["--steps", "21", "--resume", folder("old/checkpoints/step-00000007")], into: folder("new"))
            try Dtrain.train(settings + ["--steps", "21"], into: folder("whole"))
            let model = "checkpoints/step-00000021/model.safetensors"
            #expect(FileManager.default.contentsEqual(atPath: folder("new/\(model)"), andPath: folder("whole/\(model)")))
            #expect(try folder.contents("old") == before)
            #expect(try Metrics(run: folder("new")).numbers("step") == (8...21).map(Double.init))
        }

        @Test func aDamagedNewestCheckpointIsNamedAndPassedOver() throws {
            try Dtrain.train(settings + ["--steps", "14"], into: folder("run"))
            try damage(folder("run/checkpoints/step-00000014/model.safetensors"))
            let outcome = try Dtrain.train(settings + ["--steps", "21", "--resume", "auto"], into: folder("run"))
            #expect(outcome.stdout.contains("note: damaged checkpoint passed over: "))
            #expect(outcome.stdout.contains("step-00000014/model.safetensors"))
            #expect(outcome.stdout.contains("step-00000007, step 7"))
            try Dtrain.train(settings + ["--steps", "21"], into: folder("whole"))
            let end = "checkpoints/step-00000021"
            #expect(try folder.contents("run/\(end)") == folder.contents("whole/\(end)"))
        }

        private func damage(_ path: String) throws {
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            bytes[bytes.count / 2] ^= 1
            try bytes.write(to: URL(fileURLWithPath: path))
        }

        @Test func autoOnNothingStartsAtOne() throws {
            try Dtrain.train(["--steps", "3", "--resume", "auto"], into: folder("run"))
            #expect(try Metrics(run: folder("run")).losses.count == 3)
        }

        @Test func nothingLeftToDoIsSaid() throws {
            try Dtrain.train(["--steps", "3"], into: folder("run"))
            let before = try folder.contents("run/checkpoints")
            let outcome = try Dtrain.train(["--steps", "3", "--resume", "auto"], into: folder("run"))
            #expect(outcome.stdout.contains("nothing to do: 3 steps are done already; hint: a larger --steps"))
            #expect(try folder.contents("run/checkpoints") == before)
        }

        @Test(arguments: [
            (["--seed", "2"], "--seed 1 there, 2 here"), (["--batch-size", "20"], "--batch-size 10 there, 20 here"),
            (["--pool", "4"], "--pool 2 there, 4 here"), (["--hidden", "32"], "--hidden 64 there, 32 here"),
            (["--output", "exp"], "--output linear there, exp here"),
            (["--image-size", "32x48"], "image width 64 there, 32 here"),
            (["--synthetic-frames", "201"], "training samples 200 there, 201 here"),
            (["--seed", "2", "--pool", "4"], "--pool 2 there, 4 here; --seed 1 there, 2 here"),
        ])
        func aMismatchIsNamed(change: [String], text: String) throws {
            try Dtrain.train(["--steps", "2"], into: folder("run"))
            let before = try folder.contents("run/checkpoints")
            let outcome = try Dtrain.run(
                Dtrain.small + ["--steps", "4", "--resume", "auto", "--run-dir", folder("run")] + change)
            #expect(outcome.status == 1)
            #expect(outcome.stderr.split(separator: "\n").count == 1)
            #expect(outcome.stderr.contains("is of another run: ") && outcome.stderr.contains(text))
            #expect(outcome.stderr.contains("hint: resume with the same settings"))
            #expect(try folder.contents("run/checkpoints") == before)
        }

        /// What weights began with has no effect any more; other layers are another network.
        @Test func otherInitialValuesOfANetworkDoNotMatter() throws {
            func train(normalization: String, channels: Int = 8, steps: Int) throws -> Subprocess.Outcome {
                try """
                input: {height: 32, width: 32}
                layers:
                  - convolution: {channels: \(channels), kernel: 3, stride: 2\(normalization.isEmpty ? "" : ", initial: linear")}
                  - batch-normalization\(normalization)
                  - dense: 48
                """.write(toFile: folder("network.yaml"), atomically: false, encoding: .utf8)
                return try Dtrain.run([
                    "--network", folder("network.yaml"), "--batch-size", "4", "--synthetic-frames", "20", "--synthetic-test-frames", "4",
                    "--run-dir", folder("run"), "--resume", "auto", "--steps", "\(steps)",
                ])
            }
            var outcome = try train(normalization: "", steps: 2)
            try #require(outcome.status == 0, "\(outcome)")
            outcome = try train(normalization: ": {initial-scale: 0}", steps: 3)
            #expect(outcome.status == 0 && outcome.stdout.contains(", step 2"), "\(outcome)")
            outcome = try train(normalization: "", channels: 16, steps: 4)
            #expect(outcome.status == 1 && outcome.stderr.contains("the network's layers differ"), "\(outcome)")
        }

        @Test func otherDataIsNamed() throws {
            let data = try folder.dataSet()
            try Dtrain.train(["--steps", "2", "--data", data], into: folder("run"))
            // The same frames, one label moved by a millimetre.
            let labels = "\(data)/Training/labels.txt"
            let text = try String(contentsOfFile: labels, encoding: .utf8)
            var fields = text.split(separator: " ").map(String.init)
            fields[3] = "123.456"
            try fields.joined(separator: " ").write(toFile: labels, atomically: false, encoding: .utf8)
            let outcome = try Dtrain.run(
                Dtrain.small + ["--steps", "4", "--data", data, "--resume", "auto", "--run-dir", folder("run")])
            #expect(outcome.status == 1)
            #expect(outcome.stderr.contains("data fingerprint"))
        }

        @Test func aResumedRunIsNotRuinedByARefusedOne() throws {
            try Dtrain.train(["--steps", "2"], into: folder("run"))
            let before = try String(contentsOfFile: folder("run/config.yaml"), encoding: .utf8)
            let outcome = try Dtrain.run(
                Dtrain.small + ["--steps", "4", "--seed", "9", "--resume", "auto", "--run-dir", folder("run")])
            #expect(outcome.status == 1)
            #expect(try String(contentsOfFile: folder("run/config.yaml"), encoding: .utf8) == before)
        }
    }
}
