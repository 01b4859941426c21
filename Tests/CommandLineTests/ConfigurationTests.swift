import Foundation
import Testing
import TestSupport

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
            #expect(settings["learning-rate"] == "1.0e-4", "the default, a number to every reader of YAML")

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
            try Dtrain.train(["--epochs", "0.5", "--data", try folder.dataSet()], into: folder("run"))
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
            let flags = Set(help.matches(of: /\n  --([a-z0-9-]+)/).map { String($0.1) }).subtracting(["config", "check-data", "version", "help"])
            let file = try folder.write(flags.sorted().map { "\($0): nonsense" }.joined(separator: "\n"), to: "run.yaml")
            let outcome = try Dtrain.run(["--config", file])
            #expect(flags.count > 20)
            #expect(!outcome.stderr.contains("unknown setting") && outcome.status == 64, "\(outcome)")
            try Dtrain.train(["--epochs", "0.1", "--data", try folder.dataSet()], into: folder("run"))
            #expect(Set(try resolved("run").keys).symmetricDifference(flags) == [])
        }

        /// Numbers of a configuration file are those that were meant: `010` is 8 to YAML 1.1.
        @Test(arguments: [
            ("steps: 010", "octal"), ("steps: 0x10", "hexadecimal"), ("batch-size: 0b11", "binary"), ("seed: 1_000", "underscores"),
            ("steps: 1:30", "base 60"), ("time-limit: 010", "octal"), ("steps: 0o10", "octal"), ("learning-rate: 1_0.5", "underscores"),
        ])
        func aNumberOfTwoMeaningsIsRefused(line: String, word: String) throws {
            let file = try folder.write("# settings\n\(line)\n", to: "run.yaml")
            let outcome = try Dtrain.run(Dtrain.small + ["--config", file, "--run-dir", folder("run")])
            #expect(outcome.status == 64 && outcome.stderr.contains("\(file):2: '\(line)' is "), "\(outcome)")
            #expect(outcome.stderr.contains(word) && outcome.stderr.contains("hint: "), "\(outcome)")
        }

        @Test func numbersOfOneMeaningAreRead() throws {
            let file = try folder.write(
                "steps: 2\ncache: 0\nlearning-rate: 1e-3\nseed: 7\ntime-limit: 00:10:00\n", to: "run.yaml")
            try Dtrain.train(["--config", file], into: folder("run"))
            let settings = try resolved("run")
            #expect(settings["steps"] == "2" && settings["learning-rate"] == "1.0e-3" && settings["seed"] == "7")
        }

        /// Written by dtrain 0.1.0 before the table of settings: no lines for what had no value, other numbers.
        @Test func aFileOfBeforeIsRead() throws {
            let file = try folder.write(
                """
                # Written by dtrain: everything this run was made from. `dtrain --config` reads it.
                preset: shallow
                rotations: none
                on-bad-sample: skip
                synthetic-frames: 30
                synthetic-test-frames: 5
                image-size: 64x48
                input: raw
                cache: 7
                output: exp
                pool: 2
                hidden: 16
                initial-values: truncated-normal
                output-bias: constant
                steps: 2
                epochs: 1e-1
                batch-size: 10
                learning-rate: 1e-5
                seed: 18446744073709551615
                on-nonfinite: skip
                threads: 1
                exchange: auto
                wire: fp32
                run-dir: runs/other
                resume: never
                allow-change: batch-size,seed
                checkpoint-every: 2
                keep-checkpoints: 3
                save-initial: true
                log-every: 1
                validate-every: 100
                validate-frames: 0
                time-limit: '5400'
                stall-timeout: 300
                verify-every: 100

                """, to: "run.yaml")
            let outcome = try Dtrain.run(["--config", file, "--run-dir", folder("run")])
            #expect(outcome.status == 0, "\(outcome)")
            let settings = try resolved("run")
            let expected = [
                "input": "raw", "output": "exp", "pool": "2", "steps": "1", "epochs": "0.1", "learning-rate": "1.0e-5",
                "seed": "18446744073709551615", "save-initial": "true", "time-limit": "\"5400\"", "data": "null", "run-dir": folder("run"),
            ]
            for (name, value) in expected { #expect(settings[name] == value, "\(name)") }
        }

        /// Texts that YAML would take for something else, and back.
        @Test(arguments: ["a b: c", "it's \"so\" # not \\ here", "null", "1e5", "tab\tand ü", "- x", "trail:"])
        func anyPathIsWrittenAsAText(name: String) throws {
            let data = try folder.dataSet(name, frames: 20, testFrames: 4)
            try Dtrain.train(["--data", data, "--steps", "1"], into: folder("run"))
            let again = try Dtrain.run(["--config", folder("run/config.yaml"), "--run-dir", folder("again")])
            #expect(again.status == 0, "\(again)")
            #expect(try resolved("run")["data"] == resolved("again")["data"])
        }

        /// What a pipe holds can be read once.
        @Test func aPipeIsAFileToo() throws {
            let outcome = try Subprocess.run(
                ["sh", "-c", "printf 'steps: 2\\nlog-every: 7\\n' | \"$@\"", "sh", Dtrain.path] + Dtrain.small.dropLast(2)
                    + ["--config", "/dev/stdin", "--run-dir", folder("run")], timeout: 30)
            #expect(outcome.status == 0 && outcome.stdout.contains(", 2 steps"), "\(outcome)")
            #expect(try resolved("run")["log-every"] == "7")
        }

        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) func aPipeIsNotForSeveralRanks() throws {
            try #require(mkfifo(folder("pipe"), 0o600) == 0)
            let outcome = try Dtrain.run(Dtrain.small + ["--config", folder("pipe"), "--run-dir", folder("run")], ranks: 2)
            #expect(outcome.status == 64 && outcome.stderr.contains("\(folder("pipe")): is no regular file"), "\(outcome)")
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
