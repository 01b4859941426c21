import Collectives
import System
import Testing
import TestSupport
import Training

struct ReplicaCheckTests {
    private static let count = 700_001

    private static func values() -> [Float] { (0..<count).map { Float($0 % 1013) * 0.25 - 77 } }

    private static func hash(_ values: [Float], threads: Int) -> UInt64 {
        values.withUnsafeBufferPointer { values in
            let parts = [
                UnsafeBufferPointer(rebasing: values[..<300_000]), UnsafeBufferPointer(rebasing: values[300_000...]),
            ]
            return ReplicaCheck(parts, team: try! WorkerTeam(count: threads, spins: 0)).hash()
        }
    }

    @Test func theHashDoesNotDependOnThreads() {
        let values = Self.values()
        #expect(Set((1...4).map { Self.hash(values, threads: $0) }).count == 1)
    }

    /// One bit anywhere, at the ends of blocks and parts too.
    @Test(arguments: [0, 262_143, 262_144, 299_999, 300_000, 562_143, 700_000]) func anyBitIsSeen(place: Int) {
        var values = Self.values()
        let before = Self.hash(values, threads: 2)
        values[place] = Float(bitPattern: values[place].bitPattern ^ 1)
        #expect(Self.hash(values, threads: 2) != before)
    }

    @Test func ranksThatAgreeAreLeftAlone() throws {
        let problems = try Simulated.run(ranks: 3) { communicator in
            try Self.problem(communicator, flippedRank: nil)
        }
        #expect(problems == [nil, nil, nil])
    }

    @Test(arguments: 0..<4) func theRankThatDiffersIsNamedByAll(rank: Int) throws {
        let problems = try Simulated.run(ranks: 4) { communicator in
            try Self.problem(communicator, flippedRank: rank)
        }
        #expect(Set(problems) == ["the weights of rank \(rank) differ from those of the other 3 ranks"])
    }

    private static func problem(_ communicator: any Communicator, flippedRank: Int?) throws -> String? {
        var values = (0..<1000).map { Float($0) }
        if communicator.rank == flippedRank { values[500] = Float(bitPattern: values[500].bitPattern ^ 4) }
        return try values.withUnsafeBufferPointer {
            try ReplicaCheck([$0], team: try WorkerTeam(count: 1)).problem(communicator: communicator)
        }
    }

    @Test(
        arguments: [
            ([1, 1, 1], nil), ([5], nil),
            ([1, 2], "the weights of rank 0 and rank 1 differ, and no majority says who is right"),
            ([1, 2, 1, 2], "the weights of ranks 0, 2 and ranks 1, 3 differ, and no majority says who is right"),
            ([3, 1, 3, 2, 3], "the weights of ranks 1, 3 differ from those of the other 3 ranks"),
        ] as [([UInt64], String?)])
    func theMinorityIsNamed(hashes: [UInt64], problem: String?) {
        #expect(ReplicaCheck.problem(hashes) == problem)
    }
}
