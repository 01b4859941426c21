import ArgumentParser
import Reports
import Training

struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Write a page (HTML) that shows a run, or compares several.",
        discussion: """
            The page needs no network and no other file. It shows curves, success shares, where a step's time went, the exchange, \
            checkpoints, and warnings with their cures. A run that is still being written can be shown too.

            EXAMPLES
              dtrain report runs/first
              dtrain report runs/first runs/second --output comparison.html
            """)

    @Argument(help: ArgumentHelp("Run directories; several are compared.", valueName: "run"))
    var runs: [String]

    @Option(
        help: ArgumentHelp(
            "The page's file (default: RUN/report.html; of several runs, comparison.html here).", valueName: "file"))
    var output: String?

    func run() throws {
        do {
            let page = try Report.write(runs, to: output)
            CommandRunner.say("\(page.path): \((page.bytes + 1023) / 1024) kB; open it in a browser")
        } catch {
            throw TrainingFailure("\(error)")
        }
    }
}
