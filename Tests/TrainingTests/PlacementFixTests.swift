import Collectives
import Tensors
import Testing
import Training

/// Ranks that mpirun bound to fewer processors than there are.
struct PlacementFixTests {
    private let allowed = Processors.allowed().count

    private func warning(ranks: Int = 1, requested: Int = 0, offered: Int?) throws -> String? {
        try Simulated.run(ranks: ranks) {
            try Placement.decide(communicator: $0, requested: requested, offered: offered)
        }[0].warning
    }

    @Test func aNarrowMaskIsToldWithTheFlagThatWidensIt() throws {
        let line = try #require(try warning(offered: allowed + 1))
        #expect(line.hasPrefix("mpirun binds this rank to \(allowed) of the \(allowed + 1) processors of 1 rank"))
        #expect(line.hasSuffix("hint: mpirun --bind-to none") && !line.contains("\n"))
    }

    @Test func itsShareOfTheNodeIsNoNarrowMask() throws {
        #expect(try warning(offered: allowed) == nil)
        #expect(try warning(offered: nil) == nil)
        guard allowed > 1 else { return }
        #expect(try warning(ranks: 2, offered: 2 * allowed) == nil)
        #expect(try warning(ranks: 2, offered: 2 * allowed + 2)?.hasSuffix("hint: mpirun --bind-to none") == true)
    }

    /// Who asks for no more threads than the mask has loses nothing by it.
    @Test func threadsThatFitTheMaskAreNotTold() throws {
        #expect(try warning(requested: allowed, offered: 4 * allowed) == nil)
        #expect(try warning(requested: allowed + 1, offered: 4 * allowed)?.contains("mpirun --bind-to none") == true)
    }
}
