import Foundation
import TestSupport
import Testing

extension CommandLineTests {
    /// A run that is asked to stop saves, says so, and ends with code 75; resumed, it ends as one never stopped.
    @Suite struct StopTests {
        let folder: TestFolder
        init() throws { folder = try TestFolder() }

        private let settings = ["--checkpoint-every", "1000", "--validate-every", "100000", "--synthetic-test-frames", "5"]

        private func checkStopped(_ outcome: Subprocess.Outcome) throws {
            #expect(outcome.status == 75, "\(outcome)")
            #expect(outcome.stderr.contains("stopped by a signal after step"))
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
    }
}
