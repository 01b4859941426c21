/// What is wrong with the text of a setting: one line that names the flag and ends in a hint.
package struct SettingError: Error, Equatable, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}

/// A value that the command line and files give as text: `name`, or `name:key=value,key=value`.
package protocol SettingText: Codable, CustomStringConvertible, Sendable {
    /// Reads what `description` writes.
    /// - Throws: `SettingError`, whose one line names the flag.
    init(parsing text: String) throws(SettingError)
}

extension SettingText {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        do {
            try self.init(parsing: text)
        } catch {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: error.description)
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// The parts of a text `name:key=value,key=value`, taken out one by one; what is left at the end was unknown.
struct SettingParts {
    let name: String
    private let flag: String
    private let text: String
    private var values: [(key: String, value: String)] = []

    init(_ text: String, flag: String) throws(SettingError) {
        self.flag = flag
        self.text = text
        let halves = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        name = String(halves[0])
        guard halves.count == 2 else { return }
        for field in halves[1].split(separator: ",", omittingEmptySubsequences: false) {
            let sides = field.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
            guard sides.count == 2, !sides[0].isEmpty else {
                throw problem("'\(field)' is no key=value", hint: "for example \(name):key=value,key=value")
            }
            guard !values.contains(where: { $0.key == sides[0] }) else {
                throw problem("\(sides[0]) stands twice", hint: "give it once")
            }
            values.append((sides[0], sides[1]))
        }
    }

    func problem(_ words: String, hint: String) -> SettingError {
        SettingError(description: "--\(flag) is '\(text)': \(words); hint: \(hint)")
    }

    /// Takes the value of a key out; nil when there is none.
    mutating func take(_ key: String) -> String? {
        guard let index = values.firstIndex(where: { $0.key == key }) else { return nil }
        return values.remove(at: index).value
    }

    /// Takes a number out.
    /// - Parameter fallback: nil: the key must be there.
    mutating func number(
        _ key: String, default fallback: Double? = nil, isGood: (Double) -> Bool, hint: String
    ) throws(SettingError) -> Double {
        guard let value = take(key) else {
            guard let fallback else { throw problem("\(key) is missing", hint: "\(key)=\(hint)") }
            return fallback
        }
        guard let number = Double(value), number.isFinite, isGood(number) else {
            throw problem("\(key) is \(value)", hint: hint)
        }
        return number
    }

    /// Throws when something is left.
    func end(known: String) throws(SettingError) {
        guard let first = values.first else { return }
        throw problem("\(name) has no '\(first.key)'", hint: known.isEmpty ? "\(name) takes nothing" : "\(name) takes \(known)")
    }
}

/// A number as it is written: whole ones without a fraction.
func plain(_ number: Double) -> String {
    number == number.rounded() && abs(number) < 1e15 ? String(Int(number)) : String(number)
}
