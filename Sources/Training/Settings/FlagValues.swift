package import Optimizers

/// The value of `--allow-change`: names of settings with commas between, or `none`. The result is not that of one run then.
package struct ResumeChanges: Sendable, Equatable, SettingText {
    private let names: Set<String>

    /// Nothing may change.
    package static let none = ResumeChanges(names: [])

    private init(names: Set<String>) { self.names = names }

    package init(parsing text: String) throws(SettingError) {
        guard text != "none" else {
            self = .none
            return
        }
        let found = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard found.allSatisfy(Settings.changeable.contains) else {
            throw SettingError(
                description: "--allow-change is '\(text)'; hint: "
                    + "\(Settings.changeable.joined(separator: ", ")), with commas between and no spaces; or none")
        }
        names = Set(found)
    }

    package func contains(_ setting: String) -> Bool { names.contains(setting) }

    package var description: String { names.isEmpty ? "none" : names.sorted().joined(separator: ",") }
}

/// The value of `--time-limit`: `SECONDS`, `HH:MM:SS`, numbers with units as in `90s`, `10m`, `1h30m`, `2d`, or `none`.
package struct TimeLimit: Sendable, Equatable, SettingText {
    /// Nil: no limit.
    package let seconds: Int?

    package static let none = TimeLimit(seconds: nil)

    private init(seconds: Int?) { self.seconds = seconds }

    /// - Throws: also for 0 seconds.
    package init(parsing text: String) throws(SettingError) {
        guard text != "none" else {
            self = .none
            return
        }
        guard let seconds = Self.seconds(withUnits: text) ?? Self.seconds(withColons: text), seconds > 0 else {
            throw SettingError(description: "--time-limit is '\(text)'; hint: SECONDS, 10m, 2h, 1h30m, HH:MM:SS, or none")
        }
        self.init(seconds: seconds)
    }

    /// `SECONDS` or `HH:MM:SS`; nil for any other text.
    private static func seconds(withColons text: String) -> Int? {
        let fields = text.split(separator: ":", omittingEmptySubsequences: false)
        let numbers = fields.compactMap { field in
            field.utf8.allSatisfy { (48...57).contains($0) } && field.utf8.count <= 9 ? Int(field) : nil
        }
        guard numbers.count == fields.count else { return nil }
        switch numbers.count {
        case 1: return numbers[0]
        case 3: return numbers[1] < 60 && numbers[2] < 60 ? numbers[0] * 3600 + numbers[1] * 60 + numbers[2] : nil
        default: return nil
        }
    }

    /// Each unit at most once, the larger first; nil for any other text.
    private static func seconds(withUnits text: String) -> Int? {
        let units: [(name: UInt8, seconds: Int)] = [
            (UInt8(ascii: "d"), 86_400), (UInt8(ascii: "h"), 3600), (UInt8(ascii: "m"), 60), (UInt8(ascii: "s"), 1),
        ]
        var (total, number, digits, unit) = (0, 0, 0, 0)
        for byte in text.utf8 {
            if (48...57).contains(byte) {
                digits += 1
                guard digits <= 9 else { return nil }
                number = number * 10 + Int(byte - 48)
            } else {
                guard digits > 0, let found = units[unit...].firstIndex(where: { $0.name == byte }) else { return nil }
                total += number * units[found].seconds
                (number, digits, unit) = (0, 0, found + 1)
            }
        }
        return digits == 0 && unit > 0 ? total : nil
    }

    package var description: String { seconds.map(String.init) ?? "none" }
}
