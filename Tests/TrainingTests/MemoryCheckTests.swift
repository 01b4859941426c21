import Collectives
import Testing
import TestSupport
import Training

struct MemoryCheckTests {
    private func failure(ranks: Int, ranksPerNode: Int? = nil, needed: @escaping @Sendable (Int) -> Int) -> TrainingFailure? {
        do {
            _ = try Simulated.run(ranks: ranks, ranksPerNode: ranksPerNode) {
                try MemoryCheck.run(needed: needed($0.rank), communicator: $0)
            }
            return nil
        } catch {
            return error as? TrainingFailure
        }
    }

    @Test func thisMachineHasSome() throws {
        let available = try #require(MemoryCheck.available())
        #expect(available > 1 << 20)
        #expect(available < 1 << 50)
    }

    @Test func littleIsGranted() {
        #expect(failure(ranks: 1) { _ in 1 } == nil)
        #expect(failure(ranks: 5, ranksPerNode: 2) { _ in 1 << 10 } == nil)
    }

    @Test func tooMuchIsRefusedWithNumbersAndAHint() throws {
        let failure = try #require(failure(ranks: 1) { _ in 1 << 60 })
        #expect(failure.lines.count == 1 && failure.exitCode == 1)
        #expect(failure.description.hasPrefix("not enough memory on node0: 1 rank needs 1152921504.61 GB, "))
        #expect(failure.description.contains("hint: fewer ranks a node, a smaller --batch-size"))
    }

    /// What each rank could have alone, two of a node cannot have.
    @Test func ranksOfANodeAreAddedUp() throws {
        let share = try #require(MemoryCheck.available()) / 5 * 3
        let together = try #require(failure(ranks: 2) { _ in share })
        #expect(together.description.contains("2 ranks need"))
        #expect(failure(ranks: 2, ranksPerNode: 1) { _ in share } == nil)
    }

    @Test func theNodeThatLacksItIsNamed() throws {
        let failure = try #require(failure(ranks: 4, ranksPerNode: 2) { $0 == 3 ? 1 << 60 : 1 })
        #expect(failure.description.contains("not enough memory on node1: 2 ranks need"))
    }
}
