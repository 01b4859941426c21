import Collectives
import FoundationEssentials
import Glibc
import TestSupport

// Small commands that the tests start under mpirun, as the test process itself must not start MPI.
// Each prints one JSON line a rank, or "mpi-probe: error: ..." and exits with 2.

let usage = """
    usage: mpi-probe exercise COUNT LIMIT [SIMULATED-RANKS RANKS-PER-NODE]  every collective against its definition
           mpi-probe agree [RANK ...]                         the ranks named fail, all learn of it and exit with 2
           mpi-probe die RANK                                 the rank kills itself while the others wait for it
           mpi-probe abort RANK CODE                          the rank ends all
           mpi-probe wait SECONDS                             rank 0 is late for a barrier; processor time of the others
           mpi-probe rate COUNT REPEATS                       seconds of a sum of that many floats, best of the repeats
           mpi-probe differ                                   ranks sum different numbers of values
           mpi-probe differ-few                               the same with a few numbers
           mpi-probe disagree                                 rank 0 sends more than rank 1 expects
    """

func printLine(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    // One write, so that lines of several ranks do not mix.
    let line = try encoder.encode(value) + [UInt8(ascii: "\n")]
    line.withUnsafeBytes { _ = write(STDOUT_FILENO, $0.baseAddress, $0.count) }
}

func complain(_ message: String) {
    let line = "mpi-probe: error: \(message)\n"
    line.utf8CString.withUnsafeBytes { _ = write(STDERR_FILENO, $0.baseAddress, $0.count - 1) }
}

let arguments = Array(CommandLine.arguments.dropFirst())
let numbers = arguments.dropFirst().compactMap { Int($0) }
guard let command = arguments.first, numbers.count == arguments.count - 1 else {
    complain("unknown arguments\n\(usage)")
    exit(2)
}

do {
    if command == "exercise", numbers.count == 4 {
        let count = numbers[0]
        let reports = try Simulated.run(ranks: numbers[2], ranksPerNode: numbers[3]) { try Exercise(communicator: $0, count: count).run() }
        for report in reports { try printLine(report) }
        exit(0)
    }
    let communicator = try Communicators.start(
        maximumCount: command == "exercise" && numbers.count == 2 ? numbers[1] : Int(Int32.max))
    switch (command, numbers.count) {
    case ("exercise", 2):
        try printLine(try Exercise(communicator: communicator, count: numbers[0]).run())
    case ("agree", _):
        let fails = numbers.contains(communicator.rank)
        let failures = try communicator.agree(fails ? "rank \(communicator.rank) has no data" : nil)
        if communicator.rank == 0 {
            for failure in failures { complain("rank \(failure.rank): \(failure.message)") }
        }
        communicator.finish()
        exit(failures.isEmpty ? 0 : 2)
    case ("die", 1):
        if communicator.rank == numbers[0] { kill(getpid(), SIGKILL) }
        _ = try communicator.sum(1)
    case ("abort", 2):
        if communicator.rank == numbers[0] { communicator.abort(exitCode: Int32(numbers[1])) }
        try communicator.barrier()
    case ("wait", 1):
        try communicator.barrier()
        let before = processorSeconds()
        if communicator.rank == 0 { sleep(UInt32(numbers[0])) }
        try communicator.barrier()
        try printLine(["rank": Double(communicator.rank), "processorSeconds": processorSeconds() - before])
    case ("rate", 2):
        let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: numbers[0])
        values.initialize(repeating: 0)
        var best = Double.infinity
        for _ in 0..<numbers[1] {
            try communicator.barrier()
            let start = ContinuousClock.now
            try communicator.sum(values)
            best = min(best, (ContinuousClock.now - start) / .seconds(1))
        }
        values.deallocate()
        try printLine(["rank": Double(communicator.rank), "seconds": best])
    case ("differ", 0):
        var values = [Float](repeating: 1, count: 1000 + communicator.rank)
        try values.withUnsafeMutableBufferPointer { try communicator.sum($0) }
    case ("differ-few", 0):
        var values = [Double](repeating: 1, count: 10 + communicator.rank)
        try values.withUnsafeMutableBufferPointer { try communicator.sum($0) }
    case ("disagree", 0):
        var bytes = [UInt8](repeating: 0, count: communicator.rank == 0 ? 100 : 10)
        try bytes.withUnsafeMutableBytes { buffer in
            if communicator.rank == 0 { try communicator.send(UnsafeRawBufferPointer(buffer), to: 1) }
            if communicator.rank == 1 { try communicator.receive(buffer, from: 0) }
        }
    default:
        communicator.finish()
        complain("unknown arguments\n\(usage)")
        exit(2)
    }
    communicator.finish()
} catch {
    if (error as? CollectiveError)?.isForThisProcessToPrint ?? true { complain("\(error)") }
    exit(2)
}

/// Processor time this process has used so far, in seconds, by clock_gettime(2).
func processorSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
