import ArgumentParser
import Reports
import Telemetry
import Training

struct WatchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Follow a run, or several, from another terminal or machine, by what they write.",
        discussion: """
            It reads the run directory and changes nothing. On a terminal the view is rewritten in place; elsewhere it is a line for \
            what is new. It ends when all the runs have ended; Ctrl-C ends it, and not the runs.

            EXAMPLES
              dtrain watch runs/first
              dtrain watch runs/first runs/second --interval 5
            """)

    @Argument(help: ArgumentHelp("Run directories.", valueName: "run"))
    var runs: [String]

    @Option(help: ArgumentHelp("Seconds between looks.", valueName: "seconds"))
    var interval = 1.0

    @Flag(help: "Show the runs as they are now, and end.")
    var once = false

    mutating func validate() throws {
        guard interval >= 0.05, interval <= 3600 else {
            throw ValidationError("--interval is \(interval); hint: give seconds from 0.05 to 3600")
        }
    }

    func run() throws {
        do {
            let watch = try RunWatch(
                runs, terminal: Terminal.ofStandardOutput(), say: CommandRunner.say,
                write: { if Outlet.standardOutput.writeAndWait($0) != 0 { CommandRunner.end(0) } })
            watch.run(interval: interval, once: once)
        } catch {
            throw TrainingFailure("\(error)")
        }
    }
}
