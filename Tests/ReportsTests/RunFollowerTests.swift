import Foundation
import Reports
import Telemetry
import Testing

/// Runs that go on while they are watched.
struct RunFollowerTests {
    private let run: URL

    init() throws {
        run = FileManager.default.temporaryDirectory.appendingPathComponent("dtrain-watch-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: run, withIntermediateDirectories: true)
        try write("preset: seed\nsteps: 100\nepochs: null\n", "config.yaml")
    }

    private func write(_ text: String, _ name: String) throws {
        try text.write(to: run.appendingPathComponent(name), atomically: false, encoding: .utf8)
    }

    private func append(_ text: String, _ name: String = "metrics.jsonl") throws {
        let file = try FileHandle(forWritingTo: run.appendingPathComponent(name))
        try file.seekToEnd()
        try file.write(contentsOf: Data(text.utf8))
        try file.close()
    }

    private func step(_ step: Int, _ loss: Double) -> String { #"{"step":\#(step),"loss":\#(loss),"step_ms":50}"# + "\n" }

    @Test func halfAPieceOfALineWaitsForItsEnd() throws {
        try write(step(1, 9) + #"{"step":2,"lo"#, "metrics.jsonl")
        let follower = try RunFollower(run.path)
        #expect(follower.figures.parts == ["step 1/100", "loss 9.00", "50 ms/step", "5.0 s left"], "\(follower.figures.parts)")
        #expect(follower.poll() == 0 && !follower.hasEnded)
        try append(#"ss":8}"# + "\n" + "rubbish\n\u{0}\n" + step(3, 7))
        #expect(follower.poll() == 4)
        #expect(follower.metrics.column("loss") == [9, 8, 7] && follower.metrics.unreadableLines == 2)
        try FileManager.default.removeItem(at: run)
        #expect(follower.poll() == 0 && follower.hasEnded, "the directory went away")
    }

    @Test func aResumedRunIsReadAnewHoweverLongItsFileIs() throws {
        let start = #"{"step":0,"seconds":1,"start":{"version":"1","steps":40}}"# + "\n"
        try write(step(1, 9) + step(2, 8) + step(3, 7), "metrics.jsonl")
        try write(start, "events.jsonl")
        let follower = try RunFollower(run.path)
        #expect(follower.totalSteps == 40)
        try write(step(1, 9) + step(2, 6) + step(3, 5) + step(4, 4), "metrics.jsonl")
        try append(start + #"{"step":4,"seconds":2,"warning":"w"}"# + "\n" + #"{"step":4,"seconds":2,"end":"done"}"# + "\n", "events.jsonl")
        follower.poll()
        #expect(follower.metrics.column("loss") == [9, 6, 5, 4] && follower.hasEnded)
        #expect(follower.figures.warning == "w" && follower.figures.parts.last == "done")
    }

    @Test func figuresBeyondAllBoundsBreakNothing() throws {
        try write(#"{"step":1,"loss":1e400,"step_ms":1e400}"# + "\n", "metrics.jsonl")
        try write(#"{"step":0,"seconds":1,"start":{"version":"1","steps":1e300}}"# + "\n", "events.jsonl")
        let follower = try RunFollower(run.path)
        #expect(follower.totalSteps == 100)
        #expect(LiveView.lines(follower.figures, columns: 80, isPlain: true).allSatisfy { $0.count < 80 })
    }
}
