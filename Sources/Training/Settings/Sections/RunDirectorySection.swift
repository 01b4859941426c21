/// What a run writes, and what it goes on from.
package struct RunDirectorySection: SettingSection {
    package static let title = "RUN DIRECTORY"

    /// Where the run writes; nil: a new directory in `runs/`.
    package var runDir: String?
    /// `auto`, `never`, or a checkpoint's path.
    package var resume = "never"
    /// What a resumed run may have otherwise than the run before.
    package var allowChange: ResumeChanges = .none
    package var checkpointEvery = 500
    /// Steps between snapshots in the nodes' memory.
    package var snapshotEvery = SnapshotInterval.auto
    /// How many of the newest checkpoints are kept; the best is kept besides.
    package var keepCheckpoints = 3
    package var saveInitial = false
    package var logEvery = 10
    package var validateEvery = 100
    /// Held-out frames a validation uses, from the first; 0: all of them.
    package var validateFrames = 0
    /// Validations in a row without a better error that end the run; 0: none do.
    package var patience = 0
    /// Whether the run's page is written at its end.
    package var report = false
    /// Whether event files are written that TensorBoard reads.
    package var tensorboard = false
    /// Steps whose spans of time are written.
    package var trace = TraceSteps.none

    package init() {}

    package static let settings: [Setting] = [
        .optionalText("run-dir", \.runDir, "directory", help: "Where the run writes.").defaultText("runs/TIME-PRESET"),
        .text(
            "resume", \.resume, "never|auto|checkpoint",
            help: "auto: go on from the newest good checkpoint in --run-dir, if there is one; or a checkpoint's path."),
        .value(
            "allow-change", \.allowChange, "names", form: "names with commas between, none",
            help: "What a resumed run may have otherwise: \(Settings.changeable.joined(separator: ", ")), with commas; or none."),
        .integer(
            "checkpoint-every", \.checkpointEvery, 1...mostSteps, "steps",
            help: "Steps between checkpoints; one is always written at the end."),
        .value(
            "snapshot-every", \.snapshotEvery, "auto|steps", form: "auto, or a number of steps; 0: none",
            help: """
                Steps between snapshots in each node's memory, from which --resume auto goes on when a node was lost; auto: on several \
                nodes, so often that they cost under 1% of the time; 0: none.
                """),
        .integer(
            "keep-checkpoints", \.keepCheckpoints, 1...1_000_000, help: "Newest checkpoints that are kept, besides the best."),
        .flag(
            "save-initial", \.saveInitial,
            help: "Also write the checkpoint of step 0, so that another program can start from the same weights."),
        .integer(
            "log-every", \.logEvery, 1...mostSteps, "steps",
            help: "Steps between lines of metrics.jsonl; the first and the last are always logged."),
        .integer(
            "validate-every", \.validateEvery, 1...mostSteps, "steps",
            help: "Steps between validations on held-out frames; one is always made at the end."),
        .flag("report", \.report, help: "Write RUN/report.html, a page that shows the run, when the run ends (dtrain report)."),
        .flag(
            "tensorboard", \.tensorboard,
            help: "Write RUN/tensorboard: metrics, settings, layers and pictures of predictions as event files of TensorBoard."),
        .value(
            "trace", \.trace, "steps", form: "steps such as 10-14, a count from 1 to 1000, none",
            help: "Write RUN/trace.json: what every thread of every rank does in these steps, for ui.perfetto.dev (FIRST-LAST, or a count)."),
        .integer(
            "validate-frames", \.validateFrames, 0...mostSteps,
            help: "Held-out frames a validation uses, from the first; 0: all."),
        .integer(
            "patience", \.patience, 0...1_000_000, "validations",
            help: "Stop when so many validations in a row gave no better held-out error; 0: never."),
    ]
}
