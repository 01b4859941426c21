import Foundation
import TestSupport
import Testing

extension CommandLineTests {
    /// A run that is asked to stop saves, says so, and ends with code 75; resumed, it ends as one never stopped.
    @Suite struct StopTests {
        let folder: TestFolder
        init() throws { folder = try TestFolder() }

        private let settings = ["--checkpoint-every", "1000", "--validate-every", "100000", "--synthetic-test-frames", "5"]

        private func checkStopped(_ outcome: Subprocess.Outcome, _ reason: String = "by a signal") throws {
            #expect(outcome.status == 75, "\(outcome)")
            #expect(outcome.stderr.contains("stopped \(reason) after step"))
            try checkSaved()
        }

        /// The checkpoint that was left goes on as a run that never stopped.
        private func checkSaved() throws {
            let saved = try #require(
                try FileManager.default.contentsOfDirectory(atPath: folder("run/checkpoints"))
                    .filter { $0.hasPrefix("step-") }.max().flatMap { Int($0.suffix(8)) })
            let steps = ["--steps", "\(saved + 3)"]
            try Dtrain.train(settings + steps + ["--resume", "auto"], into: folder("run"))
            try Dtrain.train(settings + steps, into: folder("whole"))
            let metrics = (try Metrics(run: folder("run")), try Metrics(run: folder("whole")))
            expectAgreement(metrics.0.losses, metrics.1.losses, tolerance: 1e-4)
        }

        @Test(arguments: ["TERM", "INT", "USR1"]) func oneRank(signal: String) throws {
            try checkStopped(
                try Subprocess.run(
                    ["timeout", "--preserve-status", "-s", signal, "1", Dtrain.path] + Dtrain.small + settings
                        + ["--steps", "1000000", "--run-dir", folder("run")]))
        }

        /// The signal reaches rank 1 alone; rank 0 learns of it at the step's end.
        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) func oneOfTwoRanks() throws {
            let script = """
                if [ "$OMPI_COMM_WORLD_RANK" = 1 ]; then exec timeout --preserve-status -s TERM 2 "$@"; else exec "$@"; fi
                """
            try checkStopped(
                try Subprocess.mpirun(
                    ranks: 2,
                    ["sh", "-c", script, "sh", Dtrain.path] + Dtrain.small + settings
                        + ["--steps", "1000000", "--run-dir", folder("run")], timeout: 60))
        }

        @Test(arguments: [1, 2]) func theTimeLimitSaves(ranks: Int) throws {
            guard ranks == 1 || Dtrain.canRunRanks else { return }
            let outcome = try Dtrain.run(
                Dtrain.small + settings + ["--steps", "1000000", "--time-limit", "00:00:02", "--run-dir", folder("run")],
                ranks: ranks == 1 ? nil : ranks)
            try checkStopped(outcome, "by --time-limit")
        }

        /// The last step done within the limit leaves nothing to try again.
        @Test func aRunThatIsDoneInTimeEndsWell() throws {
            let outcome = try Dtrain.train(settings + ["--steps", "3", "--time-limit", "3600"], into: folder("run"))
            #expect(!outcome.stdout.contains("stopped"))
        }

        @Test(arguments: [1, 2]) func theStopFileSavesAndGoes(ranks: Int) throws {
            guard ranks == 1 || Dtrain.canRunRanks else { return }
            let run = folder("run")
            let script = "(while [ ! -e \(run)/metrics.jsonl ]; do sleep 0.1; done; sleep 1; touch \(run)/stop) & exec \"$@\""
            let command = ["sh", "-c", script, "sh", Dtrain.path] + Dtrain.small + settings + ["--steps", "1000000", "--run-dir", run]
            let outcome =
                ranks == 1 ? try Subprocess.run(command) : try Subprocess.mpirun(ranks: ranks, command, timeout: 60)
            #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
            #expect(outcome.stdout.contains("stopped by the file 'stop' in its directory after step "))
            try checkSaved()
        }

        @Test func theStopFileIsRemoved() throws {
            try Dtrain.train(["--steps", "1"], into: folder("run"))
            _ = try folder.write("", to: "run/stop")
            let outcome = try Dtrain.train(["--steps", "1000000", "--resume", "auto"], into: folder("run"))
            #expect(outcome.stdout.contains("stopped by the file 'stop' in its directory after step 2"))
            #expect(!FileManager.default.fileExists(atPath: folder("run/stop")))
        }

        /// While a step or a checkpoint hangs the first SIGINT has no effect; the second ends the process at once.
        @Test func aSecondInterruptEndsAtOnce() throws {
            let script = "(sleep 2; kill -INT $$; sleep 1; kill -INT $$) & exec \"$@\""
            let outcome = try Subprocess.run(
                ["sh", "-c", script, "sh", Dtrain.path] + Dtrain.small + settings
                    + ["--steps", "1000000", "--stall-timeout", "30", "--run-dir", folder("run")],
                environment: ["DTRAIN_FAULT": "stall:step=2"])
            #expect(outcome.status == 130 && outcome.seconds < 20, "\(outcome)")
        }
    }
}
