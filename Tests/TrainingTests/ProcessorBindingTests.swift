import Collectives
import System
import Testing
import TestSupport
import Training

/// Ranks that mpirun bound to fewer processors than there are.
struct ProcessorBindingTests {
    private let allowed = Processors.allowed().count

    /// - Parameter offered: how many processors mpirun may use: those of this process first.
    private func warning(ranks: Int = 1, requested: Int = 0, offered: Int?) throws -> String? {
        let own = Processors.allowed()
        let list = offered.map { own + Array(own.last! + 1..<own.last! + 1 + max(0, $0 - own.count)) }
        return try Simulated.run(ranks: ranks) {
            try Placement.decide(communicator: $0, requested: requested, offered: list)
        }[0].warning
    }

    /// Open MPI on several nodes binds by the first node's processors; a daemon that may use others has no say.
    @Test func processorsThatTheDaemonMayNotUseAreTold() throws {
        let others = [4094, 4095]
        let placement = try Simulated.run(ranks: 1) { try Placement.decide(communicator: $0, requested: 1, offered: others) }[0]
        let line = try #require(placement.warning)
        #expect(line.contains("may use processors 4094-4095 only") && line.hasSuffix("hint: mpirun --bind-to none"))
        #expect(placement.bound == Processors.allowed())
    }

    @Test func misfitsOfOtherRanksAreToldOnceWithTheirRank() throws {
        let lines = try Simulated.run(ranks: 3) { communicator in
            let offered = communicator.rank == 0 ? nil : [4095]
            return try Placement.decide(communicator: communicator, requested: 1, offered: offered).warnings(of: communicator)
        }
        let strayed = lines[0].filter { $0.contains("4095") }
        #expect(strayed.count == 1 && strayed[0].hasPrefix("rank 1 on "))
        #expect(lines[1] == lines[0])
    }

    @Test func aNarrowMaskIsToldWithTheFlagThatWidensIt() throws {
        let line = try #require(try warning(offered: allowed + 1))
        #expect(line.hasPrefix("mpirun binds this rank to \(allowed) processor"))
        #expect(line.contains("its share of the node is \(allowed + 1),"))
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
