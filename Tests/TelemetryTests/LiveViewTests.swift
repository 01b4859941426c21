import Telemetry
import Testing

/// The view on a terminal, as lines.
struct LiveViewTests {
    private var figures: LiveFigures {
        var figures = LiveFigures(parts: ["step 500/1000", "loss 312.4", "joint error 33.1 mm", "1234 samples/s", "80 ms/step", "40 s left"])
        figures.progress = 0.5
        figures.losses = (0..<900).map { 1000 - Double($0) }
        figures.errors = [60, 50, 42, 38]
        figures.split = [("wait", 1.25), ("forward", 20), ("backward", 55.5), ("exchange", 3), ("checks", 0.2)]
        figures.warning = "step 12: 65% of the outputs are exactly 0. A ReLU that outputs 0 passes no gradient; hint: --output linear"
        return figures
    }

    @Test(arguments: [1, 2, 5, 20, 39, 40, 41, 60, 80, 100, 200, 500], [false, true])
    func noLineReachesTheLastColumn(columns: Int, isPlain: Bool) {
        let lines = LiveView.lines(figures, columns: columns, isPlain: isPlain)
        #expect(lines.allSatisfy { $0.count < max(2, columns) && !$0.contains("\n") }, "\(lines)")
        #expect(lines.count == (columns < LiveView.leastColumns ? 1 : 4))
        if isPlain { #expect(lines.allSatisfy { $0.utf8.allSatisfy { $0 < 128 } }) }
    }

    @Test func aWideTerminalShowsAll() {
        let lines = LiveView.lines(figures, columns: 200, isPlain: false)
        #expect(lines[0].hasSuffix("40 s left"))
        #expect(lines[1].contains("] 50%  loss █") && lines[1].contains("▁  held-out █▅▂▁ 38.0 mm"), "\(lines[1])")
        #expect(lines[2] == "ms: wait 1.2  forward 20  backward 56  exchange 3.0  checks 0.2")
        #expect(lines[3].hasPrefix("warning: step 12: 65%") && lines[3].hasSuffix("--output linear"))
    }

    @Test func valuesThatAreNoNumbersBreakNothing() {
        var figures = figures
        (figures.losses, figures.errors, figures.progress) = ([.nan, .infinity], [.nan], .nan)
        #expect(LiveView.lines(figures, columns: 80, isPlain: false).count >= 3)
        #expect(LiveView.spark([], width: 5) == "" && LiveView.spark([3, 3, 3], width: 5) == "▁▁▁")
        #expect(LiveView.spark([1, .nan, 2], width: 9) == "▁█")
    }

    @Test func whatAMessageHoldsCannotMoveTheCursorNorWrapTheLine() {
        var figures = figures
        figures.warning = "\u{1B}[2J\u{7}/data/手の骨格/" + String(repeating: "手", count: 60)
        let wide = LiveView.lines(figures, columns: 60, isPlain: false)[3]
        #expect(!wide.contains("\u{1B}") && !wide.contains("\u{7}") && wide.hasSuffix("…"))
        #expect(wide.unicodeScalars.reduce(0) { $0 + ($1.value > 0x3000 ? 2 : 1) } <= 59, "\(wide)")
        #expect(LiveView.lines(figures, columns: 60, isPlain: true)[3].utf8.allSatisfy { $0 >= 32 && $0 < 127 })
    }

    @Test func aLongCurveKeepsItsCourseInBoundedRoom() {
        var curve = BoundedCurve(most: 64)
        for step in 0..<100_000 { curve.append(Double(step)) }
        #expect(curve.values.count < 64 && curve.values.count >= 32)
        #expect(curve.values == curve.values.sorted() && curve.values[0] < 5000)
    }
}
