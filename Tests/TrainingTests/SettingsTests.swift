import Optimizers
import Testing
import Training

/// The table of settings: what everything that reads it relies on.
struct SettingsTests {
    /// Every stored property of a configuration is a row, and every other row is one of the model's.
    @Test func everyPropertyIsARow() throws {
        let initial = RunConfiguration(preset: .seed)
        let sections = Mirror(reflecting: initial).children.filter { $0.value is any SettingSection }
        #expect(sections.count == Settings.sections.count)
        let properties =
            ["preset"]
            + sections.flatMap { Mirror(reflecting: $0.value).children.compactMap(\.label) }.map { label in
                label.reduce(into: "") { $0 += $1.isUppercase ? "-\($1.lowercased())" : String($1) }
            }
        let names = Settings.all.map(\.name)
        #expect(Set(names).count == names.count && properties.count > 30)
        #expect(Set(properties).isSubset(of: names))
        for setting in Settings.all where !properties.contains(setting.name) {
            // Some text of the row's kind that is not what it is at first.
            let texts = setting.choices + ["3", "0.25", "true", "norm:2", "huber:2", "cosine", "strong", "a.yaml"]
            let changed = try #require(
                texts.lazy.compactMap { text -> RunConfiguration? in
                    var configuration = initial
                    guard (try? setting.set(text, in: &configuration)) != nil, configuration != initial else { return nil }
                    return configuration
                }.first, "\(setting.name)")
            var restored = changed
            restored.model = initial.model
            #expect(restored == initial, "\(setting.name)")
        }
    }

    /// A text that is written reads back as the same value, for each preset and for values that are no default.
    @Test(arguments: Preset.allCases) func whatIsWrittenReadsBack(preset: Preset) throws {
        var configuration = RunConfiguration(preset: preset)
        configuration.data = "some where"
        configuration.epochs = 0.1 + 0.2
        configuration.learningRate = 1.2345678901234567e-7
        configuration.runDir = "runs/x"
        configuration.seed = .max
        configuration.saveInitial = true
        configuration.timeLimit = try TimeLimit(parsing: "1h30m")
        configuration.allowChange = try ResumeChanges(parsing: "seed,data")
        var other = RunConfiguration(preset: .seed)
        for setting in Settings.all {
            if let text = setting.text(in: configuration) {
                try setting.set(text, in: &other)
            } else {
                #expect(setting.remove(in: &other), "\(setting.name)")
            }
        }
        #expect(other == configuration)
        #expect(other.problem == nil)
    }

    @Test func aChoiceTakesItsValuesAlone() throws {
        var configuration = RunConfiguration(preset: .seed)
        let choices = Settings.all.filter { $0.kind == .choice }
        #expect(choices.count >= 8)
        for setting in choices {
            for text in setting.choices {
                try setting.set(text, in: &configuration)
                #expect(setting.text(in: configuration) == text)
            }
            let error = #expect(throws: SettingError.self) { try setting.set("nonsense", in: &configuration) }
            let line = try #require(error?.description)
            #expect(line.hasPrefix("--\(setting.name) is 'nonsense'; hint: ") && setting.choices.allSatisfy(line.contains))
        }
    }

    @Test func anotherKindOfTextIsRefusedInOneLine() throws {
        for setting in Settings.all where setting.kind != .text {
            for text in ["", "nonsense", "1;2", "\n", "٣"] {
                var configuration = RunConfiguration(preset: .seed)
                let error = #expect(throws: SettingError.self, "\(setting.name)") { try setting.set(text, in: &configuration) }
                #expect(error?.description.contains("--\(setting.name) is '\(text)'") == true)
                #expect(error?.description.contains("hint: ") == true && configuration == RunConfiguration(preset: .seed))
            }
        }
    }

    @Test func stepsTakeThePlaceOfEpochs() throws {
        var configuration = RunConfiguration(preset: .seed)
        configuration.epochs = 3
        try Settings.apply(["hidden": "7"], to: &configuration)
        #expect(configuration.epochs == 3 && configuration.hidden == 7)
        try Settings.apply(["steps": "5"], to: &configuration)
        #expect(configuration.epochs == nil && configuration.steps == 5)
        let error = #expect(throws: SettingError.self) { try Settings.apply(["steps": "5", "epochs": "1"], to: &configuration) }
        #expect(error?.description == "--steps and --epochs say the same in two ways; hint: give one of them")
    }

    @Test func whatAResumedRunMayChangeIsInTheTable() {
        #expect(
            Settings.changeable == [
                "accumulate", "augment", "batch-size", "bias-rate-multiplier", "centre", "clip", "data", "learning-rate", "loss",
                "normalization-rate-multiplier", "on-bad-sample", "schedule", "seed", "weight-decay",
            ])
        let help = Settings["allow-change"]?.help ?? ""
        #expect(Settings.changeable.allSatisfy(help.contains))
    }

    @Test func defaultsNameThePresetsThatDiffer() {
        #expect(Settings["output"]?.defaults == "linear; seed-verbatim: relu")
        #expect(Settings["learning-rate"]?.defaults == "1e-4; deepprior: 1e-3; ren: 0.048; dense: 2e-3; dtrain-hand: 2e-3")
        #expect(Settings["data"]?.defaults == nil)
    }

    /// The form is a number to YAML 1.1: a dot before the exponent, a sign in it.
    @Test(arguments: [
        (1e-4, "1.0e-4", "1e-4"), (1e-5, "1.0e-5", "1e-5"), (3.25e-5, "3.25e-5", "3.25e-5"), (0.5, "0.5", "0.5"), (10, "10.0", "10"),
        (0.001, "1.0e-3", "1e-3"), (0.0123, "0.0123", "0.0123"), (0.00999, "9.99e-3", "9.99e-3"), (1e300, "1.0e+300", "1e+300"),
        (-2e-8, "-2.0e-8", "-2e-8"), (5e-324, "5.0e-324", "5e-324"), (0, "0.0", "0"), (1.5e17, "1.5e+17", "1.5e+17"),
    ])
    func numbersKeepTheirBits(value: Double, portable: String, short: String) {
        #expect(DecimalText.portable("\(value)") == portable && Double(portable) == value)
        #expect(DecimalText.short("\(value)") == short && Double(short) == value)
    }
}
