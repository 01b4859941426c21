import Optimizers
import Training
import Yams

/// Settings as YAML scalars, which PyYAML (YAML 1.1), Yams and people read alike.
enum SettingYAML {
    /// `name: value`, or `name: null` where there is no value.
    static func line(_ setting: Setting, _ configuration: RunConfiguration) -> String {
        guard let text = setting.text(in: configuration) else { return "\(setting.name): null" }
        let scalar =
            switch setting.kind {
            case .flag, .integer: text
            case .number: DecimalText.portable(text)
            case .choice, .text, .value: isPlain(text) ? text : quoted(text)
            }
        return "\(setting.name): \(scalar)"
    }

    /// Sets a setting to a file's value.
    /// - Throws: `SettingError`: one line without the place.
    static func set(_ setting: Setting, to value: Node, in configuration: inout RunConfiguration) throws(SettingError) {
        guard case .scalar(let scalar) = value else {
            throw SettingError(description: "'\(setting.name)' has a list or names in place of a value; hint: \(setting.name): VALUE")
        }
        if scalar.style == .plain, ["", "~", "null", "Null", "NULL"].contains(scalar.string) {
            if setting.remove(in: &configuration) { return }
            throw SettingError(description: "'\(setting.name)' has no value; hint: give one, or leave the line out")
        }
        if let problem = numberProblem(scalar, setting) { throw SettingError(description: problem) }
        var text = scalar.string
        if setting.kind == .flag { text = booleans[text.lowercased()] ?? text }
        try setting.set(text, in: &configuration)
    }

    private static let booleans = ["yes": "true", "on": "true", "no": "false", "off": "false", "true": "true", "false": "false"]

    /// Whether a text without quotes is a text to every reader.
    private static func isPlain(_ text: String) -> Bool {
        if text.wholeMatch(of: /[1-9][0-9]*x[1-9][0-9]*/) != nil { return true }
        let reserved = ["null", "true", "false", "yes", "no", "on", "off", "y", "n", ".inf", ".nan"]
        return text.wholeMatch(of: /[A-Za-z_.\/][A-Za-z0-9_.\/+=,:-]*/) != nil && !text.hasSuffix(":")
            && !reserved.contains(text.lowercased()) && text.contains(/[A-Za-z_\/]/)
    }

    /// In double quotes, with escapes as in JSON.
    private static func quoted(_ text: String) -> String {
        let inner = text.unicodeScalars.map { scalar -> String in
            switch scalar {
            case "\"", "\\": return "\\\(scalar)"
            case "\n": return "\\n"
            case "\t": return "\\t"
            default:
                let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || [0x2028, 0x2029, 0xFEFF].contains(scalar.value)
                let digits = String(scalar.value, radix: 16)
                return isControl ? "\\u" + String(repeating: "0", count: 4 - digits.count) + digits : String(scalar)
            }
        }
        return "\"\(inner.joined())\""
    }

    /// What is wrong with the spelling of a number; nil where it has one meaning, or is none.
    private static func numberProblem(_ scalar: Node.Scalar, _ setting: Setting) -> String? {
        guard [.integer, .number, .value].contains(setting.kind), scalar.style == .plain else { return nil }
        let text = scalar.string
        let digits = text.drop { $0 == "+" || $0 == "-" }
        guard let first = digits.first, first.isASCII, first.isNumber else { return nil }
        let meaning: String? =
            if digits.wholeMatch(of: /0[0-9_]+/) != nil {
                "octal"
            } else if digits.wholeMatch(of: /0[xX][0-9a-fA-F_]+/) != nil {
                "hexadecimal"
            } else if digits.wholeMatch(of: /0[bB][01_]+/) != nil {
                "binary"
            } else if digits.wholeMatch(of: /0[oO][0-7_]+/) != nil {
                "octal elsewhere, a text"
            } else if digits.wholeMatch(of: /[0-9][0-9_.]*_[0-9_.eE+-]*/) != nil {
                "a number with underscores"
            } else if setting.kind != .value, digits.contains(":") {
                "a number of base 60"
            } else {
                nil
            }
        return meaning.map { "'\(setting.name): \(text)' is \($0) in YAML 1.1; hint: write a decimal number without leading zeros" }
    }
}
