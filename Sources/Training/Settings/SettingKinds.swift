import Optimizers

/// More steps than any run takes; products with it stay exact. The upper ends of ranges are far beyond any use; below them no count
/// of bytes overflows before it meets the memory check.
let mostSteps = 1_000_000_000_000

/// Rows of each kind.
extension Setting {
    typealias Path<Value> = any WritableKeyPath<RunConfiguration, Value> & Sendable
    typealias Help = @Sendable () -> String

    /// A whole number of a range.
    /// - Parameter placeholder: what it counts: `MiB`, `seconds`.
    static func integer<Value: FixedWidthInteger & Sendable>(
        _ name: String, _ path: Path<Value>, _ range: ClosedRange<Value>, _ placeholder: String = "n",
        help: @autoclosure @escaping Help
    ) -> Setting {
        let hint = "give a number from \(range.lowerBound) to \(range.upperBound)"
        // The upper ends of most are far beyond any use.
        let text = range.upperBound >= 100_000 ? "\(range.lowerBound) or more" : "\(range.lowerBound) to \(range.upperBound)"
        return integer(name, path, placeholder, valuesText: text, hint: hint, isGood: range.contains, help: help)
    }

    /// One of some whole numbers.
    static func integer(
        _ name: String, _ path: Path<Int>, of values: [Int], help: @autoclosure @escaping Help
    ) -> Setting {
        let texts = values.map(String.init)
        return integer(
            name, path, texts.joined(separator: "|"), valuesText: texts.joined(separator: ", "), hint: "give " + alternatives(texts),
            isGood: values.contains, help: help)
    }

    private static func integer<Value: FixedWidthInteger & Sendable>(
        _ name: String, _ path: Path<Value>, _ placeholder: String, valuesText: String, hint: String,
        isGood: @escaping @Sendable (Value) -> Bool, help: @escaping Help
    ) -> Setting {
        Setting(
            name, .integer, placeholder: placeholder, valuesText: valuesText,
            read: { text, configuration throws(SettingError) in
                guard let value = Value(text) else { throw unreadable(name, text, hint) }
                configuration[keyPath: path] = value
            },
            write: { String($0[keyPath: path]) },
            range: { isGood($0[keyPath: path]) ? nil : "--\(name) is \($0[keyPath: path]); hint: \(hint)" }, help: help)
    }

    /// A number.
    /// - Parameter hint: which numbers are good: `a small positive number such as 1e-4`.
    static func number(
        _ name: String, _ path: Path<Double>, hint: String, where isGood: @escaping @Sendable (Double) -> Bool,
        help: @autoclosure @escaping Help
    ) -> Setting {
        Setting(
            name, .number, placeholder: "number", valuesText: hint,
            read: { text, configuration throws(SettingError) in
                guard let value = Double(text) else { throw unreadable(name, text, hint) }
                configuration[keyPath: path] = value
            },
            write: { "\($0[keyPath: path])" },
            range: { isGood($0[keyPath: path]) ? nil : "--\(name) is \($0[keyPath: path]); hint: \(hint)" }, help: help)
    }

    /// A number, or none.
    static func optionalNumber(
        _ name: String, _ path: Path<Double?>, hint: String, where isGood: @escaping @Sendable (Double) -> Bool,
        help: @autoclosure @escaping Help
    ) -> Setting {
        Setting(
            name, .number, placeholder: "number", valuesText: hint,
            read: { text, configuration throws(SettingError) in
                guard let value = Double(text) else { throw unreadable(name, text, hint) }
                configuration[keyPath: path] = value
            },
            write: { $0[keyPath: path].map { "\($0)" } }, clear: { $0[keyPath: path] = nil },
            range: { configuration in
                configuration[keyPath: path].flatMap { isGood($0) ? nil : "--\(name) is \($0); hint: \(hint)" }
            }, help: help)
    }

    /// One of an enumeration's cases, by its raw value.
    static func choice<Value: RawRepresentable<String> & CaseIterable & Sendable>(
        _ name: String, _ path: Path<Value>, help: @autoclosure @escaping Help
    ) -> Setting {
        let choices = Value.allCases.map(\.rawValue)
        return Setting(
            name, .choice, placeholder: choices.joined(separator: "|"), valuesText: choices.joined(separator: ", "), choices: choices,
            read: { text, configuration throws(SettingError) in
                guard let value = Value(rawValue: text) else { throw unreadable(name, text, alternatives(choices)) }
                configuration[keyPath: path] = value
            },
            write: { $0[keyPath: path].rawValue }, help: help)
    }

    /// Off unless it is given.
    static func flag(_ name: String, _ path: Path<Bool>, help: @autoclosure @escaping Help) -> Setting {
        Setting(
            name, .flag, placeholder: "", valuesText: "flag",
            read: { text, configuration throws(SettingError) in
                guard let value = Bool(text) else { throw unreadable(name, text, "true or false") }
                configuration[keyPath: path] = value
            },
            write: { String($0[keyPath: path]) }, help: help)
    }

    /// Any text.
    static func text(_ name: String, _ path: Path<String>, _ placeholder: String, help: @autoclosure @escaping Help) -> Setting {
        Setting(
            name, .text, placeholder: placeholder, valuesText: placeholder,
            read: { text, configuration throws(SettingError) in configuration[keyPath: path] = text },
            write: { $0[keyPath: path] }, help: help)
    }

    /// Any text, or none.
    static func optionalText(
        _ name: String, _ path: Path<String?>, _ placeholder: String, help: @autoclosure @escaping Help
    ) -> Setting {
        Setting(
            name, .text, placeholder: placeholder, valuesText: placeholder,
            read: { text, configuration throws(SettingError) in configuration[keyPath: path] = text },
            write: { $0[keyPath: path] }, clear: { $0[keyPath: path] = nil }, help: help)
    }

    /// A value that reads and writes its own text; its errors name the flag.
    /// - Parameters:
    ///   - form: its values in words, for the reference.
    ///   - isPath: whether nearly any text is good, as a path is.
    static func value<Value: SettingText>(
        _ name: String, _ path: Path<Value>, _ placeholder: String, form: String, isPath: Bool = false,
        help: @autoclosure @escaping Help
    ) -> Setting {
        Setting(
            name, isPath ? .text : .value, placeholder: placeholder, valuesText: form,
            read: { text, configuration throws(SettingError) in configuration[keyPath: path] = try Value(parsing: text) },
            write: { $0[keyPath: path].description }, help: help)
    }

    /// Such a value, or none.
    static func optionalValue<Value: SettingText>(
        _ name: String, _ path: Path<Value?>, _ placeholder: String, form: String, help: @autoclosure @escaping Help
    ) -> Setting {
        Setting(
            name, .value, placeholder: placeholder, valuesText: form,
            read: { text, configuration throws(SettingError) in configuration[keyPath: path] = try Value(parsing: text) },
            write: { $0[keyPath: path]?.description }, clear: { $0[keyPath: path] = nil }, help: help)
    }

    private static func unreadable(_ name: String, _ text: String, _ hint: String) -> SettingError {
        SettingError(description: "--\(name) is '\(text)'; hint: \(hint)")
    }

    /// `a, b or c`.
    private static func alternatives(_ texts: [String]) -> String {
        texts.count < 2
            ? texts.joined() : texts.dropLast().joined(separator: ", ") + " or " + texts[texts.count - 1]
    }
}
