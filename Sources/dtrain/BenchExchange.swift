import ArgumentParser
import Benchmarks
import Collectives

struct BenchExchange: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exchange",
        abstract: "Collectives by size, within and between nodes, against a plain MPI_Allreduce. Under mpirun.",
        discussion: """
            Every rank needs memory for three times the largest size.

            EXAMPLES
              mpirun -np 4 dtrain bench exchange
              mpirun -np 4 --map-by ppr:2:node dtrain bench exchange --json --largest 32
            """)

    @Option(help: "Measured rounds; figures are medians.")
    var repeats = 5

    @Option(help: "Largest size, MiB; 600: the gradient of the large layer.")
    var largest = 600

    @Flag(help: "One line of JSON instead of the table.")
    var json = false

    func validate() throws {
        if let problem = Machine.debugBuildProblem { throw ValidationError(problem) }
        guard (1...100_000).contains(repeats) else {
            throw ValidationError("--repeats is \(repeats); hint: 1 to 100000, at least 5 for a figure to quote")
        }
        guard (1...65_536).contains(largest) else {
            throw ValidationError("--largest is \(largest); hint: 1 to 65536 MiB")
        }
    }

    func run() throws {
        let communicator: any Communicator
        do {
            communicator = try Communicators.start()
        } catch {
            if error.isForThisProcessToPrint { CommandRunner.endAlone(1, ["\(error)"]) }
            CommandRunner.end(1)
        }
        do {
            let report = try ExchangeBenchmark(
                communicator: communicator, repeats: repeats, largest: largest << 20
            ).run()
            if communicator.rank == 0 {
                if json { CommandRunner.say(report.json) } else { for line in report.table(total: nil) { CommandRunner.say(line) } }
            }
        } catch {
            CommandRunner.complain("rank \(communicator.rank): \(error)")
            communicator.abort(exitCode: 1)
        }
        communicator.finish()
    }
}
