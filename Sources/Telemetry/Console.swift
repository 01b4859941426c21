import System

/// What rank 0 says: plain lines, and on a terminal one line that is rewritten as a step's progress. Never waits for who reads.
package final class Console {
    private let terminal: Terminal?
    private let isQuiet: Bool
    private let outlet: Outlet
    private var progressWidth = 0
    /// Whether there are lines below the progress, and when they were drawn.
    private var hasLinesBelow = false
    private var drawnBelow = -1.0
    /// Also told of warnings, on all ranks.
    package var onWarning: ((String) -> Void)?

    /// - Parameters:
    ///   - isQuiet: prints nothing: every rank but 0.
    ///   - terminal: where a line can be rewritten; nil where nobody is watching.
    package init(
        isQuiet: Bool = false, terminal: Terminal? = Terminal.ofStandardOutput(), outlet: Outlet = .standardOutput
    ) {
        self.isQuiet = isQuiet
        self.terminal = terminal
        self.outlet = outlet
    }

    /// A line that stays.
    package func line(_ text: String) {
        guard !isQuiet else { return }
        clearProgress()
        outlet.write(text + "\n")
    }

    /// A step's progress: rewritten in place on a terminal, a line of its own elsewhere when `isDue`.
    ///
    /// A line that wraps could not be rewritten: on a narrow terminal parts are left out, the fourth and those after it first.
    /// - Parameter live: where the cursor can be moved, more lines are shown below (`LiveView`), anew ten times a second at most.
    package func progress(_ parts: [String], isDue: Bool, live: () -> LiveFigures? = { nil }) {
        guard !isQuiet else { return }
        guard let terminal else {
            if isDue { line(parts.joined(separator: "  ")) }
            return
        }
        let columns = terminal.columns
        let most = max(1, columns - 1)
        let text = Self.fit(parts, columns: most)
        // A terminal that became narrower would wrap the padding.
        let padding = String(repeating: " ", count: max(0, min(progressWidth, most) - text.count))
        var written = "\r\(text)\(padding)"
        let isTall = columns >= LiveView.leastColumns && terminal.rows >= 8
        if terminal.canMoveCursor, isTall, Stopwatch.now - drawnBelow >= 0.1, let figures = live() {
            let below = LiveView.lines(figures, columns: columns, isPlain: terminal.isPlain).dropFirst()
            // What is below is erased first, then the cursor goes back to the first line.
            written += "\u{1B}[J" + below.map { "\n\r\($0)" }.joined() + (below.isEmpty ? "" : "\u{1B}[\(below.count)A")
            hasLinesBelow = !below.isEmpty
            drawnBelow = Stopwatch.now
        } else if hasLinesBelow && !isTall {
            written += "\u{1B}[J"
            hasLinesBelow = false
        }
        outlet.write(written, .passing)
        progressWidth = text.count
    }

    /// The parts as a line of at most so many columns.
    package static func fit(_ parts: [String], columns: Int) -> String {
        var parts = parts
        func joined() -> String { parts.joined(separator: "  ") }
        while joined().count > columns && parts.count > 3 { parts.remove(at: 3) }
        while joined().count > columns && parts.count > 1 { parts.removeLast() }
        return String(joined().prefix(columns))
    }

    /// A line that starts with `warning:`.
    package func warning(_ text: String) {
        line("warning: \(text)")
        onWarning?(text)
    }

    /// Ends rewritten lines, so that what follows starts on a line of its own.
    package func clearProgress() {
        guard progressWidth > 0 else { return }
        // Lines below that stayed would stand within what is said next: their end is never left out.
        if hasLinesBelow { outlet.write("\r\u{1B}[J") } else { outlet.write("\r\(String(repeating: " ", count: progressWidth))\r", .passing) }
        (progressWidth, hasLinesBelow, drawnBelow) = (0, false, -1)
    }
}
