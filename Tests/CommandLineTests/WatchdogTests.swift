import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// Runs that hang, or lose a rank or their launcher: they end, and say why.
    @Suite struct WatchdogTests {
        private let folder = try! TestFolder()

        private let endless = ["--steps", "100000000", "--log-every", "1000000", "--validate-every", "1000000000"]

        /// `command` in place of the program on one rank; `"$@"` is the program.
        private func shell(onRank rank: Int, _ command: String) -> [String] {
            [
                "sh", "-c", "if [ \"$OMPI_COMM_WORLD_RANK\" = \(rank) ]; then \(command); else exec \"$@\"; fi", "sh", Dtrain.path,
            ]
        }

        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks), arguments: [0, 2])
        func aRankThatHangsIsNamed(rank: Int) throws {
            let outcome = try Dtrain.run(
                Dtrain.small + endless + ["--stall-timeout", "3", "--run-dir", folder("run")], ranks: 3,
                environment: ["DTRAIN_FAULT": "stall:rank=\(rank):step=5"])
            #expect(outcome.status == 70 && !outcome.timedOut && outcome.seconds < 20, "\(outcome)")
            let lines = outcome.stderr.split(separator: "\n").filter { $0.hasPrefix("dtrain: ") }
            #expect(lines.count == 1)
            let line = try #require(lines.first)
            #expect(line.hasPrefix("dtrain: no progress for 3 s, so the run ends; rank 0 on \(ProcessInfo.processInfo.hostName): "))
            #expect(line.contains("; furthest behind: rank \(rank); hint: "))
            for other in 0..<3 where other != rank { #expect(line.contains("rank \(other) on ") && line.contains("step 5, agreeing on the step")) }
            #expect(line.contains("rank \(rank) on \(ProcessInfo.processInfo.hostName): step 5, forward, "))
        }

        @Test func aRankAloneThatHangsEndsToo() throws {
            let outcome = try Dtrain.run(
                Dtrain.small + endless + ["--stall-timeout", "2", "--run-dir", folder("run")],
                environment: ["DTRAIN_FAULT": "stall:step=3"])
            #expect(outcome.status == 70 && outcome.seconds < 20, "\(outcome)")
            #expect(outcome.stderr.hasPrefix("dtrain: no progress for 2 s, so the run ends; rank 0 on "))
            #expect(outcome.stderr.contains("step 3, forward, "))
        }

        /// A stopped process can say nothing; the others do, and it does not survive them.
        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks), arguments: [0, 1])
        func aStoppedRankEndsTheRun(rank: Int) throws {
            let outcome = try Subprocess.mpirun(
                ranks: 3,
                shell(onRank: rank, "echo $$ > \(folder("pid")); (sleep 3; kill -STOP $$) & exec \"$@\"") + Dtrain.small + endless
                    + ["--stall-timeout", "3", "--run-dir", folder("run")], timeout: 50)
            #expect(outcome.status == 70 && !outcome.timedOut && outcome.seconds < 25, "\(outcome)")
            #expect(outcome.stderr.contains("(stopped)") && outcome.stderr.contains("; furthest behind: rank \(rank); hint: "))
            let process = try #require(
                pid_t(try String(contentsOfFile: folder("pid"), encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)))
            for _ in 0..<100 where !isGone(process) { usleep(50_000) }
            #expect(isGone(process))
        }

        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) func aRankThatDiesEndsTheOthers() throws {
            let start = Date()
            let outcome = try Subprocess.mpirun(
                ranks: 3,
                shell(onRank: 1, "(sleep 3; date +%s.%N > \(folder("died")); kill -KILL $$) & exec \"$@\"") + Dtrain.small + endless
                    + ["--checkpoint-every", "20", "--run-dir", folder("run")], timeout: 50)
            let died = try #require(
                Double(try String(contentsOfFile: folder("died"), encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)))
            #expect(outcome.status != 0 && !outcome.timedOut)
            #expect(start.timeIntervalSince1970 + outcome.seconds - died < 10)
            // mpirun's own words come last.
            #expect(outcome.stderr.contains("on signal 9"), "\(outcome.stderr)")
            let end = try Dtrain.run(
                Dtrain.small + ["--steps", "1", "--resume", "auto", "--run-dir", folder("run")])
            #expect(end.stdout.contains("nothing to do") || end.stdout.contains("step 1/1"), "\(end)")
        }

        /// Nobody tells ranks that their launcher was killed; they notice, and give the run directory back.
        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) func ranksEndWithTheirLauncher() throws {
            _ = try Subprocess.run(
                [
                    "timeout", "-s", "KILL", "4", "mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-np", "2", "sh",
                    "-c", "echo $$ > \(folder("pid"))$OMPI_COMM_WORLD_RANK; exec \"$@\"", "sh", Dtrain.path,
                ] + Dtrain.small + endless + ["--checkpoint-every", "20", "--run-dir", folder("run")])
            let processes = try (0..<2).map {
                try #require(
                    pid_t(try String(contentsOfFile: folder("pid\($0)"), encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)))
            }
            let start = Date()
            while !processes.allSatisfy(isGone), Date().timeIntervalSince(start) < 15 { usleep(50_000) }
            #expect(Date().timeIntervalSince(start) < 10)
            let next = try Dtrain.run(
                Dtrain.small + ["--time-limit", "1", "--resume", "auto", "--run-dir", folder("run"), "--steps", "100000000"])
            #expect(next.status == 75, "\(next)")
        }

        @Test func aFaultThatIsNoneIsRefused() throws {
            let outcome = try Dtrain.run(
                Dtrain.small + ["--steps", "1", "--run-dir", folder("run")], environment: ["DTRAIN_FAULT": "stall:stepp=3"])
            #expect(outcome.status == 1)
            #expect(outcome.stderr.hasPrefix("dtrain: DTRAIN_FAULT: 'stall:stepp=3' is no fault; hint: "))
        }

        private func isGone(_ process: pid_t) -> Bool {
            guard let stat = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8) else { return true }
            return stat.contains(") Z ")
        }
    }
}
