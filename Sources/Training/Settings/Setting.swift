package import Optimizers

/// One setting of a run: a row of the table that the command line, `--config` files, `config.yaml`, the checks, the comparison
/// on resuming and between ranks, the help and the table in Docs/reference.md are all derived from (`Settings`).
///
/// A row is made by a constructor of its kind (`SettingKinds.swift`), over the property of `RunConfiguration` that holds the
/// value, and by the modifiers below.
package struct Setting: Sendable {
    package enum Kind: Sendable {
        /// Given without a value; true or false in files.
        case flag
        case integer
        case number
        /// One of `choices`.
        case choice
        /// Any text, such as a path.
        case text
        /// A text with a form of its own (`SettingText`), such as `10m` or `norm:1.0`.
        case value
    }

    /// What holds when a run goes on from a checkpoint that was made with another value.
    package enum Resuming: Sendable {
        /// Nothing: the run takes the new value.
        case free
        /// Likewise, but the checkpoint tells the value to those who use the network.
        case noted
        /// The run is refused.
        case fixed
        /// The run is refused, unless `--allow-change` has the setting's name.
        case allowed
        /// As `allowed`, but what the value names is compared, not its text: one data set may lie at two paths.
        case contents
    }

    /// What ranks of one run may have otherwise than each other.
    package enum Ranks: Sendable {
        case same
        /// Any value: each rank's own affair.
        case own
        /// Any value, but all ranks have one or none has.
        case ownIfGiven
    }

    /// `batch-size` is `--batch-size` on the command line, and a key of files.
    package let name: String
    package let kind: Kind
    /// What stands for the value in the help: `n`, `MiB`, `linear|relu|exp`; empty for a flag.
    package let placeholder: String
    /// In words, for the reference: `0 to 1024`.
    package let valuesText: String
    /// The values of a choice.
    package let choices: [String]
    package private(set) var resuming: Resuming = .free
    package private(set) var ranks: Ranks = .same
    /// The setting whose place this one takes where both are there: given together on one command line they are refused.
    package private(set) var rival: String?
    private var statedDefault: String?
    private var check: (@Sendable (RunConfiguration) -> String?)?
    private var contents: (@Sendable (RunConfiguration) -> String?)?

    private let makeHelp: @Sendable () -> String
    private let read: @Sendable (String, inout RunConfiguration) throws(SettingError) -> Void
    private let write: @Sendable (RunConfiguration) -> String?
    private let clear: (@Sendable (inout RunConfiguration) -> Void)?
    private let range: @Sendable (RunConfiguration) -> String?

    /// - Parameters:
    ///   - read: sets the value that a text stands for; throws a line that names the flag.
    ///   - write: what `read` takes; nil where there is no value.
    ///   - clear: takes the value away, where there may be none.
    ///   - range: a line that names the flag where the value is out of its range.
    init(
        _ name: String, _ kind: Kind, placeholder: String, valuesText: String, choices: [String] = [],
        read: @escaping @Sendable (String, inout RunConfiguration) throws(SettingError) -> Void,
        write: @escaping @Sendable (RunConfiguration) -> String?,
        clear: (@Sendable (inout RunConfiguration) -> Void)? = nil,
        range: @escaping @Sendable (RunConfiguration) -> String? = { _ in nil },
        help: @escaping @Sendable () -> String
    ) {
        (self.name, self.kind, self.placeholder, self.valuesText, self.choices) = (name, kind, placeholder, valuesText, choices)
        (self.read, self.write, self.clear, self.range, makeHelp) = (read, write, clear, range, help)
    }

    // MARK: Modifiers

    /// What a resumed run may have otherwise; without it, anything.
    func resuming(_ rule: Resuming) -> Setting { changed { $0.resuming = rule } }

    /// What ranks may have otherwise; without it, nothing.
    func ranks(_ rule: Ranks) -> Setting { changed { $0.ranks = rule } }

    /// What tells contents apart that ranks may have under one value, such as a file's; nil: there are none.
    func comparing(_ contents: @escaping @Sendable (RunConfiguration) -> String?) -> Setting { changed { $0.contents = contents } }

    /// Says the same as another setting, which may be without a value, and takes its place.
    func instead(of name: String) -> Setting { changed { $0.rival = name } }

    /// What help and reference tell as default, where the preset's value does not say it.
    func defaultText(_ text: String) -> Setting { changed { $0.statedDefault = text } }

    /// A check beyond the range; gives a line that names the flag.
    func checked(_ check: @escaping @Sendable (RunConfiguration) -> String?) -> Setting { changed { $0.check = check } }

    private func changed(_ body: (inout Setting) -> Void) -> Setting {
        var copy = self
        body(&copy)
        return copy
    }

    // MARK: A configuration's value

    /// Sets the value that a text stands for.
    /// - Throws: `SettingError`: one line that names the flag and ends in a hint.
    package func set(_ text: String, in configuration: inout RunConfiguration) throws(SettingError) {
        try read(text, &configuration)
    }

    /// The value as `set` takes it; nil where there is none.
    package func text(in configuration: RunConfiguration) -> String? { write(configuration) }

    /// What ranks are compared by: the value, and what it names where that can be told; nil where there is no value.
    func comparison(in configuration: RunConfiguration) -> String? {
        text(in: configuration).map { text in (contents?(configuration)).map { "\(text) (\($0))" } ?? text }
    }

    /// Takes the value away; false where there has to be one.
    package func remove(in configuration: inout RunConfiguration) -> Bool {
        clear?(&configuration)
        return clear != nil
    }

    /// What is wrong with the value, in one line that names the flag; nil when nothing is.
    package func problem(in configuration: RunConfiguration) -> String? { range(configuration) ?? check?(configuration) }

    /// For people: one sentence or two.
    package var help: String { makeHelp() }

    /// For people: the default, and presets with another; nil where there is no value by default.
    package var defaults: String? {
        if let statedDefault { return statedDefault }
        func value(_ preset: Preset) -> String? {
            guard let text = text(in: RunConfiguration(preset: preset)) else { return nil }
            return kind == .number ? DecimalText.short(text) : text
        }
        let usual = value(.seed)
        let others = Preset.allCases.filter { value($0) != usual }.map { "\($0.rawValue): \(value($0) ?? "none")" }
        guard !others.isEmpty else { return usual }
        return ([usual ?? "none"] + others).joined(separator: "; ")
    }
}
