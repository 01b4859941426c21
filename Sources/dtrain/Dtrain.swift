import ArgumentParser
import Glibc
import Telemetry

@main
struct Dtrain: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dtrain",
        abstract: "Trains a hand-joint CNN on ICVL depth frames, data-parallel over MPI ranks, on ordinary CPUs.",
        discussion: """
            `dtrain` alone is `dtrain train` on one rank; `mpirun -np 4 dtrain` trains on four. With no --data it trains on \
            built-in synthetic hands, so nothing needs downloading.

            EXAMPLES
              dtrain --steps 200
              mpirun -np 4 dtrain --data /data/icvl --on-bad-sample skip
              dtrain train --help
            """,
        version: Version.text,
        subcommands: [
            TrainCommand.self, EvaluateCommand.self, PredictCommand.self, ScoreCommand.self, ExportCommand.self, DescribeCommand.self,
            DoctorCommand.self, SynthCommand.self, InspectCommand.self, ReportCommand.self, WatchCommand.self,
            BenchCommand.self,
        ],
        defaultSubcommand: TrainCommand.self)

    static func main() {
        StandardStreams.fill()
        // A reader of our output that goes away must not kill a training; nor must a file that reaches `ulimit -f`, which is an
        // error of the write then.
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        CommandRunner.run(Self.self)
    }
}
