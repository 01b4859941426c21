import Collectives
import Testing
import TestSupport

struct SimulatedTests {
    struct OwnError: Error, Equatable {}

    @Test(arguments: [1, 2, 3, 5])
    func ranksAreNumberedAndResultsAreInOrder(ranks: Int) throws {
        let seen = try Simulated.run(ranks: ranks) { [$0.rank, $0.size] }
        #expect(seen == (0..<ranks).map { [$0, ranks] })
    }

    @Test func sumsAreTakenInRankOrder() throws {
        // 1 is lost beside 2^24 one at a time, but not when the ones are added first.
        let values: [Float] = [16_777_216, 1, 1, -16_777_216]
        let sums = try Simulated.run(ranks: 4) { communicator in
            var value = [values[communicator.rank]]
            try value.withUnsafeMutableBufferPointer { try communicator.sum($0) }
            return value[0]
        }
        #expect(sums == [0, 0, 0, 0])
    }

    @Test func nodes() throws {
        let places = try Simulated.run(ranks: 5, ranksPerNode: 2) { $0.place }
        #expect(places.map(\.node) == [0, 0, 1, 1, 2])
        #expect(places.map(\.localRank) == [0, 1, 0, 1, 0])
        #expect(places.map(\.localSize) == [2, 2, 2, 2, 1])
        #expect(places.map(\.host) == ["node0", "node0", "node1", "node1", "node2"])
        #expect(places.allSatisfy { $0.nodes == 3 })
    }

    @Test(.timeLimit(.minutes(1))) func anErrorFreesTheOthers() throws {
        #expect(throws: OwnError()) {
            try Simulated.run(ranks: 4) { communicator in
                if communicator.rank == 2 { throw OwnError() }
                _ = try communicator.sum(1)
            }
        }
    }

    @Test(.timeLimit(.minutes(1))) func anErrorFreesAReceiver() throws {
        let heard = try Simulated.run(ranks: 3) { communicator -> String in
            switch communicator.rank {
            case 0:
                do {
                    var byte: [UInt8] = [0]
                    try byte.withUnsafeMutableBytes { try communicator.receive($0, from: 1) }
                    return "a message"
                } catch CollectiveError.peerEnded(_, let peer, _) {
                    return "rank \(peer) ended"
                }
            default: return ""
            }
        }
        #expect(heard[0] == "rank 1 ended")
    }

    @Test(.timeLimit(.minutes(1))) func aRankThatLeavesEarlyIsNamed() throws {
        let error = #expect(throws: CollectiveError.self) {
            try Simulated.run(ranks: 3) { communicator in
                if communicator.rank != 1 { try communicator.barrier() }
            }
        }
        #expect(error == .peerEnded(call: "barrier", peer: 1, reason: "normally"))
    }

    @Test(.timeLimit(.minutes(1))) func differentCallsAreNamed() throws {
        let error = #expect(throws: CollectiveError.self) {
            try Simulated.run(ranks: 2) { communicator in
                if communicator.rank == 0 { try communicator.barrier() } else { _ = try communicator.sum(1) }
            }
        }
        #expect(error == .callsDiffer("rank 0 barrier, rank 1 sum of doubles [1]"))
    }

    @Test func aMessageOfAnotherLengthIsRefused() throws {
        let error = #expect(throws: CollectiveError.self) {
            try Simulated.run(ranks: 2) { communicator in
                var bytes = [UInt8](repeating: 0, count: communicator.rank == 0 ? 3 : 5)
                try bytes.withUnsafeMutableBytes { buffer in
                    if communicator.rank == 0 { try communicator.send(UnsafeRawBufferPointer(buffer), to: 1) }
                    if communicator.rank == 1 { try communicator.receive(buffer, from: 0) }
                }
            }
        }
        #expect(error == .wrongLength(source: 0, expected: 5, received: 3))
    }

    @Test func manyRoundsKeepTheRanksInStep() throws {
        let sums = try Simulated.run(ranks: 3) { communicator in
            try (0..<2000).map { try communicator.sum(Double($0 * communicator.rank)) }
        }
        #expect(sums.allSatisfy { $0 == (0..<2000).map { Double($0 * 3) } })
    }

    @Test func failuresAreAgreedUpon() throws {
        let all = try Simulated.run(ranks: 4) { communicator in
            let message = [nil, "no data", nil, ""][communicator.rank]
            return [try communicator.agree(nil), try communicator.agree(message)]
        }
        let expected = [RankFailure(rank: 1, message: "no data"), RankFailure(rank: 3, message: "")]
        #expect(all == Array(repeating: [[], expected], count: 4))
    }
}
