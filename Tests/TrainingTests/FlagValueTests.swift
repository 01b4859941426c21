import Collectives
import HandData
import Optimizers
import Testing
import TestSupport
import Training

struct FlagValueTests {
    @Test(
        arguments: [
            ("none", nil, "none"), ("90", 90, "90"), ("01:30:05", 5405, "5405"), ("0:00:01", 1, "1"), ("100:00:00", 360_000, "360000"),
            ("10m", 600, "600"), ("2h", 7200, "7200"), ("90s", 90, "90"), ("1h30m", 5400, "5400"), ("1d2h3m4s", 93_784, "93784"),
        ] as [(String, Int?, String)])
    func timeLimitsAreRead(text: String, seconds: Int?, written: String) throws {
        let limit = try TimeLimit(parsing: text)
        #expect(limit.seconds == seconds && limit.description == written)
        #expect(try TimeLimit(parsing: limit.description) == limit)
    }

    @Test(arguments: [
        "", "0", "00:00:00", "-5", "+5", "m", "0h", "5x", "5m1h", "1h1h", "1h30", "1:30m", "9999999999h", "1:2", "1:60:00",
        "1:00:60", "1:2:3:4", "1e3", " 5", "９", "99999999999",
    ])
    func otherTimesAreNot(text: String) {
        let error = #expect(throws: SettingError.self) { try TimeLimit(parsing: text) }
        #expect(error?.description.hasPrefix("--time-limit is '\(text)'; hint: ") == true)
    }

    @Test func changesAreRead() throws {
        #expect(try ResumeChanges(parsing: "none").description == "none")
        let some = try ResumeChanges(parsing: "seed,batch-size")
        #expect(some.contains("seed") && some.contains("batch-size") && !some.contains("data"))
        #expect(try some.description == "batch-size,seed" && ResumeChanges(parsing: some.description) == some)
        for text in ["", "pool", "seed,", "seed,,data", "seed none", "none,seed"] {
            #expect(throws: SettingError.self, "\(text)") { try ResumeChanges(parsing: text) }
        }
    }

    /// Reasons on different ranks: all ranks take the same one, the stop file before a signal before the time limit.
    @Test(
        arguments: [
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
