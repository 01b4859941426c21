import Networks
package import Optimizers

/// The settings of one component, under one heading of the help: their values, and the rows that tell of them.
package protocol SettingSection: Sendable, Equatable {
    static var title: String { get }
    static var settings: [Setting] { get }
}

/// The table of all settings. A new one is a row and a property in the file of its section (`Sections/`).
package enum Settings {
    package static let sections: [any SettingSection.Type] = [
        DataSection.self, NetworkSection.self, CropSection.self, TrainingSection.self, RanksSection.self, RunDirectorySection.self,
        SafetySection.self,
    ]

    /// In the order of the help and of `config.yaml`.
    package static let all = sections.flatMap { $0.settings }

    private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

    package static subscript(name: String) -> Setting? { byName[name] }

    /// What `--allow-change` may name.
    package static let changeable = all.filter { $0.resuming == .allowed || $0.resuming == .contents }.map(\.name).sorted()

    /// The preset a text names.
    /// - Throws: `SettingError`.
    package static func preset(_ text: String) throws(SettingError) -> Preset {
        var configuration = RunConfiguration(preset: .seed)
        try byName["preset"]!.set(text, in: &configuration)
        return configuration.preset
    }

    /// Sets what a command line gives, by the settings' names.
    ///
    /// A setting takes the place of its rival, which preset or file may have given.
    /// - Throws: `SettingError`, also where two settings are given that say the same.
    package static func apply(_ given: [String: String], to configuration: inout RunConfiguration) throws(SettingError) {
        for setting in all {
            guard let text = given[setting.name] else { continue }
            if let rival = setting.rival {
                guard given[rival] == nil else {
                    throw SettingError(
                        description: "--\(setting.name) and --\(rival) say the same in two ways; hint: give one of them")
                }
                _ = byName[rival]!.remove(in: &configuration)
            }
            try setting.set(text, in: &configuration)
        }
    }
}

extension RunConfiguration {
    /// What is wrong with the values by themselves, in one line that names a flag; nil when nothing is.
    package var problem: String? {
        for setting in Settings.all {
            if let problem = setting.problem(in: self) { return problem }
        }
        if let problem = optimizer.problem { return problem }
        if let problem = problemOfCrops { return problem }
        if let problem = problemOfSchedule ?? problemOfRate ?? problemOfAverage { return problem }
        // Networks of crops take frames of any size.
        guard seesWholeFrames else { return problemOfNetwork }
        guard self.data == nil, let extent = imageExtent else { return nil }
        return network(width: extent.width, height: extent.height).problem
    }

    /// A network of crops is known before the data are.
    private var problemOfNetwork: String? {
        do {
            _ = try RunModel(self, width: 0, height: 0).policy(self)
            return nil
        } catch {
            return (error as? TrainingFailure)?.lines.first ?? "\(error)"
        }
    }

    /// A preset's rate for plain gradients is far too large for optimisers that divide by their size.
    private var problemOfRate: String? {
        let usual = RunConfiguration(preset: preset)
        let (own, kind) = (usual.optimizer.kind, optimizer.kind)
        guard !own.type.isAdaptive, kind.type.isAdaptive, self.learningRate == usual.learningRate else { return nil }
        return "--optimizer \(kind.rawValue) and no --learning-rate: preset \(preset.rawValue)'s \(self.learningRate) is for \(own.rawValue); "
            + "hint: --learning-rate 1e-3"
    }

    private var problemOfAverage: String? {
        guard model.averagingWarmsUp, model.averagingDecay == nil else { return nil }
        return "--ema-warmup has no --ema to begin with; hint: --ema 0.999 too, or leave it out"
    }

    /// A warm-up in steps that does not end in the run's steps; one in epochs is known with the data. A preset's own is made for long
    /// runs, and a trial may end within it.
    private var problemOfSchedule: String? {
        guard self.epochs == nil, model.schedule.warmup.unit == .steps, model.schedule != ModelSettings(preset: preset).schedule else { return nil }
        return model.schedule.problem(stepsPerEpoch: 1, totalSteps: self.steps)
    }

    /// A setting of crops that a network of whole frames would pass over in silence.
    private var problemOfCrops: String? {
        guard seesWholeFrames else { return nil }
        let usual = RunConfiguration(preset: preset)
        guard let row = CropSection.settings.first(where: { $0.text(in: self) != $0.text(in: usual) }) else { return nil }
        return "--\(row.name) is \(row.text(in: self) ?? "none"), and preset \(preset.rawValue) sees whole frames, no crops; "
            + "hint: leave it out, or --preset dtrain-hand"
    }
}
