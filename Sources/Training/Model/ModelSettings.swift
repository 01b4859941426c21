import Checkpoints
import Exchange
package import HandData
package import Networks
package import Optimizers

/// How a hand is cropped and varied before a network of crops sees it.
package struct CropSettings: Sendable, Equatable {
    /// Side of the network's square input, pixels; 0: the network's own.
    package var size = 0
    /// Edge of the cube around the hand, mm.
    package var cube = 250.0
    package var resampling = Resampling.nearest
    package var centre = CentreChoice.com
    package var augmentation = Augmentation.none
}

/// What decides how a network learns, beside the learning rate and the batch: as the recipe of a preset has it, or as asked.
package struct ModelSettings: Sendable, Equatable {
    /// A file with the user's own network; nil: the preset's.
    package var networkFile: String?
    package var optimizer = OptimizerConfiguration()
    package var schedule = Schedule.constant
    package var clipping = Clipping.none
    /// Micro-batches of a step: the same update as a batch so many times as large.
    package var accumulate = 1
    /// Averaged weights for validation and `best`: the old average's share; nil: the weights themselves.
    package var averagingDecay: Double?
    /// A smaller share in the first updates.
    package var averagingWarmsUp = false
    package var update = UpdateChoice.auto
    package var loss = LossChoice.preset
    /// nil: what the optimiser has by itself.
    package var weightDecay: Double?
    package var crop = CropSettings()

    /// A checksum of the user's own network: nodes may have copies of the file. Nil where there is none that can be read.
    var networkContents: String? {
        guard let networkFile, let network = try? NetworkFile.read(networkFile) else { return nil }
        return Array(NetworkFile.text(network).utf8).withUnsafeBytes { "\(StreamingChecksum.of($0))" }
    }

    package var averaging: AveragedWeights.Configuration? {
        averagingDecay.map { AveragedWeights.Configuration(decay: $0, warmsUp: averagingWarmsUp) }
    }

    package init(preset: Preset) {
        switch preset {
        case .seed, .seedVerbatim, .shallow: break
        case .deepPrior:
            crop.augmentation = .icvl
            schedule = Schedule(.exponential(every: .epochs(1), factor: 0.96), warmup: .epochs(1))
        case .ren:
            crop.cube = 300
            crop.augmentation = .ren
            optimizer = OptimizerConfiguration(kind: .sgd, biasRateMultiplier: 2)
            // Published is 5e-4, beside a loss that is 48 times as large: see the learning rate.
            weightDecay = 1.04e-5
            schedule = Schedule(.steps(every: .steps(40_000), factor: 0.1))
        case .dense:
            crop.augmentation = .icvl
            crop.augmentation.jitter = 10
            crop.augmentation.scale = 0.1
            // Scales that begin at 0 have far to go, and Adam moves each by no more than the rate.
            optimizer.normalizationRateMultiplier = 10
            schedule = Schedule(.cosine(final: 0), warmup: .steps(100))
        case .hand:
            crop.augmentation.jitter = 8
            crop.augmentation.rotation = 45
            crop.augmentation.scale = 0.05
            optimizer.kind = .adamw
            schedule = Schedule(.cosine(final: 0), warmup: .steps(100))
        }
    }
}

extension Augmentation {
    /// Pose-REN's amounts: about 10 px, 15 degrees and 10%, here as deviations that keep nine samples in ten within them.
    package static let ren: Augmentation = {
        var augmentation = Augmentation()
        augmentation.jitter = 10
        augmentation.rotation = 15
        augmentation.scale = 0.06
        return augmentation
    }()
}

/// Which update policy a run is to have.
package enum UpdateChoice: String, Sendable, CaseIterable {
    case auto, fused, stored
}

/// The network's own loss, or another. As text: `preset`, `mse`, `smooth-l1:10`, `huber:0.1`.
package enum LossChoice: SettingText, Equatable {
    case preset
    case loss(Loss)

    package init(parsing text: String) throws(SettingError) {
        if text == "preset" {
            self = .preset
            return
        }
        let halves = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let amount = halves.count == 2 ? Double(halves[1]) : 1
        guard let kind = Loss.Kind(rawValue: halves[0]), let amount, amount > 0, amount.isFinite,
            halves.count == 1 || kind != .meanSquared
        else {
            throw SettingError(description: "--loss is '\(text)'; hint: preset, mse, smooth-l1:10 or huber:0.1")
        }
        self = .loss(Loss(kind, sigma: kind == .smoothL1 ? amount : 1, delta: kind == .huber ? amount : 1))
    }

    package var description: String {
        guard case .loss(let loss) = self else { return "preset" }
        return switch loss.kind {
        case .meanSquared: loss.kind.rawValue
        case .smoothL1: "\(loss.kind.rawValue):\(loss.sigma)"
        case .huber: "\(loss.kind.rawValue):\(loss.delta)"
        }
    }

    /// Applied to a network's own.
    func replacing(_ own: Loss) -> Loss { if case .loss(let loss) = self { loss } else { own } }
}

extension Augmentation: SettingText {
    private static let names: [(String, Augmentation)] = [("none", .none), ("icvl", .icvl), ("strong", .strong)]
    private static var amounts: [(name: String, path: WritableKeyPath<Augmentation, Double>, most: Double)] {
        [
            ("jitter", \.jitter, 100), ("rotation", \.rotation, 180), ("scale", \.scale, 0.5), ("noise", \.depthNoise, 100),
            ("dropout", \.dropout, 0.9), ("hole-size", \.holeRadius, 0.5),
        ]
    }
    private static let usualHoleSize = Augmentation.none.holeRadius
    private static let mostHoles = 100

    package init(parsing text: String) throws(SettingError) {
        if let named = Self.names.first(where: { $0.0 == text }) {
            self = named.1
            return
        }
        self.init()
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let halves = part.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
            func problem(_ words: String) -> SettingError {
                SettingError(
                    description: "--augment is '\(text)': \(words); hint: none, icvl, strong, or amounts such as "
                        + "jitter=10,rotation=180,scale=0.1,noise=2,dropout=0.15,holes=3")
            }
            guard halves.count == 2, let value = Double(halves[1]) else { throw problem("'\(part)' is no amount") }
            if halves[0] == "holes" {
                guard value >= 0, value <= Double(Self.mostHoles), value == value.rounded() else {
                    throw problem("holes are 0 to \(Self.mostHoles)")
                }
                holes = Int(value)
            } else if let amount = Self.amounts.first(where: { $0.name == halves[0] }) {
                guard value >= 0, value <= amount.most else { throw problem("\(amount.name) is 0 to \(amount.most)") }
                self[keyPath: amount.path] = value
            } else {
                throw problem("there is no '\(halves[0])'")
            }
        }
    }

    package var description: String {
        if let named = Self.names.first(where: { $0.1 == self }) { return named.0 }
        let parts = Self.amounts.filter { self[keyPath: $0.path] != ($0.name == "hole-size" ? Self.usualHoleSize : 0) }
            .map { "\($0.name)=\(self[keyPath: $0.path])" }
        return (parts + (holes > 0 ? ["holes=\(holes)"] : [])).joined(separator: ",")
    }
}
