package import HandData
import Kernels
package import Networks
package import Optimizers

/// A named set of defaults.
package enum Preset: String, Sendable, Codable, CaseIterable {
    /// The question's network, loss, optimiser and batch, with the answer's cure (linear output) and sane conditioning.
    case seed
    /// The question's program as it was: ReLU output, truncated normal 0.1, biases 0.1, raw depth. It collapses to zero.
    case seedVerbatim = "seed-verbatim"
    /// `seed` with 4x4 pooling: 38,400 inputs of FC1, a quarter of the weights.
    case shallow
    /// DeepPrior's deep network on crops of 128x128 pixels (Oberweger et al. 2015).
    case deepPrior = "deepprior"
    /// Region ensemble network of four regions (Guo et al. 2017).
    case ren
    /// Dense joint maps with a joint graph, two stacks (JGR-P2O, Fang et al. 2020).
    case dense
    /// dtrain's own: convolutions, then soft-argmax with offsets.
    case hand = "dtrain-hand"

    /// The network of a preset of crops; nil: one of the question's kind, of whole frames.
    package var architecture: Architecture? {
        switch self {
        case .seed, .seedVerbatim, .shallow: nil
        case .deepPrior: .deepPrior
        case .ren: .ren
        case .dense: .dense
        case .hand: .hand
        }
    }
}

/// How the last layer's bias begins.
package enum OutputBias: String, Sendable, Codable, CaseIterable {
    /// At the mean of the training labels: the network starts as the best constant answer, and learns what differs.
    case mean
    /// As the other biases.
    case constant
}

/// Everything a run is made from, resolved: what `config.yaml` holds.
///
/// A setting's property stands beside its row, in its section: `configuration.steps` is `TrainingSection.steps`. The values there
/// are the defaults of `--preset seed`; what other presets have otherwise is in `init(preset:)`.
@dynamicMemberLookup
package struct RunConfiguration: Sendable, Equatable {
    package var preset: Preset
    /// The network's recipe.
    package var model: ModelSettings

    private var dataSection = DataSection()
    private var networkSection = NetworkSection()
    private var cropSection = CropSection()
    private var trainingSection = TrainingSection()
    private var ranksSection = RanksSection()
    private var runDirectorySection = RunDirectorySection()
    private var safetySection = SafetySection()

    package init(preset: Preset) {
        self.preset = preset
        model = ModelSettings(preset: preset)
        switch preset {
        case .seed: break
        case .seedVerbatim:
            self.input = .raw
            self.output = .relu
            self.initialValues = .truncatedNormal
            self.outputBias = .constant
        case .shallow: self.pool = 4
        case .deepPrior: (self.batchSize, self.learningRate) = (128, 1e-3)
        // Published is 1e-3 for Caffe's smooth L1, which sums over a sample's 48 values; here it is their mean.
        case .ren: (self.batchSize, self.learningRate) = (128, 0.048)
        case .dense: (self.batchSize, self.learningRate) = (32, 2e-3)
        case .hand: (self.batchSize, self.learningRate) = (32, 2e-3)
        }
        // The question's networks keep the hands, and so the figures, that they always had.
        if preset.architecture != nil { self.hands = .icvl }
        // Docs/accuracy.md has what these bring.
        if preset == .hand { (self.hands, self.syntheticFrames) = (.varied, 20_000) }
    }

    /// The synthetic hands of a run.
    package var handStyle: HandStyle {
        HandStyle(
            model: self.hands, variation: self.handVariation, directions: self.handDirections, views: self.handViews,
            surfaceOffset: self.handSurfaceOffset, camera: self.camera.camera)
    }

    /// Whether the network sees whole frames, as the question's do, and so reads no setting of crops.
    package var seesWholeFrames: Bool { model.networkFile == nil && preset.architecture == nil }

    /// Width and height of `imageSize`, or nil when it is not two positive numbers with an `x` between.
    package var imageExtent: (width: Int, height: Int)? {
        let numbers = self.imageSize.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
        guard numbers.count == 2, let width = numbers[0], let height = numbers[1], width > 0, height > 0,
            width <= 4096, height <= 4096
        else { return nil }
        return (width, height)
    }

    /// The network for images of this size.
    package func network(width: Int, height: Int) -> WindowNetwork {
        WindowNetwork(
            height: height, width: width, pool: self.pool, hidden: self.hidden, head: self.output, initialValues: self.initialValues)
    }

    package var optimizer: OptimizerConfiguration {
        var optimizer = model.optimizer
        optimizer.learningRate = self.learningRate
        optimizer.weightDecay = model.weightDecay ?? OptimizerConfiguration(kind: optimizer.kind).weightDecay
        return optimizer
    }
}

// MARK: The sections

extension RunConfiguration {
    package subscript<Value>(dynamicMember member: WritableKeyPath<DataSection, Value>) -> Value {
        get { dataSection[keyPath: member] }
        set { dataSection[keyPath: member] = newValue }
    }
    package subscript<Value>(dynamicMember member: WritableKeyPath<NetworkSection, Value>) -> Value {
        get { networkSection[keyPath: member] }
        set { networkSection[keyPath: member] = newValue }
    }
    package subscript<Value>(dynamicMember member: WritableKeyPath<CropSection, Value>) -> Value {
        get { cropSection[keyPath: member] }
        set { cropSection[keyPath: member] = newValue }
    }
    package subscript<Value>(dynamicMember member: WritableKeyPath<TrainingSection, Value>) -> Value {
        get { trainingSection[keyPath: member] }
        set { trainingSection[keyPath: member] = newValue }
    }
    package subscript<Value>(dynamicMember member: WritableKeyPath<RanksSection, Value>) -> Value {
        get { ranksSection[keyPath: member] }
        set { ranksSection[keyPath: member] = newValue }
    }
    package subscript<Value>(dynamicMember member: WritableKeyPath<RunDirectorySection, Value>) -> Value {
        get { runDirectorySection[keyPath: member] }
        set { runDirectorySection[keyPath: member] = newValue }
    }
    package subscript<Value>(dynamicMember member: WritableKeyPath<SafetySection, Value>) -> Value {
        get { safetySection[keyPath: member] }
        set { safetySection[keyPath: member] = newValue }
    }
}
