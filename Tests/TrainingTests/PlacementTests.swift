import Collectives
import System
import Testing
import TestSupport
import Training

struct PlacementTests {
    private let allowed = Processors.allowed()

    /// The decisions of `ranks` ranks of which `ranksPerNode` share a node; all see this machine's processors.
    private func decide(ranks: Int, ranksPerNode: Int? = nil, requested: Int = 0) throws -> [Placement] {
        try Simulated.run(ranks: ranks, ranksPerNode: ranksPerNode) {
            try Placement.decide(communicator: $0, requested: requested)
        }
    }

    @Test func oneRankTakesEveryProcessor() throws {
        let placement = try decide(ranks: 1)[0]
        #expect(placement.threads == allowed.count)
        #expect(placement.processors == (allowed.count > 1 ? allowed : []))
        #expect(!placement.isOversubscribed && placement.warning == nil)
    }

    @Test func ranksOfANodeDivideItsProcessors() throws {
        let placements = try decide(ranks: allowed.count)
        #expect(placements.allSatisfy { $0.threads == 1 && !$0.isOversubscribed && $0.warning == nil })
        if allowed.count > 1 { #expect(placements.flatMap(\.processors) == allowed) }
    }

    @Test func ranksOfOtherNodesDoNotCount() throws {
        let placements = try decide(ranks: 3, ranksPerNode: 1)
        #expect(placements.allSatisfy { $0.threads == allowed.count && $0.warning == nil })
    }

    @Test func moreRanksThanProcessorsTakeTurnsAndAreTold() throws {
        let ranks = allowed.count + 1
        for placement in try decide(ranks: ranks) {
            #expect(placement.threads == 1 && placement.isOversubscribed && placement.processors.isEmpty)
            #expect(placement.warning?.contains("\(ranks) ranks share \(allowed.count) processors") == true)
            #expect(placement.warning?.contains("hint: ") == true)
        }
    }

    @Test func tooManyThreadsAreTold() throws {
        let requested = allowed.count + 3
        let alone = try decide(ranks: 1, requested: requested)[0]
        #expect(alone.threads == requested && alone.isOversubscribed && alone.processors.isEmpty)
        #expect(alone.warning?.contains("\(requested) threads on \(allowed.count) processors") == true)
        #expect(alone.warning?.contains("hint: --threads \(allowed.count)") == true)
    }

    @Test func ranksTimesThreadsAreTold() throws {
        guard allowed.count > 1 else { return }
        let placement = try decide(ranks: 2, requested: allowed.count)[1]
        #expect(placement.warning?.contains("2 ranks x \(allowed.count) threads on \(allowed.count) processors") == true)
        #expect(placement.warning?.contains("hint: --threads \(allowed.count / 2)") == true)
    }

    /// A run beside others on part of a machine must not be pinned onto the same first cores.
    @Test func fewerThreadsThanProcessorsAreNotPinned() throws {
        guard allowed.count > 1 else { return }
        #expect(try decide(ranks: 1, requested: allowed.count - 1)[0].processors.isEmpty)
    }
}
