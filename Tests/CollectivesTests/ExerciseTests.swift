import Collectives
import Foundation
import TestSupport
import Testing

/// Every collective against its definition, on each implementation, in processes of `mpi-probe`.
@Suite(.serialized) struct ExerciseTests {
    struct Report: Decodable, Equatable {
        let rank: Int
        let size: Int
        let host: String
        let node: Int
        let nodes: Int
        let localRank: Int
        let localSize: Int
        let checks: [String]
        let wrong: [String]
        let bits: String
        let bytesSent: UInt64
    }

    static let probe = Subprocess.product("mpi-probe")

    /// The reports of all ranks, in rank order.
    private func reports(_ outcome: Subprocess.Outcome) throws -> [Report] {
        #expect(outcome.status == 0, "\(outcome.stderr)")
        return try outcome.lines
            .map { try JSONDecoder().decode(Report.self, from: Data($0.utf8)) }
            .sorted { $0.rank < $1.rank }
    }

    /// What holds for every implementation.
    private func verify(_ reports: [Report], ranks: Int) {
        #expect(reports.map(\.rank) == Array(0..<ranks))
        for report in reports {
            #expect(report.size == ranks)
            #expect(report.wrong == [])
            #expect(report.checks.count >= 11 + ranks)
            #expect(report.localRank == report.rank && report.localSize == ranks)
            #expect(report.node == 0 && report.nodes == 1)
        }
        #expect(Set(reports.map(\.bits)).count == 1)
    }

    @Test func solo() throws {
        let alone = try reports(try Subprocess.run([Self.probe, "exercise", "1000", "7"]))
        verify(alone, ranks: 1)
        #expect(alone.map(\.bytesSent) == [0])
    }

    @Test(.enabled(if: Subprocess.hasMPI, "mpirun is not installed"))
    func soloDoesNotStartMPI() throws {
        // With a message layer that does not exist, MPI_Init fails.
        let broken = ["OMPI_MCA_pml": "none-such"]
        let two = try Subprocess.mpirun(ranks: 2, [Self.probe, "exercise", "10", "7"], environment: broken)
        #expect(two.status != 0)
        let one = try Subprocess.mpirun(ranks: 1, [Self.probe, "exercise", "10", "7"], environment: broken)
        verify(try reports(one), ranks: 1)
        let alone = try Subprocess.run([Self.probe, "exercise", "10", "7"], environment: broken)
        verify(try reports(alone), ranks: 1)
    }

    @Test(arguments: [1, 2, 3, 5])
    func simulated(ranks: Int) throws {
        verify(try reports(try Subprocess.run([Self.probe, "exercise", "1000", "1000", "\(ranks)"])), ranks: ranks)
    }

    @Test(
        .enabled(if: Subprocess.hasMPI, "mpirun is not installed"),
        arguments: [1, 2, 3, 4, 5], [7, 1000, Int(Int32.max)])
    func mpi(ranks: Int, limit: Int) throws {
        let real = try reports(try Subprocess.mpirun(ranks: ranks, [Self.probe, "exercise", "1000", "\(limit)"]))
        verify(real, ranks: ranks)
        let simulated = try reports(try Subprocess.run([Self.probe, "exercise", "1000", "1000", "\(ranks)"]))
        #expect(real.map(\.bytesSent) == simulated.map(\.bytesSent))
        #expect(real.map(\.checks) == simulated.map(\.checks))
    }

    @Test(.enabled(if: Subprocess.hasMPI, "mpirun is not installed"), arguments: [2, 3])
    func mpiGivesTheSameBitsInEveryRun(ranks: Int) throws {
        // Large enough for the library's pipelined algorithms.
        let bits = try (0..<3).map { _ in
            try reports(
                try Subprocess.mpirun(ranks: ranks, [Self.probe, "exercise", "600000", "\(Int32.max)"])
            )[0].bits
        }
        #expect(Set(bits).count == 1)
    }

    @Test(.enabled(if: Subprocess.hasMPI, "mpirun is not installed"))
    func fewerElementsThanRanks() throws {
        verify(try reports(try Subprocess.mpirun(ranks: 4, [Self.probe, "exercise", "0", "7"])), ranks: 4)
        verify(try reports(try Subprocess.mpirun(ranks: 4, [Self.probe, "exercise", "3", "1"])), ranks: 4)
    }
}
