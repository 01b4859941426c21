import ArgumentParser
import Collectives
import Exchange
import Glibc
import HandData
import Kernels
import Networks
import Tensors
import Training

struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Train the network (the default command).",
        discussion: """
            A flag beats the file given by --config, which beats the preset. Everything resolved is written to \
            RUN-DIR/config.yaml, which can be given to --config again.

            EXAMPLES
              dtrain --preset shallow --steps 300
              mpirun -np 4 dtrain --data /data/icvl --run-dir runs/icvl --resume auto
              dtrain --config runs/icvl/config.yaml --seed 2 --run-dir runs/second

            EXIT CODES
               0  done, or stopped by a file 'stop' in the run directory
               1  a failure, explained on standard error
              64  a wrong command line
              70  ended by the watchdog: nothing advanced
              75  stopped by a signal or --time-limit, saved: try again
            """)

    @OptionGroup(title: "DATA") var data: DataOptions
    @OptionGroup(title: "NETWORK") var network: NetworkOptions
    @OptionGroup(title: "TRAINING") var training: TrainingOptions
    @OptionGroup(title: "RANKS") var ranks: RankOptions
    @OptionGroup(title: "RUN DIRECTORY") var directory: DirectoryOptions
    @OptionGroup(title: "SAFETY") var safety: SafetyOptions

    @Option(help: "A YAML file of settings, such as the config.yaml of an earlier run.")
    var config: String?

    mutating func validate() throws {
        guard let problem = try resolved().problem else { return }
        if let config, try ConfigurationFile.read(config, preset: network.preset).problem == problem {
            throw ValidationError(try ConfigurationFile.locate(problem, path: config))
        }
        throw ValidationError(problem)
    }

    /// Preset, then file, then flags.
    private func resolved() throws -> RunConfiguration {
        var configuration = RunConfiguration(preset: network.preset ?? .seed)
        if let config { configuration = try ConfigurationFile.read(config, preset: network.preset) }
        data.apply(to: &configuration)
        network.apply(to: &configuration)
        training.apply(to: &configuration)
        ranks.apply(to: &configuration)
        directory.apply(to: &configuration)
        safety.apply(to: &configuration)
        return configuration
    }

    mutating func run() throws {
        let startedAt = Stopwatch.now
        let configuration = try resolved()
        let communicator: any Communicator
        do {
            communicator = try Communicators.start()
        } catch {
            if error.isForThisProcessToPrint { CommandRunner.complain("\(error)") }
            Glibc.exit(1)
        }
        if communicator.rank == 0, let notice = communicator.notice { CommandRunner.complain(notice) }
        StopSignal.listen()
        do {
            let trainer = try Trainer(
                configuration, communicator: communicator, startedAt: startedAt,
                configurationText: ConfigurationFile.text)
            let code = try trainer.run()
            communicator.finish()
            Glibc.exit(code)
        } catch let failure as TrainingFailure {
            if communicator.rank == 0 { for line in failure.lines { CommandRunner.complain(line) } }
            communicator.finish()
            Glibc.exit(failure.exitCode)
        } catch {
            // One rank alone met this: the others cannot know, so they are ended.
            CommandRunner.complainAnyRank("rank \(communicator.rank): \(error)")
            communicator.abort(exitCode: 1)
        }
    }
}

struct DataOptions: ParsableArguments {
    @Option(help: "Root of an ICVL data set (Training/, Testing/). Without it: synthetic hands, in memory.")
    var data: String?

    @Option(help: "Rotated copies of the training frames: none or all. (default: none)")
    var rotations: Rotations?

    @Option(help: "A sample that cannot be read: stop the run, or skip it on all ranks and count it. (default: stop)")
    var onBadSample: BadSamplePolicy?

    @Option(help: "Synthetic training frames. (default: 10000)")
    var syntheticFrames: Int?

    @Option(help: "Synthetic held-out frames. (default: 500)")
    var syntheticTestFrames: Int?

    @Option(help: "WIDTHxHEIGHT of synthetic frames. (default: 320x240)")
    var imageSize: String?

    @Option(help: "Depth as input: normalized (nearness, background 0) or raw (mm). (default: normalized)")
    var input: DepthConditioning?

    @Option(help: "Memory for decoded frames, MiB a rank; 0: none. (default: 1024)")
    var cache: Int?

    func apply(to configuration: inout RunConfiguration) {
        if let data { configuration.data = data }
        if let rotations { configuration.rotations = rotations }
        if let onBadSample { configuration.onBadSample = onBadSample }
        if let syntheticFrames { configuration.syntheticFrames = syntheticFrames }
        if let syntheticTestFrames { configuration.syntheticTestFrames = syntheticTestFrames }
        if let imageSize { configuration.imageSize = imageSize }
        if let input { configuration.input = input }
        if let cache { configuration.cache = cache }
    }
}

struct NetworkOptions: ParsableArguments {
    @Option(help: "Defaults of all settings: seed, seed-verbatim (the question's program: collapses) or shallow. (default: seed)")
    var preset: Preset?

    @Option(help: "Output head: linear, relu (can die: see Docs/why-zero.md) or exp (positive; with --learning-rate 1e-5). (default: linear)")
    var output: OutputHead?

    @Option(help: "Max pooling window: 2 (153,600 inputs of FC1) or 4 (38,400). (default: 2)")
    var pool: Int?

    @Option(help: "Units of FC1. (default: 1024)")
    var hidden: Int?

    @Option(help: "he, or truncated-normal (0.1, biases 0.1). (default: he)")
    var initialValues: InitialValues?

    @Option(help: "The last bias begins at the mean of the training labels, or constant as the others. (default: mean)")
    var outputBias: OutputBias?

    func apply(to configuration: inout RunConfiguration) {
        if let outputBias { configuration.outputBias = outputBias }
        if let output { configuration.output = output }
        if let pool { configuration.pool = pool }
        if let hidden { configuration.hidden = hidden }
        if let initialValues { configuration.initialValues = initialValues }
    }
}

struct TrainingOptions: ParsableArguments {
    @Option(help: "Training steps. (default: 1000)")
    var steps: Int?

    @Option(help: "Passes over the training samples, instead of --steps.")
    var epochs: Double?

    @Option(help: "Samples a step, over all ranks together. (default: 100)")
    var batchSize: Int?

    @Option(help: "Adam's learning rate. (default: 1e-4)")
    var learningRate: Double?

    @Option(help: "Of initial values, sample order and synthetic hands: the same for every number of ranks. (default: 1)")
    var seed: UInt64?

    @Option(help: "A loss or gradient that is not finite: stop the run, or skip the step's update on all ranks. (default: stop)")
    var onNonfinite: NonfinitePolicy?

    func apply(to configuration: inout RunConfiguration) {
        if let steps {
            configuration.steps = steps
            configuration.epochs = nil
        }
        if let epochs { configuration.epochs = epochs }
        if let batchSize { configuration.batchSize = batchSize }
        if let learningRate { configuration.learningRate = learningRate }
        if let seed { configuration.seed = seed }
        if let onNonfinite { configuration.onNonfinite = onNonfinite }
    }
}

struct RankOptions: ParsableArguments {
    @Option(help: "Threads a rank; 0: processors allowed on the node / ranks on it. (default: 0)")
    var threads: Int?

    @Option(
        help: """
            How ranks agree on the update: allreduce, sharded (moments divided by the ranks), split (the large layer divided; \
            activations travel) or auto (the fastest predicted). (default: allreduce)
            """)
    var exchange: ExchangeKind?

    @Option(help: "How gradients travel: fp32, or bf16 (half the bytes, rounded to 8 bits; sums in fp32). (default: fp32)")
    var wire: WireFormat?

    func apply(to configuration: inout RunConfiguration) {
        if let threads { configuration.threads = threads }
        if let exchange { configuration.exchange = exchange }
        if let wire { configuration.wire = wire }
    }
}

struct DirectoryOptions: ParsableArguments {
    @Option(help: "Where the run writes. (default: runs/TIME-PRESET)")
    var runDir: String?

    @Option(help: "never; auto: go on from the newest good checkpoint in --run-dir, if any; or a checkpoint's path. (default: never)")
    var resume: String?

    @Option(help: "What a resumed run may have otherwise: batch-size, data, learning-rate, on-bad-sample, seed, with commas; or none. (default: none)")
    var allowChange: ResumeChanges?

    @Option(help: "Steps between checkpoints; one is always written at the end. (default: 500)")
    var checkpointEvery: Int?

    @Option(help: "Newest checkpoints that are kept, besides the best. (default: 3)")
    var keepCheckpoints: Int?

    @Flag(help: "Also write the checkpoint of step 0, so that another program can start from the same weights.")
    var saveInitial = false

    @Option(help: "Steps between lines of metrics.jsonl. (default: 10)")
    var logEvery: Int?

    @Option(help: "Steps between validations on held-out frames; one is always made at the end. (default: 100)")
    var validateEvery: Int?

    @Option(help: "Held-out frames a validation uses, from the first; 0: all. (default: 0)")
    var validateFrames: Int?

    func apply(to configuration: inout RunConfiguration) {
        if let runDir { configuration.runDir = runDir }
        if let resume { configuration.resume = resume }
        if let allowChange { configuration.allowChange = allowChange }
        if let checkpointEvery { configuration.checkpointEvery = checkpointEvery }
        if let keepCheckpoints { configuration.keepCheckpoints = keepCheckpoints }
        if saveInitial { configuration.saveInitial = true }
        if let logEvery { configuration.logEvery = logEvery }
        if let validateEvery { configuration.validateEvery = validateEvery }
        if let validateFrames { configuration.validateFrames = validateFrames }
    }
}

struct SafetyOptions: ParsableArguments {
    @Option(help: "Save and stop after so long, SECONDS or HH:MM:SS, with exit code 75 if steps are left; or none. (default: none)")
    var timeLimit: TimeLimit?

    @Option(help: "Seconds without progress on any rank that end the run with exit code 70; 0: never. (default: 300)")
    var stallTimeout: Int?

    @Option(help: "Steps between comparisons of the ranks' weights, also made before a checkpoint; 0: none. (default: 100)")
    var verifyEvery: Int?

    func apply(to configuration: inout RunConfiguration) {
        if let timeLimit { configuration.timeLimit = timeLimit }
        if let stallTimeout { configuration.stallTimeout = stallTimeout }
        if let verifyEvery { configuration.verifyEvery = verifyEvery }
    }
}

extension Preset: ExpressibleByArgument {}
extension Rotations: ExpressibleByArgument {}
extension BadSamplePolicy: ExpressibleByArgument {}
extension DepthConditioning: ExpressibleByArgument {}
extension OutputHead: ExpressibleByArgument {}
extension InitialValues: ExpressibleByArgument {}
extension OutputBias: ExpressibleByArgument {}
extension ExchangeKind: ExpressibleByArgument {}
extension NonfinitePolicy: ExpressibleByArgument {}
extension ResumeChanges: ExpressibleByArgument {
    init?(argument: String) { self.init(argument) }
}
extension TimeLimit: ExpressibleByArgument {
    init?(argument: String) { self.init(argument) }
}
extension WireFormat: ExpressibleByArgument {}
