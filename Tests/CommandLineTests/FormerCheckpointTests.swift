import Checkpoints
import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// Checkpoints from before the table of settings, whose `training` had a member for each setting that is compared.
    @Suite struct FormerCheckpointTests {
        private let folder = try! TestFolder()

        /// Makes a `state.json` one of before, and seals it anew.
        private func makeFormer(_ path: String, without missing: String? = nil) throws {
            let url = URL(fileURLWithPath: path)
            var state = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
            var training = try #require(state["training"] as? [String: Any])
            let settings = try #require(training.removeValue(forKey: "settings") as? [String: String])
            training["seed"] = UInt64(try #require(settings["seed"]))
            training["batchSize"] = Int(try #require(settings["batch-size"]))
            training["learningRate"] = Double(try #require(settings["learning-rate"]))
            training["input"] = settings["input"]
            training["onBadSample"] = settings["on-bad-sample"]
            training["frames"] = nil
            if let missing { training[missing] = nil }
            state["training"] = training
            state["checksum"] = Checksum(value: 0).description
            var bytes = Array(
                try JSONSerialization.data(withJSONObject: state, options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]))
            bytes.append(UInt8(ascii: "\n"))
            let blank = Array(Checksum(value: 0).description.utf8)
            let start = try #require(bytes.indices.first { bytes[$0...].starts(with: blank) })
            let seal = bytes.withUnsafeBytes { StreamingChecksum.of($0) }
            bytes.replaceSubrange(start..<start + blank.count, with: Array(seal.description.utf8))
            try Data(bytes).write(to: url)
        }

        private func resume(_ arguments: [String]) throws -> Subprocess.Outcome {
            try Dtrain.run(Dtrain.small + ["--steps", "4", "--resume", "auto", "--run-dir", folder("run")] + arguments)
        }

        @Test func theyAreGoneOnFrom() throws {
            try Dtrain.train(["--steps", "2"], into: folder("run"))
            try Dtrain.train(["--steps", "4"], into: folder("whole"))
            try makeFormer(folder("run/checkpoints/step-00000002/state.json"))
            let inspected = try Dtrain.run(["inspect", folder("run/checkpoints/step-00000002")])
            #expect(inspected.stdout.contains("training: seed 1, global batch 10, learning rate 0.0001, 200 samples"), "\(inspected)")
            for (arguments, text) in [
                (["--learning-rate", "1e-3"], "--learning-rate 0.0001 there, 0.001 here"), (["--seed", "2"], "--seed 1 there, 2 here"),
                (["--batch-size", "20"], "--batch-size 10 there, 20 here"), (["--input", "raw"], "--input normalized there, raw here"),
                (["--pool", "4"], "--pool 2 there, 4 here"), (["--hidden", "32"], "--hidden 64 there, 32 here"),
                (["--output", "exp"], "--output linear there, exp here"), (["--on-bad-sample", "skip"], "--on-bad-sample stop there, skip here"),
            ] {
                let outcome = try resume(arguments)
                #expect(outcome.status == 1 && outcome.stderr.contains("is of another run: \(text)"), "\(outcome)")
            }
            let frames = try folder.dataSet(frames: 2, testFrames: 2)
            let predicted = try Dtrain.run(["predict", folder("run/checkpoints/step-00000002"), frames, "--json"])
            #expect(predicted.status == 0 && predicted.lines.count == 2, "\(predicted)")
            let outcome = try resume([])
            #expect(outcome.status == 0 && outcome.stdout.contains("step-00000002, step 2"), "\(outcome)")
            let end = "checkpoints/step-00000004"
            #expect(try folder.contents("run/\(end)") == folder.contents("whole/\(end)"))
        }

        /// The oldest do not tell what was done with bad samples.
        @Test func whatTheOldestDoNotTellIsNotCompared() throws {
            try Dtrain.train(["--steps", "2"], into: folder("run"))
            try makeFormer(folder("run/checkpoints/step-00000002/state.json"), without: "onBadSample")
            let outcome = try resume(["--on-bad-sample", "skip"])
            #expect(outcome.status == 0, "\(outcome)")
        }
    }
}
