import Collectives
import Foundation
import Testing
import TestSupport

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
        let sentWithin: UInt64
        let sentBetween: UInt64
        let straightMessages: Int?
        let packedMessages: Int?
        let notice: String?
    }

    static let probe = Subprocess.product("mpi-probe")

    /// The reports of all ranks, in rank order.
    private func reports(_ outcome: Subprocess.Outcome) throws -> [Report] {
        #expect(outcome.status == 0, "\(outcome.stderr)")
        return try outcome.lines
            .map { try JSONDecoder().decode(Report.self, from: Data($0.utf8)) }
            .sorted { $0.rank < $1.rank }
    }

    /// What holds for every implementation. Ranks are on nodes of `ranksPerNode`; the last may have fewer.
    private func verify(_ reports: [Report], ranks: Int, ranksPerNode: Int = 100) {
        #expect(reports.map(\.rank) == Array(0..<ranks))
        for report in reports {
            #expect(report.size == ranks)
            #expect(report.wrong == [])
            #expect(report.checks.count >= 19 + ranks)
            #expect(report.node == report.rank / ranksPerNode)
            #expect(report.nodes == (ranks + ranksPerNode - 1) / ranksPerNode)
            #expect(report.localRank == report.rank % ranksPerNode)
            #expect(report.localSize == min(ranksPerNode, ranks - report.node * ranksPerNode))
        }
        #expect(Set(reports.map(\.bits)).count == 1)
    }

    private func simulated(_ ranks: Int, count: Int, ranksPerNode: Int = 100) throws -> [Report] {
        try reports(try Subprocess.run([Self.probe, "exercise", "\(count)", "1", "\(ranks)", "\(ranksPerNode)"]))
    }

    private func mpi(
        _ ranks: Int, count: Int, limit: Int = .init(Int32.max), environment: [String: String?] = [:]
    ) throws -> [Report] {
        try reports(
            try Subprocess.mpirun(
                ranks: ranks, [Self.probe, "exercise", "\(count)", "\(limit)"], environment: environment))
    }

    @Test func solo() throws {
        let alone = try reports(try Subprocess.run([Self.probe, "exercise", "1000", "7"]))
        verify(alone, ranks: 1)
        #expect(alone.map { $0.sentWithin + $0.sentBetween } == [0])
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

    @Test(arguments: [1, 2, 3, 5], [1, 2, 100])
    func simulated(ranks: Int, ranksPerNode: Int) throws {
        verify(
            try simulated(ranks, count: 1000, ranksPerNode: ranksPerNode), ranks: ranks, ranksPerNode: ranksPerNode)
    }

    /// Bits and bytes are those of simulated ranks, whatever the limit on counts.
    @Test(
        .enabled(if: Subprocess.hasMPI, "mpirun is not installed"),
        arguments: [1, 2, 3, 4, 5], [7, 1000, Int(Int32.max)])
    func mpi(ranks: Int, limit: Int) throws {
        let real = try mpi(ranks, count: 1000, limit: limit)
        verify(real, ranks: ranks)
        let simulated = try simulated(ranks, count: 1000)
        #expect(real.map(\.bits) == simulated.map(\.bits))
        #expect(real.map(\.sentWithin) == simulated.map(\.sentWithin))
        #expect(real.map(\.checks) == simulated.map(\.checks))
        #expect(real.allSatisfy { $0.notice == nil })
    }

    /// Nodes of one, two and three ranks, some with fewer; and values of several chunks.
    @Test(
        .enabled(if: Subprocess.hasMPI, "mpirun is not installed"),
        arguments: [(2, 1), (3, 1), (3, 2), (4, 2), (5, 2), (5, 3)], [1000, 150_000])
    func mpiOnPretendedNodes(ranksAndNodes: (Int, Int), count: Int) throws {
        let (ranks, ranksPerNode) = ranksAndNodes
        let real = try mpi(ranks, count: count, environment: ["DTRAIN_RANKS_PER_NODE": "\(ranksPerNode)"])
        verify(real, ranks: ranks, ranksPerNode: ranksPerNode)
        let simulated = try simulated(ranks, count: count, ranksPerNode: ranksPerNode)
        #expect(real.map(\.bits) == simulated.map(\.bits))
        #expect(real.map(\.sentWithin) == simulated.map(\.sentWithin))
        #expect(real.map(\.sentBetween) == simulated.map(\.sentBetween))
        // From each node to each other one message; a letter to every rank that is sent one, unless nodes have one rank each.
        let nodes = (ranks + ranksPerNode - 1) / ranksPerNode
        let straight = real.reduce(0) { $0 + $1.straightMessages! }
        #expect(straight >= nodes * (nodes - 1))
        #expect(real.reduce(0) { $0 + $1.packedMessages! } == (ranksPerNode == 1 ? straight : nodes * (nodes - 1)))
    }

    /// As many as there are ranks of other nodes, where nothing is packed, or nothing can be, as no memory is shared.
    @Test(
        .enabled(if: Subprocess.hasMPI, "mpirun is not installed"), arguments: ["DTRAIN_PACKING", "DTRAIN_SHARED_MEMORY"])
    func nothingIsPacked(switchedOff: String) throws {
        let real = try mpi(4, count: 1000, environment: ["DTRAIN_RANKS_PER_NODE": "2", switchedOff: "off"])
        verify(real, ranks: 4, ranksPerNode: 2)
        #expect(real.map(\.packedMessages) == real.map(\.straightMessages))
        #expect(real.reduce(0) { $0 + $1.packedMessages! } > 2)
    }

    /// Every source of shared memory, and none, give the same bits as simulated ranks.
    @Test(
        .enabled(if: Subprocess.hasMPI, "mpirun is not installed"),
        arguments: [2, 3, 5], ["auto", "memory", "file", "off"])
    func sharedMemory(ranks: Int, source: String) throws {
        let simulated = try simulated(ranks, count: 150_000)
        let real = try mpi(ranks, count: 150_000, environment: ["DTRAIN_SHARED_MEMORY": source])
        verify(real, ranks: ranks)
        #expect(real.map(\.bits) == simulated.map(\.bits))
        #expect(real.allSatisfy { $0.notice == nil })
    }

    /// A /dev/shm without room, as containers have it: one line about it, and the way through MPI.
    @Test(.enabled(if: Subprocess.hasMPI && geteuid() == 0, "needs mpirun, and root to mount a small /dev/shm"))
    func noRoomForSharedMemory() throws {
        let command = [
            "mpirun", "--oversubscribe", "--bind-to", "none", "--timeout", "60", "-np", "2", "--mca", "btl", "self,tcp",
            Self.probe, "exercise", "1000", "1000",
        ].joined(separator: " ")
        let mount = "mount -t tmpfs -o size=1m tmpfs /dev/shm"
        let outcome = try Subprocess.run(
            ["unshare", "--mount", "sh", "-c", "\(mount) || exit 77; \(command)"],
            environment: [
                "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "DTRAIN_SHARED_MEMORY": "file",
            ])
        if outcome.status == 77 || outcome.stderr.contains("unshare failed") { return }  // containers may forbid it
        let real = try reports(outcome)
        verify(real, ranks: 2)
        #expect(Set(real.map(\.notice)).count == 1)
        let notice = try #require(real[0].notice)
        #expect(notice.hasPrefix("no shared memory ("))
        #expect(notice.contains("No space left on device"))
        #expect(notice.contains("hint: "))
        let simulated = try simulated(2, count: 1000)
        #expect(real.map(\.bits) == simulated.map(\.bits))
    }

    @Test(.enabled(if: Subprocess.hasMPI, "mpirun is not installed"))
    func fewerElementsThanRanks() throws {
        verify(try mpi(4, count: 0, limit: 7), ranks: 4)
        verify(try mpi(4, count: 3, limit: 1), ranks: 4)
    }

    @Test(.enabled(if: Subprocess.hasMPI, "mpirun is not installed"))
    func aSettingOfNoMeaningIsRefused() throws {
        for (name, value) in [("DTRAIN_SHARED_MEMORY", "yes"), ("DTRAIN_RANKS_PER_NODE", "0"), ("DTRAIN_PACKING", "on")] {
            let outcome = try Subprocess.mpirun(
                ranks: 2, [Self.probe, "exercise", "10", "7"], environment: [name: value])
            #expect(outcome.status == 2)
            #expect(outcome.stderr.contains("mpi-probe: error: \(name) is \"\(value)\"; hint: "))
        }
    }
}
