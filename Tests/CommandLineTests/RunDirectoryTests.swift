import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// What a run leaves behind.
    @Suite struct RunDirectoryTests {
        private let folder = try! TestFolder()

        private func checkpoints(_ run: String) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: "\(folder(run))/checkpoints").sorted()
        }

        @Test func everyStepLineHasEveryKey() throws {
            try Dtrain.train(["--steps", "25", "--validate-every", "10"], into: folder("run"))
            let metrics = try Metrics(run: folder("run"))
            let times = ["wait_ms", "forward_ms", "backward_ms", "exchange_ms"]
            let keys = ["step", "epoch", "loss", "joint_error_mm", "samples_per_second", "step_ms"] + times
            #expect(metrics.steps.count == 25)
            for (position, line) in metrics.steps.enumerated() {
                for key in keys { #expect(line[key] is NSNumber, "step \(position + 1) has no \(key)") }
                #expect(line["step"] as? Int == position + 1)
                // 200 frames, 10 a step.
                #expect(line["epoch"] as? Double == Double(position + 1) / 20)
                let spent = times.compactMap { line[$0] as? Double }.reduce(0, +)
                #expect(spent > 0 && spent <= line["step_ms"] as? Double ?? 0)
            }
            let validated = metrics.lines.filter { $0["validation"] != nil }.compactMap { $0["step"] as? Int }
            #expect(validated == [10, 20, 25])
            #expect(metrics.lines.dropLast().last?["mean_label_baseline"] != nil)
            #expect(metrics.lines.last?["test"] != nil)
        }

        @Test func logEveryThinsTheLines() throws {
            try Dtrain.train(["--steps", "25", "--log-every", "10"], into: folder("run"))
            #expect(try Metrics(run: folder("run")).steps.compactMap { $0["step"] as? Int } == [1, 10, 20, 25])
        }

        @Test func theNewestThreeCheckpointsAndTheBestAreKept() throws {
            try Dtrain.train(
                ["--steps", "24", "--checkpoint-every", "3", "--validate-every", "3", "--learning-rate", "0.01"],
                into: folder("run"))
            let scores = try Metrics(run: folder("run")).lines.compactMap { line in
                (line["validation"] as? [String: Any]).map { (line["step"] as? Int ?? -1, $0["joint_error_mm"] as? Double ?? .nan) }
            }
            #expect(scores.map(\.0) == Array(stride(from: 3, through: 24, by: 3)))
            let best = scores.min { $0.1 < $1.1 }!.0
            let kept = Set([18, 21, 24, best]).map { "step-" + String(repeating: "0", count: 8 - "\($0)".count) + "\($0)" }
            #expect(try checkpoints("run") == (["best"] + kept).sorted())
            let link = try FileManager.default.destinationOfSymbolicLink(atPath: folder("run/checkpoints/best"))
            #expect(Int(link.suffix(8)) == best)
            let files = try FileManager.default.contentsOfDirectory(atPath: folder("run/checkpoints/step-00000024"))
            #expect(files.sorted() == ["model.safetensors", "optimizer.safetensors", "state.json"])
            #expect(!FileManager.default.fileExists(atPath: folder("run/lock")))
        }

        @Test func keepCheckpointsIsObeyed() throws {
            try Dtrain.train(
                ["--steps", "12", "--checkpoint-every", "2", "--keep-checkpoints", "1", "--validate-every", "100"],
                into: folder("run"))
            #expect(try checkpoints("run") == ["best", "step-00000012"])
        }

        @Test func saveInitialWritesStepZero() throws {
            try Dtrain.train(["--steps", "1", "--save-initial"], into: folder("run"))
            #expect(try checkpoints("run").contains("step-00000000"))
            let outcome = try Dtrain.run(["inspect", folder("run/checkpoints/step-00000000"), "--optimizer"])
            #expect(outcome.stdout.contains("step 0, every checksum is right"))
            let moments = outcome.lines.filter { $0.contains(".m ") || $0.contains(".v ") }
            #expect(moments.count == 12 && moments.allSatisfy { $0.contains("100.00%") })
            // Another run can start from the same weights: they are those of the seed.
            try Dtrain.train(["--steps", "3", "--save-initial"], into: folder("other"))
            let model = "checkpoints/step-00000000/model.safetensors"
            #expect(FileManager.default.contentsEqual(atPath: folder("run/\(model)"), andPath: folder("other/\(model)")))
        }

        @Test func withoutItTheFirstCheckpointIsTheLast() throws {
            try Dtrain.train(["--steps", "2"], into: folder("run"))
            #expect(try checkpoints("run") == ["best", "step-00000002"])
        }

        @Test func aDirectoryOfAnotherRunIsRefusedAndUntouched() throws {
            try Dtrain.train(["--steps", "2"], into: folder("run"))
            let before = try folder.contents("run")
            let outcome = try Dtrain.run(Dtrain.small + ["--steps", "3", "--run-dir", folder("run")])
            #expect(outcome.status == 1)
            #expect(outcome.stderr.hasPrefix("dtrain: \(folder("run")): holds another run"))
            #expect(outcome.stderr.contains("hint: resume it (--resume auto)"))
            #expect(try folder.contents("run") == before)
        }

        @Test func withoutAnyDirectoryOneIsNamedByTimeAndPreset() throws {
            let outcome = try Dtrain.run(
                Dtrain.small + ["--steps", "1", "--preset", "shallow"], directory: folder.path)
            #expect(outcome.status == 0)
            let names = try FileManager.default.contentsOfDirectory(atPath: folder("runs"))
            #expect(names.count == 1)
            #expect(try #require(names.first).wholeMatch(of: /\d{8}-\d{6}-shallow/) != nil)
        }

        @Test func inspectPrintsTheTableAndStatistics() throws {
            try Dtrain.train(["--steps", "4"], into: folder("run"))
            let outcome = try Dtrain.run(["inspect", folder("run/checkpoints/best")])
            #expect(outcome.status == 0 && outcome.stderr == "")
            #expect(outcome.lines[0] == "\(folder("run/checkpoints/best")): step 4, every checksum is right")
            #expect(outcome.stdout.contains("network: 64x48, pool 2, FC 64, FC 48, output linear, 396608 parameters"))
            #expect(outcome.stdout.contains("seed 1, global batch 10"))
            let shapes = [
                "conv1.weight": "5x5x1x8", "conv1.bias": "8", "fc1.weight": "6144x64", "fc1.bias": "64", "fc2.weight": "64x48",
                "fc2.bias": "48",
            ]
            for (name, shape) in shapes {
                let line = try #require(outcome.lines.first { $0.hasPrefix("\(name) ") })
                let fields = line.split(separator: " ")
                #expect(fields.count == 9 && fields[1] == shape && fields[8] == "0")
            }
            #expect(!outcome.stdout.contains("optimizer.safetensors"))
        }

        /// A link in the run directory is not followed out of it.
        @Test(arguments: ["metrics.jsonl", "config.yaml"]) func linkedFilesOutsideAreNotWritten(name: String) throws {
            try Dtrain.train(["--steps", "2"], into: folder("run"))
            let precious = try folder.write("precious\n", to: "precious")
            try FileManager.default.removeItem(atPath: folder("run/\(name)"))
            try FileManager.default.createSymbolicLink(atPath: folder("run/\(name)"), withDestinationPath: precious)
            let fresh = try Dtrain.run(Dtrain.small + ["--steps", "4", "--run-dir", folder("run")])
            #expect(fresh.status == 1 && fresh.stderr.contains("holds another run"))
            let resumed = try Dtrain.run(Dtrain.small + ["--steps", "4", "--resume", "auto", "--run-dir", folder("run")])
            // A linked config.yaml is replaced, a linked metrics.jsonl refused.
            #expect(resumed.status == (name == "config.yaml" ? 0 : 1), "\(resumed)")
            #expect(try String(contentsOfFile: precious, encoding: .utf8) == "precious\n")
        }

        @Test func twoRunsDoNotShareADirectory() throws {
            let script = """
                "$@" --steps 100000000 --time-limit 6 --run-dir \(folder("run")) > \(folder("first")) 2>&1 &
                while ! grep -q "first step" \(folder("first")); do sleep 0.1; done
                "$@" --steps 4 --resume auto --run-dir \(folder("run")); status=$?
                wait
                exit $status
                """
            let outcome = try Subprocess.run(["sh", "-c", script, "sh", Dtrain.path] + Dtrain.small + ["--log-every", "1000000"])
            #expect(outcome.status == 1, "\(outcome)")
            #expect(outcome.stderr.contains("another run uses this directory: process "), "\(outcome)")
            #expect(try String(contentsOfFile: folder("first"), encoding: .utf8).contains("stopped by --time-limit"))
        }
    }
}
