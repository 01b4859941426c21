/// Why a run ended early, the same on all ranks: what rank 0 prints, and the exit code of every rank.
package struct TrainingFailure: Error, CustomStringConvertible {
    /// Lines to print, one a failure; each says what, where and what to do.
    package let lines: [String]
    package let exitCode: Int32

    package init(_ lines: [String], exitCode: Int32 = 1) {
        self.lines = lines
        self.exitCode = exitCode
    }

    package init(_ line: String, exitCode: Int32 = 1) { self.init([line], exitCode: exitCode) }

    package var description: String { lines.joined(separator: "\n") }
}
