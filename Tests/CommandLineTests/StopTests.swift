import Foundation
import Testing
import TestSupport

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

        @Test(arguments: ["TERM", "INT", "USR1", "USR2", "XCPU", "HUP"]) func oneRank(signal: String) throws {
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

        /// `nohup` keeps a run going when its terminal is closed.
        @Test func aHangUpThatIsIgnoredStaysIgnored() throws {
            let script = "trap '' HUP; (sleep 1; kill -HUP $$; sleep 1; kill -TERM $$) & exec \"$@\""
            let outcome = try Subprocess.run(
                ["sh", "-c", script, "sh", Dtrain.path] + Dtrain.small + settings + ["--steps", "1000000", "--run-dir", folder("run")])
            #expect(outcome.seconds > 1.8)
            try checkStopped(outcome)
        }

        private static let asRoot: [String: String?] = ["OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"]

        /// mpirun on two ranks within a shell script, as `"$@"`. Foundation starts processes with signals blocked, and mpirun
        /// leaves them so.
        private static func mpirun(by script: String) -> [String] {
            [
                "perl", "-MPOSIX", "-e", "POSIX::sigprocmask(SIG_SETMASK, POSIX::SigSet->new()); exec @ARGV", "sh", "-c", script, "sh",
                "mpirun", "--oversubscribe", "--bind-to", "none", "-np", "2",
            ]
        }

        /// mpirun kills its children some time after the signal; a step takes longer here, and the run goes on from the last step
        /// that was made, with the bits of one that was never stopped.
        @Test(
            .enabled(if: Dtrain.canRunRanks, Dtrain.noRanks),
            arguments: [
                ("allreduce", "INT"), ("sharded", "TERM"), ("split", "INT"), ("split", "TERM"),
            ])
        func aSignalToMPIRunLosesNothing(exchange: String, signal: String) throws {
            let run = folder("run")
            let stop = """
                "$@" & p=$!; while [ ! -s \(run)/metrics.jsonl ]; do kill -0 $p || exit 3; sleep 0.1; done
                sleep 1; kill -\(signal) $p; wait $p
                """
            // mpirun's one second is too short for the line to come through on a machine that is busy.
            let outcome = try Subprocess.run(
                Self.mpirun(by: stop) + [Dtrain.path] + Dtrain.small + settings
                    + ["--exchange", exchange, "--steps", "1000000", "--run-dir", run],
                environment: Self.asRoot.merging([
                    "DTRAIN_FAULT": "slow:step=3:times=5", "OMPI_MCA_odls_base_sigkill_timeout": "3",
                ]) { $1 })
            #expect(outcome.status == 1 && !outcome.timedOut, "\(outcome)")
            #expect(outcome.stderr.contains("dtrain: saving step "), "\(outcome)")
            let made = try #require(try Metrics(run: run).steps.last?["step"] as? Int)
            // The next start waits for what is still being saved.
            let more = settings + ["--exchange", exchange, "--resume", "auto"]
            try Dtrain.train(more + ["--steps", "1"], into: run, ranks: 2)
            let saved = try #require(
                try FileManager.default.contentsOfDirectory(atPath: folder("run/checkpoints"))
                    .filter { $0.hasPrefix("step-") }.max().flatMap { Int($0.suffix(8)) })
            #expect(saved >= made)
            let steps = ["--steps", "\(saved + 2)"]
            try Dtrain.train(more + steps, into: run, ranks: 2)
            try Dtrain.train(more + steps, into: folder("whole"), ranks: 2)
            let last = "step-" + String(repeating: "0", count: 8 - "\(saved + 2)".count) + "\(saved + 2)"
            #expect(try folder.contents("run/checkpoints/\(last)") == folder.contents("whole/checkpoints/\(last)"))
        }

        /// The second Ctrl-C ends mpirun before it has killed anybody: what is being saved is dropped.
        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) func aSecondInterruptOfMPIRunDropsIt() throws {
            let run = folder("run")
            let stop = """
                "$@" & p=$!; while [ ! -s \(run)/metrics.jsonl ]; do kill -0 $p || exit 3; sleep 0.1; done
                kill -INT $p; sleep 0.3; kill -INT $p; wait $p; exit $?
                """
            let start = Date()
            _ = try Subprocess.run(
                Self.mpirun(by: stop) + [Dtrain.path] + Dtrain.small + settings
                    + ["--steps", "1000000", "--run-dir", run, "--stall-timeout", "40"],
                environment: Self.asRoot.merging(["DTRAIN_FAULT": "stall:step=2"]) { $1 })
            let lock = folder("run/lock")
            let pid = (try? String(contentsOfFile: lock, encoding: .utf8))?.split(separator: "\n")
                .first { $0.hasPrefix("pid ") }.flatMap { pid_t($0.dropFirst(4)) }
            while let pid, kill(pid, 0) == 0, Date().timeIntervalSince(start) < 25 { usleep(50_000) }
            #expect(Date().timeIntervalSince(start) < 25)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder("run/checkpoints")) == [])
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
            // One rank makes it: another's might come when the run is over, and stop the next one.
            let script = """
                if [ "${OMPI_COMM_WORLD_RANK:-0}" = 0 ]; then
                    (while [ ! -e \(run)/metrics.jsonl ]; do sleep 0.1; done; sleep 1; touch \(run)/stop) &
                fi
                exec "$@"
                """
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
