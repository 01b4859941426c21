import ArgumentParser
import Glibc
import Tensors
import Training

/// Parses, runs, and turns every error into one clear line and an exit code.
enum CommandRunner {
    static func run(_ root: any ParsableCommand.Type) {
        do {
            var command = try root.parseAsRoot()
            requireProcessor()
            try command.run()
        } catch let failure as TrainingFailure {
            for line in failure.lines { complain(line) }
            exit(failure.exitCode)
        } catch let code as ExitCode {
            exit(code.rawValue)
        } catch {
            endOnParserError(root, error)
        }
    }

    /// Help, version, or a wrong command line. Of several ranks only the first speaks.
    private static func endOnParserError(_ root: any ParsableCommand.Type, _ error: any Error) -> Never {
        let code = root.exitCode(for: error)
        if code.isSuccess {
            if isFirstProcess { print(root.fullMessage(for: error)) }
            exit(0)
        }
        var text = String(root.message(for: error).map { $0.isNewline ? " " : $0 })
        if text.hasSuffix(".") { text.removeLast() }
        let names = root.configuration.subcommands.compactMap { $0.configuration.commandName }
        let subcommand = CommandLine.arguments.dropFirst().first.flatMap { names.contains($0) ? $0 : nil } ?? "train"
        complain(text.contains("hint:") ? text : "\(text); hint: dtrain \(subcommand) --help lists all options")
        exit(code.rawValue)
    }

    /// Prints a line of failure on standard error.
    static func complain(_ line: String) {
        if isFirstProcess { complainAnyRank(line) }
    }

    /// Prints a line of failure from whichever rank met it.
    static func complainAnyRank(_ line: String) { say("dtrain: \(line)\n") }

    private static func say(_ text: String) {
        let bytes = Array(text.utf8)
        _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// Whether this process is the one that speaks, before MPI is there to say so.
    static var isFirstProcess: Bool {
        for name in ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"] {
            if let value = getenv(name) { return String(cString: value) == "0" }
        }
        return true
    }

    private static func requireProcessor() {
        let missing = Processors.missingFeatures()
        guard missing.isEmpty else {
            complain(
                "this processor lacks \(missing.joined(separator: ", ")), which dtrain was built for; hint: build it with "
                    + "DTRAIN_MARCH=x86-64-v2 swift build -c release")
            exit(1)
        }
    }
}
