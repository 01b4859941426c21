package import Collectives
package import Exchange
package import HandData
package import Kernels
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

/// Everything a run is made from, resolved: what `config.yaml` holds. Each property is a row of `Settings`.
///
/// The values here are the defaults of `--preset seed`; what other presets have otherwise is in `init(preset:)`.
package struct RunConfiguration: Sendable, Equatable {
    package var preset: Preset
    /// The network's recipe.
    package var model: ModelSettings

    /// Root of an ICVL data set; nil: synthetic hands in memory.
    package var data: String?
    package var rotations: Rotations = .none
    package var onBadSample: BadSamplePolicy = .stop
    /// What the best weights are chosen by.
    package var validation: ValidationSplit = .sequence
    /// Frames of the synthetic training and test sets, when `data` is nil; there are as many held-out hands as test hands.
    package var syntheticFrames = 10_000
    package var syntheticTestFrames = 500
    /// Which kind of synthetic hands, and how they vary.
    package var hands = HandModel.first
    package var handVariation = 1.0
    package var handDirections = HandDirections.upright
    package var handViews = HandViews.palm
    /// mm; nil: the model's.
    package var handSurfaceOffset: Double?
    /// Of the frames, synthetic or not.
    package var camera = CameraChoice.icvl
    /// `WIDTHxHEIGHT` of the synthetic frames; a data set on disk has its own.
    package var imageSize = "320x240"
    package var input: DepthConditioning = .normalized
    /// Memory for decoded frames, MiB a rank.
    package var cache = 1024

    package var output: OutputHead = .linear
    package var pool = 2
    package var hidden = 1024
    package var initialValues: InitialValues = .he
    package var outputBias: OutputBias = .mean

    package var steps = 1000
    /// Passes over the training samples; when set, it decides `steps`.
    package var epochs: Double?
    /// Global: samples a step over all ranks.
    package var batchSize = 100
    package var learningRate = 1e-4
    package var seed: UInt64 = 1
    package var onNonfinite: NonfinitePolicy = .stop

    /// Threads a rank; 0: the processors this node allows, divided by the ranks on it.
    package var threads = 0
    package var exchange: ExchangeChoice = .kind(.allreduce)
    /// How gradients travel between ranks.
    package var wire: WireFormat = .fp32

    /// Where the run writes; nil: a new directory in `runs/`.
    package var runDir: String?
    /// `auto`, `never`, or a checkpoint's path.
    package var resume = "never"
    /// What a resumed run may have otherwise than the run before.
    package var allowChange: ResumeChanges = .none
    package var checkpointEvery = 500
    /// Steps between snapshots in the nodes' memory.
    package var snapshotEvery = SnapshotInterval.auto
    /// How many of the newest checkpoints are kept; the best is kept besides.
    package var keepCheckpoints = 3
    package var saveInitial = false
    package var logEvery = 10
    package var validateEvery = 100
    /// Held-out frames a validation uses, from the first; 0: all of them.
    package var validateFrames = 0
    /// Validations in a row without a better error that end the run; 0: none do.
    package var patience = 0
    /// Whether the run's page is written at its end.
    package var report = false
    /// Whether event files are written that TensorBoard reads.
    package var tensorboard = false
    /// Steps whose spans of time are written.
    package var trace = TraceSteps.none

    /// The run saves and stops after so long.
    package var timeLimit: TimeLimit = .none
    /// Seconds without progress that end the run; 0: never.
    package var stallTimeout = 300
    /// Steps between comparisons of the replicas; 0: none.
    package var verifyEvery = 100

    package init(preset: Preset) {
        self.preset = preset
        model = ModelSettings(preset: preset)
        switch preset {
        case .seed: break
        case .seedVerbatim:
            input = .raw
            output = .relu
            initialValues = .truncatedNormal
            outputBias = .constant
        case .shallow: pool = 4
        case .deepPrior: (batchSize, learningRate) = (128, 1e-3)
        // Published is 1e-3 for Caffe's smooth L1, which sums over a sample's 48 values; here it is their mean.
        case .ren: (batchSize, learningRate) = (128, 0.048)
        case .dense: (batchSize, learningRate) = (32, 2e-3)
        case .hand: (batchSize, learningRate) = (32, 2e-3)
        }
        // The question's networks keep the hands, and so the figures, that they always had.
        if preset.architecture != nil { hands = .icvl }
        // Docs/accuracy.md has what these bring.
        if preset == .hand { (hands, syntheticFrames) = (.varied, 20_000) }
    }

    /// The synthetic hands of a run.
    package var handStyle: HandStyle {
        HandStyle(
            model: hands, variation: handVariation, directions: handDirections, views: handViews,
            surfaceOffset: handSurfaceOffset, camera: camera.camera)
    }

    /// Whether the network sees whole frames, as the question's do, and so reads no setting of crops.
    package var seesWholeFrames: Bool { model.networkFile == nil && preset.architecture == nil }

    /// Width and height of `imageSize`, or nil when it is not two positive numbers with an `x` between.
    package var imageExtent: (width: Int, height: Int)? {
        let numbers = imageSize.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
        guard numbers.count == 2, let width = numbers[0], let height = numbers[1], width > 0, height > 0,
            width <= 4096, height <= 4096
        else { return nil }
        return (width, height)
    }

    /// The network for images of this size.
    package func network(width: Int, height: Int) -> WindowNetwork {
        WindowNetwork(
            height: height, width: width, pool: pool, hidden: hidden, head: output, initialValues: initialValues)
    }

    package var optimizer: OptimizerConfiguration {
        var optimizer = model.optimizer
        optimizer.learningRate = learningRate
        optimizer.weightDecay = model.weightDecay ?? OptimizerConfiguration(kind: optimizer.kind).weightDecay
        return optimizer
    }
}
