import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// Runs that are refused, or have nothing to do, beside a run that is worth keeping.
    @Suite struct RefusedResumeTests {
        private static let small = [
            "--image-size", "64x48", "--hidden", "32", "--batch-size", "10", "--synthetic-frames", "100",
            "--synthetic-test-frames", "10", "--log-every", "1", "--checkpoint-every", "2", "--validate-every", "2",
        ]

        private func dtrain(_ arguments: [String], ranks: Int = 1) throws -> Subprocess.Outcome {
            let command = [Subprocess.product("dtrain")] + Self.small + arguments
            return ranks == 1
                ? try Subprocess.run(command, timeout: 60) : try Subprocess.mpirun(ranks: ranks, command, timeout: 60)
        }

        /// A folder with a run of four steps in `run`; removed after `body`.
        private func withRun(_ arguments: [String] = [], _ body: (String) throws -> Void) throws {
            let folder = try Subprocess.temporaryFolder()
            defer { try? FileManager.default.removeItem(at: folder) }
            let run = folder.appendingPathComponent("run").path
            let outcome = try dtrain(["--steps", "4", "--run-dir", run] + arguments)
            try #require(outcome.status == 0, "\(outcome)")
            try body(run)
        }

        /// Every file's content below a folder; of links the destination.
        private func contents(_ path: String) throws -> [String: Data] {
            var result: [String: Data] = [:]
            for item in try FileManager.default.subpathsOfDirectory(atPath: path) {
                let full = "\(path)/\(item)"
                result[item] =
                    (try? FileManager.default.destinationOfSymbolicLink(atPath: full)).map { Data($0.utf8) }
                    ?? FileManager.default.contents(atPath: full) ?? Data()
            }
            return result
        }

        @Test(arguments: [
            (["--pool", "4"], "--pool 2 there, 4 here"), (["--hidden", "16"], "--hidden 32 there, 16 here"),
            (["--input", "raw"], "--input normalized there, raw here"),
            (["--output", "exp"], "--output linear there, exp here"), (["--seed", "2"], "--seed 1 there, 2 here"),
            (["--synthetic-frames", "99"], "training samples 100 there, 99 here"),
        ]) func aRefusedResumeChangesNothing(change: [String], reason: String) throws {
            try withRun { run in
                let before = try contents(run)
                #expect(before.keys.contains("checkpoints/step-00000004/state.json"))
                for checkpoint in ["auto", "\(run)/checkpoints/step-00000002"] {
                    let outcome = try dtrain(["--steps", "9", "--run-dir", run, "--resume", checkpoint] + change)
                    #expect(outcome.status == 1 && outcome.stderr.contains("is of another run: "), "\(outcome)")
                    #expect(outcome.stderr.contains(reason), "\(outcome)")
                    let after = try contents(run)
                    #expect(after == before, "--resume \(checkpoint)")
                }
            }
        }

        /// Refused with a directory of its own, which it must not make.
        @Test func aRefusedCheckpointMakesNoNewRun() throws {
            try withRun { run in
                let outcome = try dtrain([
                    "--run-dir", "\(run)-other", "--resume", "\(run)/checkpoints/step-00000002", "--seed", "2",
                ])
                #expect(outcome.status == 1 && outcome.stderr.contains("is of another run: "), "\(outcome)")
                #expect(!FileManager.default.fileExists(atPath: "\(run)-other"))
            }
        }

        @Test(arguments: ["auto", "step-00000002"]) func aResumeThatFitsStillTakesTheRunOver(resume: String) throws {
            try withRun { run in
                let checkpoint = resume == "auto" ? resume : "\(run)/checkpoints/\(resume)"
                let outcome = try dtrain(["--steps", "6", "--run-dir", run, "--resume", checkpoint])
                #expect(outcome.status == 0, "\(outcome)")
                let after = try contents(run)
                #expect(after["checkpoints/step-00000006/state.json"] != nil)
                #expect((after["checkpoints/aside-step-00000004/state.json"] != nil) == (resume != "auto"))
                let lines = try String(contentsOfFile: "\(run)/metrics.jsonl", encoding: .utf8).split(separator: "\n")
                for step in 1...6 { #expect(lines.count { $0.contains("\"step\":\(step),\"epoch\"") } == 1, "step \(step)") }
                let configuration = try String(contentsOfFile: "\(run)/config.yaml", encoding: .utf8)
                #expect(configuration.contains("\nsteps: 6\n"))
            }
        }

        /// Ranks other than 0 know neither the checkpoint nor its validation; they must not wait for each other.
        @Test(.enabled(if: Subprocess.hasMPI), arguments: [(4, []), (0, ["--save-initial"])])
        func ranksAgreeOnAResumeFromTheLastStepAndFromStepZero(step: Int, arguments: [String]) throws {
            try withRun(arguments) { run in
                let outcome = try dtrain(
                    ["--steps", "4", "--run-dir", run, "--resume", "\(run)/checkpoints/step-0000000\(step)"], ranks: 2)
                #expect(outcome.status == 0 && !outcome.timedOut, "\(outcome)")
                #expect(outcome.stdout.contains("resumed: \(run)/checkpoints/step-0000000\(step), step \(step)"))
                #expect(outcome.stdout.contains("held-out joint error: "))
            }
        }

        @Test(arguments: [(["--threads", "1"], 1), ([], 0)])
        func automaticThreadsStayAutomatic(arguments: [String], threads: Int) throws {
            try withRun(arguments) { run in
                let configuration = try String(contentsOfFile: "\(run)/config.yaml", encoding: .utf8)
                #expect(configuration.contains("\nthreads: \(threads)\n"))
            }
        }
    }
}
