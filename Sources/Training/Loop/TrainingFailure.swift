/// Why a run ended early, the same on all ranks: what rank 0 prints, and the exit code of every rank.
package struct TrainingFailure: Error, CustomStringConvertible {
    /// Lines to print, one a failure; each says what, where and what to do.
    package let lines: [String]
    package let exitCode: Int32
    /// Whether the steps that are done are sound, so that they are saved before the run ends.
    let savesSteps: Bool

    package init(_ lines: [String], exitCode: Int32 = 1) { self.init(lines, exitCode: exitCode, savesSteps: false) }

    package init(_ line: String, exitCode: Int32 = 1) { self.init([line], exitCode: exitCode) }

    private init(_ lines: [String], exitCode: Int32, savesSteps: Bool) {
        self.lines = lines
        self.exitCode = exitCode
        self.savesSteps = savesSteps
    }

    /// The same failure, of data and not of training: the steps that are done are sound.
    func savingSteps() -> TrainingFailure { TrainingFailure(lines, exitCode: exitCode, savesSteps: true) }

    /// The same with more at the end of its last line.
    func adding(_ text: String) -> TrainingFailure {
        TrainingFailure(lines.dropLast() + [(lines.last ?? "") + text], exitCode: exitCode, savesSteps: savesSteps)
    }

    package var description: String { lines.joined(separator: "\n") }
}
