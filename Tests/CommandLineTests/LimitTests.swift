import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// Limits of the process (`ulimit`): a run works within them or ends with one line, and never hangs.
    @Suite struct LimitTests {
        private let folder = try! TestFolder()

        private func limited(_ limit: String, _ arguments: [String], ranks: Int? = nil) throws -> Subprocess.Outcome {
            let command = ["sh", "-c", "ulimit -c 0; ulimit \(limit); exec \"$@\"", "sh", Dtrain.path] + arguments
            // What a shell that starts tests may have set; and Swift's own backtraces take minutes within small limits.
            let environment: [String: String?] = ["OPENBLAS_NUM_THREADS": nil, "SWIFT_BACKTRACE": "enable=no"]
            // What may pass is tried again for a while.
            guard let ranks else { return try Subprocess.run(command, environment: environment, timeout: 90) }
            return try Subprocess.mpirun(ranks: ranks, command, environment: environment, timeout: 30)
        }

        private let endless = ["--steps", "100000000", "--log-every", "1000000", "--validate-every", "1000000000"]

        private var settings: [String] { Dtrain.small + ["--steps", "10", "--run-dir", folder("run")] }

        private func expectOneLine(_ outcome: Subprocess.Outcome, _ words: String...) {
            #expect(!outcome.timedOut && outcome.status == 1, "\(outcome)")
            let lines = outcome.stderr.split(separator: "\n").filter { $0.hasPrefix("dtrain: ") }
            #expect(lines.count == 1 && lines[0].contains("; hint: "), "\(outcome)")
            for word in words { #expect(outcome.stderr.contains(word), "\(outcome)") }
        }

        /// OpenBLAS's threads, started when it is loaded, would ask for memory for ever here, and keep the end waiting.
        @Test(arguments: [150_000, 200_000, 295_000, 400_000]) func tooFewAddressesAreRefused(kilobytes: Int) throws {
            let outcome = try limited("-v \(kilobytes)", settings + ["--threads", "3"])
            expectOneLine(outcome, "not enough memory on ", "of address space for 3 threads", "ulimit -v")
        }

        @Test func enoughAddressesAreEnough() throws {
            for (threads, kilobytes) in [(1, 450_000), (2, 600_000)] {
                let outcome = try limited("-v \(kilobytes)", settings + ["--threads", "\(threads)", "--run-dir", folder("\(threads)")])
                #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
            }
        }

        /// Nobody asked for so many threads as there are processors.
        @Test(.enabled(if: ProcessInfo.processInfo.activeProcessorCount > 1, "needs several processors"))
        func fewerAddressesAreFewerThreads() throws {
            let outcome = try limited("-v 400000", settings)
            #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
            #expect(outcome.stdout.contains("warning: 1 thread instead of "), "\(outcome)")
        }

        @Test(arguments: [["--help"], ["--version"]]) func smallCommandsNeedFewAddresses(arguments: [String]) throws {
            let outcome = try limited("-v 200000", arguments)
            #expect(outcome.status == 0 && outcome.stdout != "" && outcome.seconds < 10, "\(outcome)")
        }

        /// The kernel counts the threads of a process; OpenBLAS's own are not among them, whatever the environment asks for.
        @Test(arguments: [nil, "64", "1"]) func OpenBLASHasNoThreadsOfItsOwn(asked: String?) throws {
            let shell = "\"$@\" & for i in 1 2 3 4 5 6 7 8 9; do sleep 0.2; ls /proc/$!/task | wc -l; done; kill $!; wait $!"
            let outcome = try Subprocess.run(
                ["sh", "-c", shell, "sh", Dtrain.path] + Dtrain.small + endless + ["--threads", "1", "--run-dir", folder("run")],
                environment: ["OPENBLAS_NUM_THREADS": asked])
            let counts = outcome.lines.compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
            // The main thread, the watchdog's, the loader's, the checkpoint writer's, the console's, and one that answers signals.
            #expect(counts.count == 9 && (counts.max() ?? 99) <= 6, "\(outcome)")
        }

        /// Starting anew for OpenBLAS's sake changes nothing that is seen: name, arguments, process, environment, signals.
        @Test func theStartAnewIsNotSeen() throws {
            let shell =
                "trap '' HUP; \"$@\" & sleep 1; cat /proc/$!/comm; tr '\\0' '\\n' < /proc/$!/environ | sort; "
                + "tr '\\0' ' ' < /proc/$!/cmdline; grep SigIgn /proc/$!/status; kill $!; wait $!"
            let arguments = Dtrain.small + endless + ["--run-dir", folder("run")]
            let bare = ["env", "-i", "PATH=/nowhere", "NAME=with = and spaces", "/bin/sh", "-c", "PATH=/bin:/usr/bin; " + shell, "sh"]
            let outcome = try Subprocess.run(bare + [Dtrain.path] + arguments)
            let text = outcome.stdout
            #expect(text.contains("\ndtrain\n") || text.hasPrefix("dtrain\n") || outcome.lines.contains("dtrain"), "\(text)")
            #expect(outcome.lines.contains("NAME=with = and spaces") && outcome.lines.contains("OPENBLAS_NUM_THREADS=1"))
            #expect(text.contains(([Dtrain.path] + arguments).joined(separator: " ")))
            // SIGHUP is number 1, the lowest bit.
            let ignored = try #require(text.firstMatch(of: /SigIgn:\s*([0-9a-f]+)/).flatMap { UInt64($0.1, radix: 16) })
            #expect(ignored & 1 == 1)
        }

        @Test func fewOpenFilesAreRefusedOrEnough() throws {
            for files in [4, 5, 6, 10] {
                let outcome = try limited("-n \(files)", settings + ["--run-dir", folder("\(files)")])
                if outcome.status != 0 { expectOneLine(outcome, "Too many open files", "ulimit -n") }
            }
            #expect(try limited("-n 10", settings).status == 0)
        }

        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks), arguments: [8, 16]) func ranksWithFewOpenFilesAreRefused(files: Int) throws {
            let outcome = try limited("-n \(files)", settings, ranks: 2)
            #expect(outcome.status == 1 && !outcome.timedOut)
            #expect(outcome.stderr.contains("dtrain: \(files) open files are allowed, which is too few for MPI; hint: "), "\(outcome)")
            // What the program may raise it does.
            #expect(try limited("-Sn \(files)", settings, ranks: 2).status == 0)
        }

        @Test(arguments: ["-s 32", "-s 64"]) func aStackThatIsTooSmallIsRefused(limit: String) throws {
            expectOneLine(try limited(limit, settings), "ulimit -s")
        }

        @Test(arguments: ["-s 128", "-Ss 32", "-s unlimited", "-l 0"]) func otherLimitsDoNotMatter(limit: String) throws {
            let outcome = try limited(limit, settings)
            #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
        }

        /// A file that reaches the limit is an error of its own, not the end (SIGXFSZ).
        @Test func filesThatMayNotGrowAreToldOf() throws {
            expectOneLine(try limited("-f 10", settings), "File too large", "ulimit -f")
        }

        /// Where the hard limit comes without a signal before, the run is saved all the same.
        @Test func theEndOfProcessorTimeIsSaved() throws {
            let outcome = try limited("-t 4", Dtrain.small + endless + ["--run-dir", folder("run")])
            #expect(outcome.status == 75, "\(outcome)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder("run/checkpoints")).contains { $0.hasPrefix("step-") })
        }

        /// Root is not bound by it.
        @Test(.enabled(if: getuid() == 0 && FileManager.default.isExecutableFile(atPath: "/usr/bin/setpriv"), "needs root and setpriv(1)"))
        func tooFewProcessesAreRefused() throws {
            try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: folder.path)
            for processes in [1, 2, 3, 4] {
                let shell = ["sh", "-c", "ulimit -c 0; ulimit -u \(processes); exec \"$@\"", "sh", Dtrain.path]
                let outcome = try Subprocess.run(
                    ["setpriv", "--reuid", "4321", "--clear-groups"] + shell + settings
                        + ["--threads", "1", "--run-dir", folder("\(processes)")],
                    environment: ["SWIFT_BACKTRACE": "enable=no"], timeout: 30)
                if outcome.status != 0 { expectOneLine(outcome, "cannot start a thread", "ulimit -u") }
            }
        }
    }
}
