import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// Ranks that were not started alike: refused before the first step, or told; and what one rank alone meets is told.
    @Suite(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) struct RanksDifferTests {
        private let folder = try! TestFolder()

        /// Runs ranks of different command lines and environments; the program's own arguments come last.
        private func run(_ ranks: [(environment: [String], program: String, arguments: [String])]) throws -> Subprocess.Outcome {
            let common = Dtrain.small + ["--steps", "3", "--run-dir", folder("run")]
            let parts = ranks.map { ["-np", "1", "env"] + $0.environment + [$0.program] + common + $0.arguments }
            return try Subprocess.run(
                ["mpirun", "--oversubscribe", "--bind-to", "none", "--timeout", "50"] + parts.joined(separator: [":"]),
                environment: ["OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"])
        }

        private func run(second arguments: [String]) throws -> Subprocess.Outcome {
            try run([([], Dtrain.path, []), ([], Dtrain.path, arguments)])
        }

        private func complaints(_ outcome: Subprocess.Outcome) -> [String] {
            outcome.stderr.split(separator: "\n").filter { $0.hasPrefix("dtrain: ") }.map(String.init)
        }

        private var host: String { ProcessInfo.processInfo.hostName }

        @Test(arguments: [
            ["batch-size", "10", "16"], ["input", "normalized", "raw"], ["output", "linear", "relu"],
            ["learning-rate", "0.0001", "0.001"], ["steps", "3", "2"], ["seed", "1", "2"], ["hidden", "64", "32"],
            ["exchange", "allreduce", "sharded"], ["wire", "fp32", "bf16"], ["stall-timeout", "300", "9"],
            ["on-bad-sample", "stop", "skip"], ["run-dir", "", "elsewhere"], ["data", "none", "/nowhere"],
        ])
        func aSettingThatDiffersIsRefused(_ setting: [String]) throws {
            let outcome = try run(second: ["--\(setting[0])", setting[2]])
            #expect(outcome.status == 64 && outcome.seconds < 20, "\(outcome)")
            let lines = complaints(outcome).filter { $0.contains("--\(setting[0]) ") }
            #expect(lines.count == 1, "\(outcome)")
            let first = setting[1].isEmpty ? folder("run") : setting[1]
            #expect(
                lines.first?.hasPrefix(
                    "dtrain: --\(setting[0]) differs between ranks: \(first) on rank 0 (\(host)), \(setting[2]) on rank 1 (\(host)); hint: ")
                    == true, "\(outcome)")
            #expect(!FileManager.default.fileExists(atPath: folder("run")))
        }

        @Test func everySettingThatDiffersIsNamedAndTheOtherRanksCounted() throws {
            let outcome = try run([
                ([], Dtrain.path, []), ([], Dtrain.path, ["--seed", "2", "--hidden", "32"]), ([], Dtrain.path, ["--seed", "3"]),
            ])
            #expect(outcome.status == 64)
            let lines = complaints(outcome)
            #expect(lines.count == 2, "\(outcome)")
            #expect(lines.contains { $0.contains("--seed ") && $0.contains("and another than rank 0's on 1 more") })
            #expect(lines.contains { $0.contains("--hidden ") && $0.contains("64 on rank 0") && $0.contains("32 on rank 1") })
        }

        /// Each rank's own business; bits do not depend on it, whatever the exchange.
        @Test(arguments: ["allreduce", "sharded", "split"]) func threadsAndCacheMayDiffer(exchange: String) throws {
            let own = ["--exchange", exchange]
            for (name, first, second) in [("equal", "1", "1"), ("different", "1", "3"), ("other", "2", "1")] {
                let outcome = try run([
                    ([], Dtrain.path, own + ["--threads", first, "--cache", "10", "--run-dir", folder(name)]),
                    ([], Dtrain.path, own + ["--threads", second, "--cache", "20", "--run-dir", folder(name)]),
                ])
                #expect(outcome.status == 0 && complaints(outcome).isEmpty, "\(outcome)")
            }
            let expected = try folder.contents("equal/checkpoints")
            #expect(!expected.isEmpty)
            for name in ["different", "other"] { #expect(try folder.contents("\(name)/checkpoints") == expected) }
        }

        @Test func oneDataSetMayLieAtTwoPaths() throws {
            let data = try folder.dataSet()
            try FileManager.default.copyItem(atPath: data, toPath: folder("copy"))
            let outcome = try run([([], Dtrain.path, ["--data", data]), ([], Dtrain.path, ["--data", folder("copy")])])
            #expect(outcome.status == 0, "\(outcome)")
        }

        /// One path, and a copy of another day on a node's own disk.
        @Test func anotherNetworkOfOneNameIsRefused() throws {
            for (name, channels) in [("a", 4), ("b", 8)] {
                try FileManager.default.createDirectory(atPath: folder(name), withIntermediateDirectories: true)
                _ = try folder.write(
                    "input: {height: 16, width: 16}\nlayers:\n  - convolution: {channels: \(channels), stride: 2}\n  - dense: 48\n",
                    to: "\(name)/net.yaml")
            }
            let outcome = try run(["a", "b"].map { (["-C", folder($0)], Dtrain.path, ["--network", "net.yaml"]) })
            #expect(outcome.status == 64, "\(outcome)")
            let lines = complaints(outcome)
            #expect(lines.count == 1 && lines[0].hasPrefix("dtrain: --network differs between ranks: net.yaml (xxh64:"), "\(outcome)")
        }

        @Test func anotherBuildIsRefused() throws {
            try FileManager.default.copyItem(atPath: Dtrain.path, toPath: folder("other"))
            let file = try #require(FileHandle(forWritingAtPath: folder("other")))
            try file.seekToEnd()
            try file.write(contentsOf: Data([0]))
            try file.close()
            let outcome = try run([([], Dtrain.path, []), ([], folder("other"), [])])
            #expect(outcome.status == 64)
            #expect(complaints(outcome).count == 1 && complaints(outcome)[0].hasPrefix("dtrain: the program's build differs between ranks: "))
        }

        @Test func anotherBLASKernelIsTold() throws {
            let outcome = try run([(["-u", "OPENBLAS_CORETYPE"], Dtrain.path, []), (["OPENBLAS_CORETYPE=Prescott"], Dtrain.path, [])])
            #expect(outcome.status == 0, "\(outcome)")
            let notes = outcome.lines.filter { $0.hasPrefix("note: ") && $0.contains(" differs between ranks: ") }
            try #require(notes.count == 1, "\(outcome)")
            #expect(notes[0].hasPrefix("note: BLAS kernels differs between ranks: ") && notes[0].hasSuffix(", Prescott on rank 1 (\(host))"))
        }

        @Test(arguments: [["DTRAIN_SHARED_MEMORY", "auto", "file"], ["DTRAIN_RANKS_PER_NODE", "unset", "1"], ["DTRAIN_PACKING", "auto", "off"]])
        func anotherViewOfTheNodeIsRefused(_ variable: [String]) throws {
            let outcome = try run([([], Dtrain.path, []), (["\(variable[0])=\(variable[2])"], Dtrain.path, [])])
            #expect(outcome.status == 1 && outcome.seconds < 20)
            #expect(
                complaints(outcome).first?.hasPrefix(
                    "dtrain: \(variable[0]) differs between ranks: \(variable[1]) on rank 0, \(variable[2]) on rank 1; hint: ") == true,
                "\(outcome)")
        }

        /// Before MPI is there nobody knows what the others met.
        @Test func whatOneRankAloneMeetsItTells() throws {
            let outcome = try run(second: ["--config", folder("nothere.yaml")])
            #expect(outcome.status == 64)
            #expect(
                complaints(outcome) == [
                    "dtrain: rank 1 on \(host): \(folder("nothere.yaml")): No such file or directory; hint: --config names a YAML file"
                ])
        }

        @Test func whatAllRanksMeetIsToldOnce() throws {
            let outcome = try Dtrain.run(["--bogus"], ranks: 4)
            #expect(outcome.status == 64)
            #expect(complaints(outcome) == ["dtrain: Unknown option '--bogus'; hint: dtrain train --help lists all options"])
            #expect(try Dtrain.run(["--help"], ranks: 3).lines.count { $0.hasPrefix("USAGE: ") } == 1)
        }

        /// Variables of a job script's own step, or left over, make nobody a rank.
        @Test(arguments: ["SLURM_PROCID=3", "PMIX_RANK=2", "OMPI_COMM_WORLD_RANK=1", "PMI_RANK=1", "FLUX_JOB_SIZE=4", "MV2_COMM_WORLD_RANK=2"])
        func aProcessAloneSpeaks(variable: String) throws {
            let parts = variable.split(separator: "=").map(String.init)
            let environment: [String: String?] = [parts[0]: parts[1]]
            #expect(try Dtrain.run(["--help"], environment: environment).lines.count > 10)
            let bogus = try Dtrain.run(["--bogus"], environment: environment)
            #expect(bogus.status == 64 && bogus.stderr.hasPrefix("dtrain: Unknown option '--bogus'"))
            for command in [["inspect", "/nonexistent"], ["synth"], ["bench", "step", "--repeats", "0"]] {
                let outcome = try Dtrain.run(command, environment: environment)
                #expect(outcome.status != 0 && outcome.stderr.hasPrefix("dtrain: "), "\(outcome)")
            }
        }

        /// Launchers are known by all their variables, those that `Launcher` knows.
        @Test(arguments: [
            ["PMI_SIZE=4", "PMI_RANK=2"], ["FLUX_TASK_RANK=2", "FLUX_JOB_SIZE=4"], ["MV2_COMM_WORLD_SIZE=4", "MV2_COMM_WORLD_RANK=2"],
            ["MPI_LOCALNRANKS=4", "MPI_LOCALRANKID=2"], ["SLURM_STEP_NUM_TASKS=4", "SLURM_PROCID=2"], ["PMIX_NAMESPACE=job", "PMIX_RANK=2"],
        ])
        func aRankOfAnyLauncherLeavesHelpToTheFirst(variables: [String]) throws {
            var environment: [String: String?] = [:]
            for variable in variables {
                let parts = variable.split(separator: "=").map(String.init)
                environment[parts[0]] = parts[1]
            }
            #expect(try Dtrain.run(["--help"], environment: environment).stdout == "")
            let bogus = try Dtrain.run(["--bogus"], environment: environment)
            #expect(bogus.status == 64 && bogus.stderr.hasPrefix("dtrain: rank 2 on \(host): Unknown option"), "\(bogus)")
            let inspect = try Dtrain.run(["inspect", "/nonexistent"], environment: environment)
            #expect(inspect.stderr.hasPrefix("dtrain: /nonexistent: "))
        }
    }
}
