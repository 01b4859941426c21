import Collectives
import HandData
import Testing
import Training

struct FlagValueTests {
    @Test(arguments: [
        ("none", nil, "none"), ("90", 90, "90"), ("01:30:05", 5405, "5405"), ("0:00:01", 1, "1"), ("100:00:00", 360_000, "360000"),
    ] as [(String, Int?, String)])
    func timeLimitsAreRead(text: String, seconds: Int?, written: String) throws {
        let limit = try #require(TimeLimit(text))
        #expect(limit.seconds == seconds && limit.description == written)
        #expect(TimeLimit(limit.description) == limit)
    }

    @Test(arguments: ["", "0", "00:00:00", "-5", "+5", "5m", "1:2", "1:60:00", "1:00:60", "1:2:3:4", "1e3", " 5", "９", "99999999999"])
    func otherTimesAreNot(text: String) {
        #expect(TimeLimit(text) == nil)
    }

    @Test func changesAreRead() throws {
        #expect(try #require(ResumeChanges("none")).description == "none")
        let some = try #require(ResumeChanges("seed,batch-size"))
        #expect(some.contains(.seed) && some.contains(.batchSize) && !some.contains(.data))
        #expect(some.description == "batch-size,seed" && ResumeChanges(some.description) == some)
        for text in ["", "pool", "seed,", "seed,,data", "seed none", "none,seed"] { #expect(ResumeChanges(text) == nil, "\(text)") }
    }

    /// Reasons on different ranks: all ranks take the same one, the stop file before a signal before the time limit.
    @Test(arguments: [
        ([], nil), ([(2, .timeLimit)], .timeLimit), ([(0, .timeLimit), (1, .signal)], .signal),
        ([(2, .signal), (0, .stopFile), (0, .timeLimit)], .stopFile),
    ] as [([(Int, StopReason)], StopReason?)])
    func ranksStopForOneReason(asked: [(rank: Int, reason: StopReason)], agreed: StopReason?) throws {
        let reasons = try Simulated.run(ranks: 3) { communicator in
            var own = StepStatistics(outputs: HandLabel.valueCount, camera: Camera.icvl(width: 64, height: 48))
            for (rank, reason) in asked where rank == communicator.rank { own.setStopping(reason) }
            try own.sum(over: communicator)
            return own.stopReason
        }
        #expect(reasons == [agreed, agreed, agreed])
    }

    @Test func exitCodesSayWhatAScriptIsToDo() {
        #expect(StopReason.stopFile.exitCode == 0)
        #expect(StopReason.signal.exitCode == 75 && StopReason.timeLimit.exitCode == 75)
    }
}
