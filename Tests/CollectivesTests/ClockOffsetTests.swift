import Collectives
import Glibc
import System
import Testing
import TestSupport

struct ClockOffsetTests {
    @Test func clocksOfOtherNodesAreMeasuredAndThoseOfThisNodeAreOne() throws {
        let offsets = try Simulated.run(ranks: 4, ranksPerNode: 2) { communicator in
            let ahead = Double(communicator.rank) * 1000
            return try communicator.clockOffset(clock: { Stopwatch.now + ahead })
        }
        #expect(offsets[0] == 0 && offsets[1] == 0)
        // Half a round trip between threads of a busy machine.
        #expect(abs(offsets[2] - 2000) < 0.05 && abs(offsets[3] - 3000) < 0.05, "\(offsets)")
    }

    @Test func oneRankHasNothingToMeasure() throws { #expect(try Solo().clockOffset() == 0) }
}
