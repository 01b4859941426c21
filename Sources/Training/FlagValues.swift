/// A setting that a resumed run may change if it is told so: the result is not that of one run then.
package enum ResumeChange: String, Sendable, CaseIterable {
    case batchSize = "batch-size"
    case data
    case learningRate = "learning-rate"
    case onBadSample = "on-bad-sample"
    case seed
}

/// The value of `--allow-change`: names with commas between, or `none`.
package struct ResumeChanges: Sendable, Equatable, Codable, CustomStringConvertible {
    private let changes: Set<ResumeChange>

    /// Nothing may change.
    package static let none = ResumeChanges([])

    package init(_ changes: Set<ResumeChange>) { self.changes = changes }

    /// Reads what `description` writes; nil for any other name.
    package init?(_ text: String) {
        guard text != "none" else {
            self.init([])
            return
        }
        let names = text.split(separator: ",", omittingEmptySubsequences: false)
        let found = names.compactMap { ResumeChange(rawValue: String($0)) }
        guard found.count == names.count else { return nil }
        self.init(Set(found))
    }

    package func contains(_ change: ResumeChange) -> Bool { changes.contains(change) }

    package var description: String {
        changes.isEmpty ? "none" : changes.map(\.rawValue).sorted().joined(separator: ",")
    }

    package init(from decoder: any Decoder) throws {
        self = try decode(from: decoder)
    }

    package func encode(to encoder: any Encoder) throws { try encodeText(description, to: encoder) }
}

/// The value of `--time-limit`: `SECONDS`, `HH:MM:SS`, or `none`.
package struct TimeLimit: Sendable, Equatable, Codable, CustomStringConvertible {
    /// Nil: no limit.
    package let seconds: Int?

    package static let none = TimeLimit(seconds: nil)

    private init(seconds: Int?) { self.seconds = seconds }

    /// Reads a text; nil for anything else, and for 0 seconds.
    package init?(_ text: String) {
        guard text != "none" else {
            self.init(seconds: nil)
            return
        }
        let fields = text.split(separator: ":", omittingEmptySubsequences: false)
        let numbers = fields.compactMap { field in
            field.utf8.allSatisfy { (48...57).contains($0) } && field.utf8.count <= 9 ? Int(field) : nil
        }
        guard numbers.count == fields.count else { return nil }
        switch numbers.count {
        case 1: self.init(seconds: numbers[0])
        case 3:
            guard numbers[1] < 60, numbers[2] < 60 else { return nil }
            self.init(seconds: numbers[0] * 3600 + numbers[1] * 60 + numbers[2])
        default: return nil
        }
        guard let seconds, seconds > 0 else { return nil }
    }

    package var description: String { seconds.map(String.init) ?? "none" }

    package init(from decoder: any Decoder) throws {
        self = try decode(from: decoder)
    }

    package func encode(to encoder: any Encoder) throws { try encodeText(description, to: encoder) }
}

/// A value that is written as the text of its flag.
private protocol FlagText {
    init?(_ text: String)
}

extension ResumeChanges: FlagText {}
extension TimeLimit: FlagText {}

private func decode<Value: FlagText>(from decoder: any Decoder) throws -> Value {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let value = Value(text) else {
        throw DecodingError.dataCorruptedError(in: container, debugDescription: "'\(text)' is no such value")
    }
    return value
}

private func encodeText(_ text: String, to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
}
