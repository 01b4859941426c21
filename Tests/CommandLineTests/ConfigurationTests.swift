import Foundation
import TestSupport
import Testing

extension CommandLineTests {
    /// Preset, file, flags; and what a run says it was made from.
    @Suite struct ConfigurationTests {
        private let folder = try! TestFolder()

        private func resolved(_ run: String) throws -> [String: String] {
            let text = try String(contentsOfFile: "\(folder(run))/config.yaml", encoding: .utf8)
            let lines = text.split(separator: "\n").filter { !$0.hasPrefix("#") }
            return Dictionary(
                uniqueKeysWithValues: lines.map { line in
                    let colon = line.firstIndex(of: ":")!
                    return (String(line[..<colon]), line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces))
                })
        }

        @Test func aFlagBeatsTheFileWhichBeatsThePreset() throws {
            let file = try folder.write(
                "preset: seed-verbatim\nseed: 5\nhidden: 32\nimage-size: 64x48\nbatch-size: 10\noutput: linear\n"
                    + "synthetic-frames: 50\nsynthetic-test-frames: 5\n", to: "run.yaml")
            let outcome = try Dtrain.run(["--config", file, "--seed", "6", "--steps", "1", "--run-dir", folder("run")])
            #expect(outcome.status == 0, "\(outcome)")
            let settings = try resolved("run")
            #expect(settings["seed"] == "6", "the flag")
            #expect(settings["output"] == "linear" && settings["hidden"] == "32", "the file")
            #expect(settings["input"] == "raw" && settings["initial-values"] == "truncated-normal", "the file's preset")
            #expect(settings["learning-rate"] == "1e-4", "the default")

            let other = try Dtrain.run(
                ["--config", file, "--preset", "shallow", "--steps", "1", "--run-dir", folder("other")])
            #expect(other.status == 0, "\(other)")
            let shallow = try resolved("other")
            #expect(shallow["preset"] == "shallow" && shallow["pool"] == "4" && shallow["input"] == "normalized")
            #expect(shallow["hidden"] == "32", "the file beats the flag's preset")
        }

        @Test func stepsOfTheCommandLineBeatEpochsOfTheFile() throws {
            let file = try folder.write("epochs: 3\n", to: "run.yaml")
            try Dtrain.train(["--config", file, "--steps", "2"], into: folder("steps"))
            #expect(try Metrics(run: folder("steps")).losses.count == 2)
            // 3 passes over 25 frames, 10 a step: 7.5, rounded up.
            try Dtrain.train(["--config", file, "--synthetic-frames", "25"], into: folder("epochs"))
            #expect(try Metrics(run: folder("epochs")).losses.count == 8)
        }

        @Test func everythingResolvedIsWritten() throws {
            try Dtrain.train(["--steps", "1", "--epochs", "0.5", "--data", try folder.dataSet()], into: folder("run"))
            let keys = [
                "preset", "data", "rotations", "on-bad-sample", "synthetic-frames", "synthetic-test-frames", "image-size", "input",
                "cache", "output", "pool", "hidden", "initial-values", "output-bias", "steps", "epochs", "batch-size",
                "learning-rate", "seed", "threads", "exchange", "run-dir", "resume", "checkpoint-every", "keep-checkpoints",
                "save-initial", "log-every", "validate-every", "validate-frames",
            ]
            let settings = try resolved("run")
            #expect(Set(settings.keys).isSuperset(of: keys))
            // 60 frames, 10 a step, half an epoch.
            #expect(settings["steps"] == "3")
            #expect(settings["threads"] == "0", "automatic stays automatic: another machine has other processors")
        }

        /// Every flag the help names is a key of the file, and the other way round.
        @Test func flagsAndKeysAreTheSame() throws {
            let help = try Dtrain.run(["train", "--help"]).stdout
            let flags = Set(help.matches(of: /\n  --([a-z-]+)/).map { String($0.1) }).subtracting(["config", "version", "help"])
            let file = try folder.write(flags.sorted().map { "\($0): nonsense" }.joined(separator: "\n"), to: "run.yaml")
            let outcome = try Dtrain.run(["--config", file])
            #expect(flags.count > 20)
            #expect(!outcome.stderr.contains("unknown setting") && outcome.status == 64, "\(outcome)")
            try Dtrain.train(["--steps", "1", "--epochs", "1", "--data", try folder.dataSet()], into: folder("run"))
            #expect(Set(try resolved("run").keys).symmetricDifference(flags) == [])
        }

        @Test(arguments: [["--seed", "18446744073709551615"], ["--preset", "shallow", "--learning-rate", "3e-5"]])
        func theWrittenFileMakesTheSameRun(settings: [String]) throws {
            try Dtrain.train(settings + ["--steps", "8"], into: folder("first"))
            let again = try Dtrain.run(["--config", folder("first/config.yaml"), "--run-dir", folder("second")])
            #expect(again.status == 0, "\(again)")
            #expect(try folder.contents("first/checkpoints") == folder.contents("second/checkpoints"))
            var (first, second) = (try resolved("first"), try resolved("second"))
            #expect(first.removeValue(forKey: "run-dir") != second.removeValue(forKey: "run-dir"))
            #expect(first == second)
        }
    }
}
