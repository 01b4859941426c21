package import Optimizers

/// The value of `--trace`: steps `FIRST-LAST`, a count of steps, or `none`.
package enum TraceSteps: Sendable, Equatable, SettingText {
    case none
    case range(ClosedRange<Int>)
    /// So many, after the first three of the start, which are slower than others.
    case count(Int)

    private static let most = 1000

    package init(parsing text: String) throws(SettingError) {
        let numbers = text.split(separator: "-", omittingEmptySubsequences: false).map { $0.utf8.count <= 15 ? Int($0) : nil }
        switch numbers.count {
        case 1 where text == "none": self = .none
        case 1:
            if let count = numbers[0], 1...Self.most ~= count { self = .count(count) } else { throw Self.refused(text) }
        case 2:
            guard let first = numbers[0], let last = numbers[1], first >= 1, first <= last, last - first < Self.most else { throw Self.refused(text) }
            self = .range(first...last)
        default: throw Self.refused(text)
        }
    }

    private static func refused(_ text: String) -> SettingError {
        SettingError(description: "--trace is '\(text)'; hint: steps such as 10-14, a count from 1 to \(most), or none")
    }

    package var description: String {
        switch self {
        case .none: "none"
        case .range(let steps): "\(steps.lowerBound)-\(steps.upperBound)"
        case .count(let count): "\(count)"
        }
    }

    /// The steps of a run that has made `done` steps.
    package func steps(after done: Int) -> ClosedRange<Int>? {
        switch self {
        case .none: nil
        case .range(let steps): max(steps.lowerBound, done + 1) <= steps.upperBound ? max(steps.lowerBound, done + 1)...steps.upperBound : nil
        case .count(let count): done + 4...done + 3 + count
        }
    }
}
