import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// Standard streams that are closed, full, or read by nobody: the run is not harmed.
    @Suite struct StandardStreamTests {
        private let folder = try! TestFolder()

        /// Runs the program with redirections that a shell makes.
        private func shell(_ redirections: String, _ arguments: [String]) throws -> Subprocess.Outcome {
            try Subprocess.run(["sh", "-c", "\"$@\" \(redirections)", "sh", Dtrain.path] + arguments)
        }

        @Test(arguments: [">&-", "<&- >&- 2>&-", "<&-", "2>&-", "<&- 2>&-"])
        func closedStreamsAreNobodysFiles(redirections: String) throws {
            let outcome = try shell(
                redirections, Dtrain.small + ["--steps", "10", "--checkpoint-every", "5", "--run-dir", folder("run")])
            #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
            #expect(try Metrics(run: folder("run")).losses.count == 10)
            let checkpoints = try FileManager.default.contentsOfDirectory(atPath: folder("run/checkpoints")).sorted()
            #expect(checkpoints == ["best", "step-00000005", "step-00000010"])
        }

        /// Each gets the same weights, whatever happens to what it says.
        @Test func aReaderWhoPausesDoesNotStopTheRun() throws {
            let stream = try HeldStream.smallPipe()
            let errors = folder("errors")
            _ = FileManager.default.createFile(atPath: errors, contents: nil)
            let process = try stream.start(
                [Dtrain.path] + Dtrain.small + [
                    "--steps", "1000", "--validate-every", "1000000", "--stall-timeout", "2", "--run-dir", folder("run"),
                ], standardError: try #require(FileHandle(forWritingAtPath: errors)))
            #expect(process.end(within: 60) == 0)
            #expect(try Metrics(run: folder("run")).losses.count == 1000)
            let text = try String(contentsOfFile: errors, encoding: .utf8)
            #expect(text.hasPrefix("dtrain: standard output: "), "\(text)")
            #expect(text.contains(" lines could not be written: its reader does not read; hint: "))
        }

        /// On a terminal that is stopped (Ctrl-S) nothing is said of progress that would have been overwritten.
        @Test func aTerminalThatIsStoppedDoesNotStopTheRun() throws {
            let stream = try HeldStream.terminal(columns: 120)
            try #require(tcflow(stream.inner.fileDescriptor, TCOOFF) == 0)
            let process = try stream.start(
                [Dtrain.path] + Dtrain.small + ["--steps", "1000", "--stall-timeout", "2", "--run-dir", folder("run")])
            #expect(process.end(within: 60) == 0)
            #expect(try Metrics(run: folder("run")).losses.count == 1000)
        }

        @Test func aReaderWhoReadsOnMissesNothingThatFits() throws {
            let stream = try HeldStream.smallPipe()
            stream.doNotBlock()
            let process = try stream.start([Dtrain.path] + Dtrain.small + ["--steps", "300", "--run-dir", folder("run")])
            usleep(1_500_000)
            let lines = stream.readAll().split(separator: "\n")
            #expect(process.end(within: 20) == 0)
            let steps = lines.filter { $0.contains("/300  loss ") }.map { $0.split(separator: " ")[1] }
            #expect(steps == (1...300).map { "\($0)/300" })
            #expect(lines.last?.hasPrefix("test joint error: ") == true)
        }

        @Test func aFullDiskLosesLinesOfTheLogAndSaysSo() throws {
            let outcome = try shell("> /dev/full", Dtrain.small + ["--steps", "5", "--run-dir", folder("run")])
            #expect(outcome.status == 0)
            #expect(outcome.stderr.hasPrefix("dtrain: standard output: "), "\(outcome)")
            #expect(outcome.stderr.contains(" lines could not be written: No space left on device; hint: "))
            #expect(try Metrics(run: folder("run")).losses.count == 5)
        }

        @Test func aResultThatCannotBeWrittenIsAFailure() throws {
            try Dtrain.train(["--steps", "1"], into: folder("run"))
            for arguments in [["inspect", folder("run/checkpoints/best")], ["--help"], ["--version"]] {
                let outcome = try shell("> /dev/full", arguments)
                #expect(outcome.status == 1)
                #expect(
                    outcome.stderr == "dtrain: standard output: No space left on device; hint: free space where it goes to\n")
            }
        }

        @Test func aReaderWhoHasReadEnoughEndsACommandInSilence() throws {
            try Dtrain.train(["--steps", "1"], into: folder("run"))
            let outcome = try Subprocess.run([
                "sh", "-c", "(sleep 0.3; \"$@\"; echo $? >&2) | true", "sh", Dtrain.path, "inspect", folder("run/checkpoints/best"),
            ])
            #expect(outcome.stderr == "0\n")
        }

        /// A result waits for its reader, also where the descriptor does not.
        @Test func aResultIsWholeOnADescriptorThatDoesNotBlock() throws {
            try Dtrain.train(["--steps", "1"], into: folder("run"))
            let command = [Dtrain.path, "inspect", folder("run/checkpoints/best"), "--optimizer"]
            let expected = try Subprocess.run(command).stdout
            let stream = try HeldStream.smallPipe()
            stream.doNotBlock()
            let filling = String(repeating: "x", count: 4000)
            try stream.inner.write(contentsOf: Data(filling.utf8))
            let process = try stream.start(command)
            usleep(500_000)
            #expect(stream.readAll() == filling + expected)
            #expect(process.end(within: 20) == 0)
        }

        @Test func anErrorThatNobodyReadsEndsTheProgramAllTheSame() throws {
            let stream = try HeldStream.smallPipe()
            stream.doNotBlock()
            while write(stream.inner.fileDescriptor, "x", 1) == 1 {}
            _ = fcntl(stream.inner.fileDescriptor, F_SETFL, 0)
            let start = Date()
            let outcome = try HeldStream.smallPipe().start([Dtrain.path, "--bogus"], standardError: stream.inner)
            #expect(outcome.end(within: 20) == 64)
            #expect(Date().timeIntervalSince(start) < 10)
        }
    }
}
