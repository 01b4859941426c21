/// What ends a run.
package struct SafetySection: SettingSection {
    package static let title = "SAFETY"

    /// The run saves and stops after so long.
    package var timeLimit: TimeLimit = .none
    /// Seconds without progress that end the run; 0: never.
    package var stallTimeout = 300
    /// Steps between comparisons of the replicas; 0: none.
    package var verifyEvery = 100

    package init() {}

    package static let settings: [Setting] = [
        .value(
            "time-limit", \.timeLimit, "time", form: "seconds, 10m, 2h, 1h30m, HH:MM:SS, none",
            help: "Save and stop after so long, with exit code 75 if steps are left: SECONDS, 10m, 2h, 1h30m, HH:MM:SS, or none."),
        .integer(
            "stall-timeout", \.stallTimeout, 0...1_000_000, "seconds",
            help: "Seconds without progress on any rank that end the run with exit code 70, naming each rank's phase; 0: never."),
        .integer(
            "verify-every", \.verifyEvery, 0...mostSteps, "steps",
            help: "Steps between comparisons of the ranks' weights, also made before a checkpoint; 0: none."),
    ]
}
