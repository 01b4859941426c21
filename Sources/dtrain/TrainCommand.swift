import ArgumentParser
import Collectives
import System
import Training

struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Train the network (the default command).",
        discussion: """
            A flag beats the file given by --config, which beats the preset. Everything resolved is written to \
            RUN-DIR/config.yaml, which can be given to --config again.

            EXAMPLES
              dtrain --preset shallow --steps 300
              mpirun -np 4 dtrain --data icvl --on-bad-sample skip --run-dir runs/icvl
              dtrain --config runs/icvl/config.yaml --seed 2 --run-dir runs/second

            EXIT CODES
               0  done, or stopped by a file 'stop' in the run directory
               1  a failure, explained on standard error
              64  a wrong command line
              70  ended by the watchdog: nothing advanced
              75  stopped by a signal or --time-limit, saved: try again (mpirun says 1 where Ctrl-C or SIGTERM ended mpirun)
            """)

    @OptionGroup var options: RunOptions

    @Flag(help: "Decode every frame of --data, list all that cannot be used, and end: exit code 0, or 1 if there are any.")
    var checkData = false

    mutating func validate() throws {
        let configuration = try options.checked()
        if checkData, configuration.data == nil {
            throw ValidationError("--check-data has no data to check; hint: --data DIR")
        }
    }

    mutating func run() throws {
        let startedAt = Stopwatch.now
        let configuration = try options.checked()
        // Before there are threads. A check of the data has nothing to save.
        let supervision = checkData ? nil : Supervision.begin()
        let communicator = RankCommand.start()
        if !checkData { StopSignal.listen() }
        do {
            let notes = try RankSettings.check(configuration).run(communicator)
            if checkData {
                try DataCheck.run(configuration, communicator: communicator)
                end(communicator, supervision, exitCode: 0)
            }
            let trainer = try Trainer(
                configuration, communicator: communicator, supervision: supervision, startedAt: startedAt, notes: notes,
                configurationText: ConfigurationFile.text)
            let code = try trainer.run()
            end(communicator, supervision, exitCode: code)
        } catch let failure as TrainingFailure {
            if communicator.rank == 0 { for line in failure.lines { CommandRunner.complain(line) } }
            end(communicator, supervision, exitCode: failure.exitCode)
        } catch {
            // One rank alone met this: the others cannot know, so they are ended.
            CommandRunner.complain("rank \(communicator.rank): \(error)")
            if let supervision, !supervision.mayEndMPI(exitCode: 1) { CommandRunner.end(1) }
            communicator.abort(exitCode: 1)
        }
    }

    /// Ends the process when all is done; without MPI's own end where its daemon is gone.
    private func end(_ communicator: any Communicator, _ supervision: Supervision?, exitCode: Int32) -> Never {
        if let supervision, !supervision.mayEndMPI(exitCode: exitCode) { CommandRunner.end(exitCode) }
        communicator.finish()
        CommandRunner.end(exitCode)
    }
}
