import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// What is shown on a terminal, and in a file.
    @Suite struct TerminalTests {
        static let hasScript = FileManager.default.isExecutableFile(atPath: "/usr/bin/script")
        private let folder = try! TestFolder()

        /// Runs a command on a pseudo-terminal of its own, and returns the lines it wrote there. It is so wide that no
        /// part of a progress line is left out, also where a fast machine makes the figures long.
        private func onTerminal(_ command: [String]) throws -> [String] {
            let line = "stty columns 160; " + command.map { "'\($0)'" }.joined(separator: " ")
            let outcome = try Subprocess.run(
                ["script", "--quiet", "--return", "--command", line, "/dev/null"],
                environment: ["TERM": "", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"])
            // A terminal turns every line feed into carriage return, line feed; under mpirun there are two terminals.
            return outcome.stdout.unicodeScalars.split(separator: "\n").map { line in
                String(line).replacing(/\r+$/, with: "")
            }
        }

        private let settings = Dtrain.small + ["--steps", "15", "--log-every", "5", "--validate-every", "100"]

        @Test(.enabled(if: hasScript, "script(1) is not installed"), arguments: [1, 2])
        func onATerminalTheProgressIsOneLine(ranks: Int) throws {
            guard ranks == 1 || Dtrain.canRunRanks else { return }
            let launch = ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", "\(ranks)"]
            let lines = try onTerminal(
                (ranks == 1 ? [] : launch) + [Dtrain.path] + settings + ["--run-dir", folder("run")])
            let text = lines.joined(separator: "\n")
            for step in 1...15 { #expect(text.contains("\rstep \(step)/15  loss "), "step \(step)") }
            #expect(text.contains(/step 7\/15  loss [0-9.]+  joint error [0-9.]+ mm  [0-9]+ samples\/s  [0-9]+ ms\/step  [0-9]+ s left/))
            // What stays on the screen once every carriage return has had its effect.
            let shown = lines.map(screenLine)
            #expect(!shown.contains { $0.hasPrefix("step 7/15") })
            #expect(shown.contains { $0.hasPrefix("step 15: held-out joint error ") })
            #expect(shown.contains { $0.hasPrefix("held-out joint error: ") })
        }

        /// A line that wraps could not be rewritten. mpirun's ranks have a terminal of their own: that of mpirun counts.
        @Test(arguments: [(1, 80), (1, 40), (1, 20), (2, 60)]) func onANarrowTerminalTheProgressDoesNotWrap(ranks: Int, columns: Int) throws {
            guard ranks == 1 || Dtrain.canRunRanks else { return }
            let stream = try HeldStream.terminal(columns: columns)
            let launch = ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", "\(ranks)"]
            let process = try stream.start((ranks == 1 ? [] : launch) + [Dtrain.path] + settings + ["--run-dir", folder("run")])
            let text = stream.readAll()
            #expect(process.end(within: 30) == 0)
            let rewritten = text.split(separator: "\r").filter { $0.hasPrefix("step ") && $0.contains("/15") }
            #expect(rewritten.count >= 15)
            for line in rewritten { #expect(line.utf8.count < columns, "\(line)") }
            #expect(rewritten.contains { $0.hasPrefix("step 7/15  loss ") } || columns < 24)
            #expect(!text.contains("\nstep 7/15"))
        }

        private func screenLine(_ text: String) -> String {
            var cells: [Character] = []
            var column = 0
            for character in text {
                if character == "\r" {
                    column = 0
                } else {
                    if column < cells.count { cells[column] = character } else { cells.append(character) }
                    column += 1
                }
            }
            return String(cells).trimmingCharacters(in: .whitespaces)
        }

        @Test(.enabled(if: hasScript, "script(1) is not installed"))
        func anErrorStartsOnALineOfItsOwn() throws {
            let data = try folder.dataSet()
            let path = try BadInput.frame(folder)
            try Data("no picture".utf8).write(to: URL(fileURLWithPath: path))
            let lines = try onTerminal([Dtrain.path] + settings + ["--data", data, "--run-dir", folder("run")])
            let shown = lines.map(screenLine)
            #expect(shown.contains { $0.hasPrefix("dtrain: \(data)/Training/labels.txt:11: ") }, "\(shown)")
        }

        @Test(arguments: [1, 2]) func inAFileTheLinesArePlain(ranks: Int) throws {
            guard ranks == 1 || Dtrain.canRunRanks else { return }
            let outcome = try Dtrain.train(
                ["--steps", "15", "--log-every", "5", "--validate-every", "100"], into: folder("run"), ranks: ranks)
            #expect(!outcome.stdout.utf8.contains(UInt8(ascii: "\r")))
            let steps = outcome.lines.filter { $0.contains("/15  loss ") }.map { $0.split(separator: " ")[1] }
            #expect(steps == ["1/15", "5/15", "10/15", "15/15"])
        }
    }
}
