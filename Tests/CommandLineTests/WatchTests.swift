import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// The view of several lines on a terminal, in training and in `dtrain watch`.
    @Suite struct WatchTests {
        private let folder = try! TestFolder()
        private let settings =
            Dtrain.small + ["--steps", "60", "--log-every", "5", "--validate-every", "20", "--learning-rate", "1e-3"]

        @Test(arguments: [(1, 60), (1, 200), (2, 80)]) func linesAreRewrittenInPlaceAndNothingIsLeftOfThem(ranks: Int, columns: Int) throws {
            guard ranks == 1 || Dtrain.canRunRanks else { return }
            let stream = try HeldStream.terminal(columns: columns)
            let launch = ranks == 1 ? [] : ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", "\(ranks)"]
            let process = try stream.start(launch + [Dtrain.path] + settings + ["--run-dir", folder("run")], kind: "xterm")
            let text = stream.readAll()
            #expect(process.end(within: 30) == 0)
            #expect(text.contains("%  loss ") && text.contains("ms: wait ") && text.contains("\u{1B}["))
            #expect(!text.contains(/\x1B\[[0-9;]*m/), "no colours")
            var screen = Screen(columns: columns)
            screen.show(text)
            let shown = screen.texts
            #expect(shown.filter { $0.hasPrefix("step ") && $0.contains(": held-out joint error ") }.count == 3)
            #expect(!shown.contains { $0.contains("ms: wait ") || $0.contains("%  loss ") || $0.contains("/60  loss ") }, "\(shown)")
        }

        @Test func aDumbTerminalGetsPlainLines() throws {
            let stream = try HeldStream.terminal(columns: 80)
            let process = try stream.start([Dtrain.path] + settings + ["--run-dir", folder("run")], kind: "dumb")
            let text = stream.readAll().replacingOccurrences(of: "\r\n", with: "\n")
            #expect(process.end(within: 30) == 0)
            #expect(!text.contains("\u{1B}") && !text.utf8.contains(13))
            #expect(text.split(separator: "\n").filter { $0.hasPrefix("step ") && $0.contains("/60  loss ") }.count == 13)
        }

        @Test func runsAreWatchedOnATerminalAndInAPipe() throws {
            try Dtrain.train(["--steps", "10"], into: folder("one"))
            try Dtrain.train(["--steps", "5"], into: folder("two"))
            let runs = [folder("one"), folder("two")]
            let plain = try Dtrain.run(["watch"] + runs)
            #expect(plain.status == 0 && plain.lines.count == 2 && !plain.stdout.contains("\u{1B}"), "\(plain)")
            #expect(plain.lines[0].hasPrefix("one: step 10/10  loss ") && plain.lines[0].contains("  done  held-out joint error "), "\(plain)")
            for columns in [30, 60, 200] {
                let stream = try HeldStream.terminal(columns: columns)
                let process = try stream.start([Dtrain.path, "watch"] + runs, kind: "xterm")
                let text = stream.readAll()
                #expect(process.end(within: 10) == 0)
                var screen = Screen(columns: columns)
                screen.show(text)
                #expect(screen.wraps == 0 && screen.texts.allSatisfy { $0.count < columns }, "\(screen.texts)")
                #expect(screen.texts[0] == "one" && screen.texts[1].hasPrefix("step 10/10") && screen.texts.contains("two"), "\(screen.texts)")
            }
        }

        /// What else is shown while a run is being written is in `RunFollowerTests`.
        @Test func whatIsNoRunIsRefusedInOneLine() throws {
            for arguments in [[folder("none")], [folder.path], [folder("none"), "--once"]] {
                let outcome = try Dtrain.run(["watch"] + arguments)
                #expect(outcome.status == 1 && outcome.stderr.split(separator: "\n").count == 1 && outcome.stderr.contains("; hint: "), "\(outcome)")
            }
            let outcome = try Dtrain.run(["watch", folder("none"), "--interval", "0"])
            #expect(outcome.status == 64 && outcome.stderr.contains("--interval is 0"), "\(outcome)")
        }
    }
}
