import ArgumentParser
import Collectives
import FoundationEssentials
import Glibc
import System
import Telemetry
import Training

/// Parses, runs, and turns every error into one clear line and an exit code.
enum CommandRunner {
    static func run(_ root: any ParsableCommand.Type) {
        settleCoreType()
        do {
            var command = try root.parseAsRoot()
            requireProcessor()
            requireCoreType()
            try command.run()
            end(0)
        } catch let failure as TrainingFailure {
            end(failure.exitCode, failure.lines)
        } catch let code as ExitCode {
            end(code.rawValue)
        } catch {
            endOnParserError(root, error)
        }
    }

    // MARK: Output

    /// Prints a command's result; waits for who reads it. A reader who has read enough (`| head`) ends the command.
    static func say(_ line: String) {
        let code = Outlet.standardOutput.writeAndWait(line + "\n")
        if code == 0 { return }
        if code == EPIPE { end(0) }
        end(1, ["standard output: \(String(cString: strerror(code))); hint: free space where it goes to"])
    }

    /// Prints a line beside a result that programs read: on standard error.
    static func note(_ line: String) { Outlet.standardError.write(line + "\n") }

    /// Prints a line of failure on standard error, after what was said before.
    static func complain(_ line: String) {
        Outlet.standardOutput.flush(seconds: 2)
        Outlet.standardError.write("dtrain: \(line)\n")
        Outlet.standardError.flush(seconds: 2)
    }

    /// Ends the process, after a moment for who reads slowly. Not by exit(): destructors of libraries may wait for threads
    /// that never end.
    static func end(_ code: Int32, _ complaints: [String] = []) -> Never {
        for line in complaints { complain(line) }
        if let problem = Outlet.standardOutput.flush(seconds: 10) {
            complain("standard output: \(problem); hint: metrics.jsonl in the run directory has the figures")
        }
        Outlet.standardError.flush(seconds: 2)
        _exit(code)
    }

    // MARK: Before the ranks know each other

    /// Ends with an error that was met before MPI was there to tell who speaks.
    ///
    /// Most such errors are met by all ranks: the first tells, and its end ends the others. What others alone have met they
    /// tell themselves, a moment later, one after the other as the first to end ends the rest.
    static func endAlone(_ code: Int32, _ complaints: [String]) -> Never {
        guard let rank = ownRank, rank > 0 else { end(code, complaints) }
        usleep(UInt32(2_500_000 + 400_000 * min(rank - 1, 10)))
        end(code, complaints.map { "rank \(rank) on \(hostName()): \($0)" })
    }

    /// This process's number among several that its launcher started to work together; nil where it is alone.
    static var ownRank: Int? {
        let environment = ProcessInfo.processInfo.environment
        let launcher = Launcher.detect(environment)
        if launcher.isSingleProcess { return nil }
        // A variable left over from another step: who offers PMIx also names the job.
        if launcher.kind == .pmix && launcher.size == nil && environment["PMIX_NAMESPACE"] == nil { return nil }
        return launcher.rank
    }

    /// Help, version, or a wrong command line.
    private static func endOnParserError(_ root: any ParsableCommand.Type, _ error: any Error) -> Never {
        let code = root.exitCode(for: error)
        let names = root.configuration.subcommands.compactMap { $0.configuration.commandName }
        let words = CommandLine.arguments.dropFirst()
        let subcommand = words.first.flatMap { names.contains($0) ? $0 : nil } ?? "train"
        // Other commands are no work of several ranks: each process speaks for itself.
        let isShared = ["train", "evaluate"].contains(subcommand) || words.starts(with: ["bench", "exchange"])
        if code.isSuccess {
            // Help is the same on all ranks.
            if (ownRank ?? 0) == 0 { say(root.fullMessage(for: error)) }
            end(0)
        }
        var text = String(root.message(for: error).map { $0.isNewline ? " " : $0 })
        if text.hasSuffix(".") { text.removeLast() }
        text =
            CommandLineHelp.rewrite(
                text, subcommand: subcommand, subcommands: names, arguments: Array(CommandLine.arguments.dropFirst())) ?? text
        let line = text.contains("hint:") ? text : "\(text); hint: dtrain \(subcommand) --help lists all options"
        if isShared { endAlone(code.rawValue, [line]) }
        end(code.rawValue, [line])
    }

    private static func requireProcessor() {
        let missing = Processors.missingFeatures()
        guard missing.isEmpty else {
            endAlone(
                1,
                [
                    "this processor lacks \(missing.joined(separator: ", ")), which dtrain was built for; hint: build it with "
                        + "DTRAIN_MARCH=x86-64-v2 swift build -c release"
                ])
        }
    }
}
