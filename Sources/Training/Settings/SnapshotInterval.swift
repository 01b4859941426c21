package import Optimizers

/// The value of `--snapshot-every`: how often each node keeps the state in its memory.
package enum SnapshotInterval: Sendable, Equatable, SettingText {
    /// On several nodes, so often that it costs less than a hundredth of the time; else never.
    case auto
    /// Every so many steps; 0: never.
    case steps(Int)

    private static let most = 1_000_000_000_000

    package init(parsing text: String) throws(SettingError) {
        if text == "auto" {
            self = .auto
        } else if let steps = Int(text), 0...Self.most ~= steps {
            self = .steps(steps)
        } else {
            throw SettingError(description: "--snapshot-every is '\(text)'; hint: auto, or a number of steps; 0: none")
        }
    }

    package var description: String {
        switch self {
        case .auto: "auto"
        case .steps(let steps): String(steps)
        }
    }
}
