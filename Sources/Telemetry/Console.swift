/// What rank 0 says: plain lines, and on a terminal one line that is rewritten as a step's progress. Never waits for who reads.
package final class Console {
    private let terminal: Terminal?
    private let isQuiet: Bool
    private let outlet: Outlet
    private var progressWidth = 0
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
    package func progress(_ parts: [String], isDue: Bool) {
        guard !isQuiet else { return }
        guard let terminal else {
            if isDue { line(parts.joined(separator: "  ")) }
            return
        }
        let most = max(1, terminal.columns - 1)
        let text = Self.fit(parts, columns: most)
        // A terminal that became narrower would wrap the padding.
        let padding = String(repeating: " ", count: max(0, min(progressWidth, most) - text.count))
        outlet.write("\r\(text)\(padding)", .passing)
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

    /// Ends a rewritten line, so that what follows starts on a line of its own.
    package func clearProgress() {
        guard progressWidth > 0 else { return }
        outlet.write("\r\(String(repeating: " ", count: progressWidth))\r", .passing)
        progressWidth = 0
    }
}
