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
}

/// How the last layer's bias begins.
package enum OutputBias: String, Sendable, Codable, CaseIterable {
    /// At the mean of the training labels: the network starts as the best constant answer, and learns what differs.
    case mean
    /// As the other biases.
    case constant
}

/// Everything a run is made from, resolved: what `config.yaml` holds. Its keys are the names of the flags.
package struct RunConfiguration: Sendable, Codable, Equatable {
    package var preset: Preset

    /// Root of an ICVL data set; nil: synthetic hands in memory.
    package var data: String?
    package var rotations: Rotations
    package var onBadSample: BadSamplePolicy
    /// Frames of the synthetic training and held-out sets, when `data` is nil.
    package var syntheticFrames: Int
    package var syntheticTestFrames: Int
    /// `WIDTHxHEIGHT` of the synthetic frames; a data set on disk has its own.
    package var imageSize: String
    package var input: DepthConditioning
    /// Memory for decoded frames, MiB a rank.
    package var cache: Int

    package var output: OutputHead
    package var pool: Int
    package var hidden: Int
    package var initialValues: InitialValues
    package var outputBias: OutputBias

    package var steps: Int
    /// Passes over the training samples; when set, it decides `steps`.
    package var epochs: Double?
    /// Global: samples a step over all ranks.
    package var batchSize: Int
    package var learningRate: Double
    package var seed: UInt64
    package var onNonfinite: NonfinitePolicy

    /// Threads a rank; 0: the processors this node allows, divided by the ranks on it.
    package var threads: Int
    package var exchange: ExchangeKind
    /// How gradients travel between ranks.
    package var wire: WireFormat

    /// Where the run writes; nil: a new directory in `runs/`.
    package var runDir: String?
    /// `auto`, `never`, or a checkpoint's path.
    package var resume: String
    /// What a resumed run may have otherwise than the run before.
    package var allowChange: ResumeChanges
    package var checkpointEvery: Int
    /// How many of the newest checkpoints are kept; the best is kept besides.
    package var keepCheckpoints: Int
    package var saveInitial: Bool
    package var logEvery: Int
    package var validateEvery: Int
    /// Held-out frames a validation uses, from the first; 0: all of them.
    package var validateFrames: Int

    /// The run saves and stops after so long.
    package var timeLimit: TimeLimit
    /// Seconds without progress that end the run; 0: never.
    package var stallTimeout: Int
    /// Steps between comparisons of the replicas; 0: none.
    package var verifyEvery: Int

    package init(preset: Preset) {
        self.preset = preset
        rotations = .none
        onBadSample = .stop
        syntheticFrames = 10_000
        syntheticTestFrames = 500
        imageSize = "320x240"
        input = preset == .seedVerbatim ? .raw : .normalized
        cache = 1024
        output = preset == .seedVerbatim ? .relu : .linear
        pool = preset == .shallow ? 4 : 2
        hidden = 1024
        initialValues = preset == .seedVerbatim ? .truncatedNormal : .he
        outputBias = preset == .seedVerbatim ? .constant : .mean
        steps = 1000
        batchSize = 100
        learningRate = 1e-4
        seed = 1
        onNonfinite = .stop
        threads = 0
        exchange = .allreduce
        wire = .fp32
        resume = "never"
        allowChange = .none
        checkpointEvery = 500
        keepCheckpoints = 3
        saveInitial = false
        logEvery = 10
        validateEvery = 100
        validateFrames = 0
        timeLimit = .none
        stallTimeout = 300
        verifyEvery = 100
    }

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case preset, data, rotations
        case onBadSample = "on-bad-sample"
        case syntheticFrames = "synthetic-frames"
        case syntheticTestFrames = "synthetic-test-frames"
        case imageSize = "image-size"
        case input, cache, output, pool, hidden
        case initialValues = "initial-values"
        case outputBias = "output-bias"
        case steps, epochs
        case batchSize = "batch-size"
        case learningRate = "learning-rate"
        case seed
        case onNonfinite = "on-nonfinite"
        case threads, exchange, wire
        case runDir = "run-dir"
        case resume
        case allowChange = "allow-change"
        case checkpointEvery = "checkpoint-every"
        case keepCheckpoints = "keep-checkpoints"
        case saveInitial = "save-initial"
        case logEvery = "log-every"
        case validateEvery = "validate-every"
        case validateFrames = "validate-frames"
        case timeLimit = "time-limit"
        case stallTimeout = "stall-timeout"
        case verifyEvery = "verify-every"
    }

    /// Width and height of `imageSize`, or nil when it is not two positive numbers with an `x` between.
    package var imageExtent: (width: Int, height: Int)? {
        let numbers = imageSize.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
        guard numbers.count == 2, let width = numbers[0], let height = numbers[1], width > 0, height > 0,
            width <= 4096, height <= 4096
        else { return nil }
        return (width, height)
    }

    /// The network for images of this size.
    package func network(width: Int, height: Int) -> NetworkConfiguration {
        NetworkConfiguration(
            height: height, width: width, pool: pool, hidden: hidden, head: output, initialValues: initialValues)
    }

    package var adam: Adam.Configuration { Adam.Configuration(learningRate: learningRate) }

    /// More steps than any run takes; products with it stay exact.
    private static let mostSteps = 1_000_000_000_000

    /// What is wrong with the values by themselves, in one line; nil when nothing is.
    package var problem: String? {
        // The upper ends are far beyond any use; below them no count of bytes overflows before it meets the memory check.
        let counts: [(value: Int, key: CodingKeys, range: ClosedRange<Int>)] = [
            (steps, .steps, 1...Self.mostSteps), (batchSize, .batchSize, 1...100_000_000), (hidden, .hidden, 1...1_000_000),
            (logEvery, .logEvery, 1...Self.mostSteps), (validateEvery, .validateEvery, 1...Self.mostSteps),
            (checkpointEvery, .checkpointEvery, 1...Self.mostSteps), (keepCheckpoints, .keepCheckpoints, 1...1_000_000),
            (syntheticFrames, .syntheticFrames, 1...10_000_000), (syntheticTestFrames, .syntheticTestFrames, 1...10_000_000),
            (threads, .threads, 0...1024), (cache, .cache, 0...1_000_000_000),
            (validateFrames, .validateFrames, 0...Self.mostSteps), (stallTimeout, .stallTimeout, 0...1_000_000),
            (verifyEvery, .verifyEvery, 0...Self.mostSteps),
        ]
        for (value, key, range) in counts where !range.contains(value) {
            return "--\(key.rawValue) is \(value); hint: give a number from \(range.lowerBound) to \(range.upperBound)"
        }
        if pool != 2 && pool != 4 { return "--pool is \(pool); hint: --pool 2 or --pool 4" }
        if !(learningRate > 0 && learningRate.isFinite) {
            return "--learning-rate is \(learningRate); hint: a small positive number such as 1e-4"
        }
        if let epochs, !(epochs > 0 && epochs <= 1e9) {
            return "--epochs is \(epochs); hint: a positive number such as 10 or 0.5, at most 1e9"
        }
        guard let extent = imageExtent else {
            return "--image-size is '\(imageSize)'; hint: WIDTHxHEIGHT, for example 320x240"
        }
        return data == nil ? network(width: extent.width, height: extent.height).problem : nil
    }
}
