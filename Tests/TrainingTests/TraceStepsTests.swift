import Optimizers
import Testing
import Training

struct TraceStepsTests {
    @Test func rangesAndCountsAreRead() throws {
        #expect(try TraceSteps(parsing: "10-14") == .range(10...14) && TraceSteps(parsing: "5") == .count(5) && TraceSteps(parsing: "none") == .none)
        for value in [TraceSteps.none, .range(1...1), .count(7)] { #expect(try TraceSteps(parsing: value.description) == value) }
        #expect(TraceSteps.count(5).steps(after: 100) == 104...108 && TraceSteps.none.steps(after: 0) == nil)
        // A run that goes on within the range traces what is left of it.
        #expect(TraceSteps.range(10...14).steps(after: 11) == 12...14 && TraceSteps.range(10...14).steps(after: 14) == nil)
    }

    @Test(arguments: ["", "-", "-5", "5-", "0", "0-4", "9-3", "1-1001", "1001", "1-2-3", "a", "1e3", "99999999999999999999"])
    func anythingElseIsRefusedInOneLine(text: String) {
        let error = #expect(throws: SettingError.self) { try TraceSteps(parsing: text) }
        #expect(error?.description.hasPrefix("--trace is '\(text)'; hint: ") == true)
    }
}

struct TraceClockTests {
    @Test func aClockThatIsAheadAndRunsFastIsSetRight() {
        // 100 s ahead of rank 0's, whose clock shows 7 at time 0, and 0.1 s more over 1000 s.
        var clock = TraceClock(origin: 107, offset: 100)
        #expect(clock.time(107) == 0 && clock.time(108) == 1)
        clock.end(offset: 100.1, at: 1107.1)
        #expect(abs(clock.time(1107.1) - 1000) < 1e-3)
        var short = TraceClock(origin: 0, offset: 0)
        short.end(offset: 1e-3, at: 0.5)
        #expect(short.drift == 0)
    }
}
