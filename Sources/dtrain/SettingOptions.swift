import ArgumentParser
import Optimizers
import Training

/// A section of the settings' table as options of a command: texts by names, which the table reads.
///
/// ArgumentParser learns a type's options by its mirror, and decodes them by its keys. Here both come from the table, so that a
/// setting is a row of it and nothing else, and usage, help, misspelt names and completions are ArgumentParser's.
struct SettingOptions<Section: SettingSection>: ParsableArguments, CustomReflectable {
    /// What the command line gives.
    private(set) var given: [String: String] = [:]

    init() {}

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Name.self)
        for setting in Section.settings {
            let name = Name(stringValue: setting.name)
            if setting.kind == .flag {
                if try container.decode(Flag<Bool>.self, forKey: name).wrappedValue { given[setting.name] = "true" }
            } else {
                given[setting.name] = try container.decode(Option<String?>.self, forKey: name).wrappedValue
            }
        }
    }

    var customMirror: Mirror {
        Mirror(self, children: Section.settings.map { (label: $0.name, value: Self.definition($0)) })
    }

    private static func definition(_ setting: Setting) -> Any {
        if setting.kind == .flag {
            return Flag(wrappedValue: false, name: .customLong(setting.name), help: ArgumentHelp(setting.help))
        }
        let help = setting.help + (setting.defaults.map { " (default: \($0))" } ?? "")
        return Option<String?>(
            name: .customLong(setting.name), help: ArgumentHelp(help, valueName: setting.placeholder),
            completion: setting.kind == .choice ? .list(setting.choices) : nil)
    }

    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}

/// All settings of a run as options, and `--config`.
struct RunOptions: ParsableArguments {
    @OptionGroup(title: DataSection.title) var data: SettingOptions<DataSection>
    @OptionGroup(title: NetworkSection.title) var network: SettingOptions<NetworkSection>
    @OptionGroup(title: CropSection.title) var crops: SettingOptions<CropSection>
    @OptionGroup(title: TrainingSection.title) var training: SettingOptions<TrainingSection>
    @OptionGroup(title: RanksSection.title) var ranks: SettingOptions<RanksSection>
    @OptionGroup(title: RunDirectorySection.title) var directory: SettingOptions<RunDirectorySection>
    @OptionGroup(title: SafetySection.title) var safety: SettingOptions<SafetySection>

    @Option(help: ArgumentHelp("A YAML file of settings, such as the config.yaml of an earlier run.", valueName: "file"))
    var config: String?

    /// Preset, then file, then flags; nothing in it is wrong by itself.
    /// - Throws: `ValidationError` with one line.
    func checked() throws -> RunConfiguration {
        let configuration = try resolved()
        guard let problem = configuration.problem else { return configuration }
        if let config, try ConfigurationFile.read(config, preset: preset()).problem == problem {
            throw ValidationError(try ConfigurationFile.locate(problem, path: config))
        }
        throw ValidationError(problem)
    }

    private func resolved() throws -> RunConfiguration {
        let preset = try preset()
        var configuration = RunConfiguration(preset: preset ?? .seed)
        if let config { configuration = try ConfigurationFile.read(config, preset: preset) }
        do {
            try Settings.apply(given, to: &configuration)
        } catch {
            throw ValidationError(error.description)
        }
        return configuration
    }

    private func preset() throws -> Preset? {
        do {
            return try given["preset"].map { text throws(SettingError) in try Settings.preset(text) }
        } catch {
            throw ValidationError("\(error)")
        }
    }

    private var given: [String: String] {
        [data.given, network.given, crops.given, training.given, ranks.given, directory.given, safety.given].reduce(into: [:]) {
            $0.merge($1) { $1 }
        }
    }
}
