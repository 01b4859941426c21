/// What a rank is doing: named in the line that ends a stalled run. In the order of a step.
package enum RunPhase: Int, CaseIterable, Sendable {
    case starting
    case readingData
    case forward
    case agreeing
    case backward
    case verification
    case validation
    case checkpoint
    case ending

    /// How many times longer than others this phase may be silent: verifying, writing or syncing gigabytes on slow storage gives no
    /// sign of progress on the way.
    package var patience: Double {
        switch self {
        case .starting, .checkpoint, .ending: 4
        default: 1
        }
    }

    package var name: String {
        switch self {
        case .starting: "starting"
        case .readingData: "reading data"
        case .forward: "forward"
        case .agreeing: "agreeing on the step"
        case .backward: "backward and exchange"
        case .verification: "comparing replicas"
        case .validation: "validation"
        case .checkpoint: "checkpoint"
        case .ending: "ending"
        }
    }
}
