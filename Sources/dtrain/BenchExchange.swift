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
        let (repeats, largest, json) = (repeats, largest, json)
        RankCommand.run { communicator in
            let report = try ExchangeBenchmark(communicator: communicator, repeats: repeats, largest: largest << 20).run()
            if communicator.rank == 0 {
                for line in json ? [report.json] : report.table(total: nil) { CommandRunner.say(line) }
            }
            return 0
        }
    }
}
