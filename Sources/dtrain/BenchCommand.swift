import ArgumentParser
import Benchmarks
import Checkpoints
import Glibc
import Kernels
import Networks
import Predictions
import System
import Telemetry
import Training

struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure this machine and dtrain on it.",
        discussion: """
            Medians over repeats after a warm-up. Machines are shared: compare figures of one run.

            EXAMPLES
              dtrain bench step
              dtrain bench step --threads 1 --preset shallow --json
              dtrain bench predict runs/first/checkpoints/best
              dtrain bench kernels
              mpirun -np 4 dtrain bench exchange
            """,
        subcommands: [
            BenchStep.self, BenchPredict.self, BenchGemm.self, BenchKernels.self, BenchLoader.self, BenchProjection.self, BenchExchange.self,
        ])
}

struct BenchOptions: ParsableArguments {
    @Option(help: "Threads; 0: the processors allowed.")
    var threads = 0

    @Option(help: "Measured repeats, at least 10 for a figure to quote.")
    var repeats = 10

    @Flag(help: "One line of JSON instead of the table.")
    var json = false

    var resolvedThreads: Int { threads > 0 ? threads : Processors.allowed().count }

    func validate() throws {
        if let problem = Machine.debugBuildProblem { throw ValidationError(problem) }
        guard threads >= 0 && threads <= 1024 else { throw ValidationError("--threads is \(threads); hint: 0 to 1024") }
        guard (1...1_000_000).contains(repeats) else {
            throw ValidationError("--repeats is \(repeats); hint: 1 to 1000000, at least 10 for a figure to quote")
        }
    }

    func show(_ report: BenchmarkReport, total: Double? = nil) {
        if json {
            CommandRunner.say(report.json)
        } else {
            for line in report.table(total: total) { CommandRunner.say(line) }
        }
    }
}

/// Runs a benchmark; its errors are lines like all others.
func measured<Value>(_ body: () throws -> Value) throws -> Value {
    do {
        return try body()
    } catch {
        throw error as? TrainingFailure ?? TrainingFailure("\(error)")
    }
}

struct BenchNetworkOptions: ParsableArguments {
    @Option(help: "seed, shallow, deepprior, ren, dense or dtrain-hand.")
    var preset: Preset = .seed

    @Option(help: "Pooling window, instead of the preset's: 2 or 4.")
    var pool: Int?

    @Option(help: "Samples a step. (default: the preset's)")
    var batchSize: Int?

    /// Samples a step.
    var samples: Int { batchSize ?? RunConfiguration(preset: preset).batchSize }

    @Option(help: "Kernels of FC1: auto, blas or tiled.")
    var denseKernels: DenseKernels = .auto

    func validate() throws {
        guard (1...100_000).contains(samples) else {
            throw ValidationError("--batch-size is \(samples); hint: give a number from 1 to 100000")
        }
        if let problem = network.problem { throw ValidationError(problem) }
    }

    var network: WindowNetwork {
        var configuration = RunConfiguration(preset: preset)
        if let pool { configuration.pool = pool }
        return configuration.network(width: 320, height: 240)
    }
}

extension BenchNetworkOptions {
    /// A network of the question's kind, which alone some benchmarks are of.
    func window() throws -> WindowNetwork {
        guard preset.architecture == nil else {
            throw TrainingFailure("this benchmark is of presets of whole frames, not of \(preset.rawValue); hint: dtrain bench step")
        }
        return network
    }

    /// The benchmark of single kernels of this network.
    func kernelBenchmark(_ options: BenchOptions) throws -> KernelBenchmark {
        KernelBenchmark(
            network: try window(), batch: samples, threads: options.resolvedThreads, repeats: options.repeats)
    }
}

struct BenchStep: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "step", abstract: "One rank's training step, its parts, and the floor the hardware sets.",
        discussion: """
            EXAMPLE
              dtrain bench step --threads 2
              dtrain bench step --preset dtrain-hand --forward --batch-size 1
            """)

    @OptionGroup var network: BenchNetworkOptions
    @Flag(help: "The forward pass of evaluation alone, of a preset of crops.")
    var forward = false
    @OptionGroup var options: BenchOptions

    func run() throws {
        try measured {
            if let architecture = network.preset.architecture {
                let report = try NetworkStepBenchmark(
                    network: architecture.description(), name: network.preset.rawValue, batch: network.samples,
                    threads: options.resolvedThreads, repeats: options.repeats,
                    optimizer: RunConfiguration(preset: network.preset).optimizer, isForward: forward
                ).run()
                return options.show(report, total: report.rows.reduce(0) { $0 + $1.seconds })
            }
            guard !forward else {
                throw TrainingFailure("--forward is of presets of crops, not of \(network.preset.rawValue); hint: --preset dtrain-hand")
            }
            let report = try StepBenchmark(
                network: network.network, preset: network.preset.rawValue, batch: network.samples,
                threads: options.resolvedThreads, repeats: options.repeats, kernels: network.denseKernels
            ).run()
            options.show(report, total: report.rows.reduce(0) { $0 + $1.seconds })
        }
    }
}

struct BenchPredict: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "predict", abstract: "Frames a second that a checkpoint's network predicts, by batch.",
        discussion: """
            Of synthetic hands: the network alone, and a frame's way from its depths to its joints, without reading a file.

            EXAMPLE
              dtrain bench predict runs/first/checkpoints/best --batches 1,64
            """)

    @Argument(help: "A checkpoint: the directory step-... that holds state.json.")
    var checkpoint: String

    @Option(help: ArgumentHelp("Frames at a time, with commas between.", valueName: "numbers"))
    var batches = "1,64"

    @OptionGroup var options: BenchOptions

    /// - Throws: `TrainingFailure` where the checkpoint cannot be read.
    private func figures() throws -> [PredictionSpeed.Figure] {
        do {
            return try PredictionSpeed.measure(checkpoint, batches: sizes, threads: options.resolvedThreads, repeats: options.repeats)
        } catch let error as CheckpointError {
            throw TrainingFailure("\(error)" + (error.hint == nil ? "; hint: a checkpoint is a directory step-... that dtrain wrote" : ""))
        }
    }

    private var sizes: [Int] { batches.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? 0 } }

    func validate() throws {
        guard sizes.allSatisfy({ (1...4096).contains($0) }) else {
            throw ValidationError("--batches is '\(batches)'; hint: numbers from 1 to 4096 with commas between, such as 1,64")
        }
    }

    func run() throws {
        try measured {
            let figures = try figures()
            options.show(
                BenchmarkReport(
                    title: "predict: \(checkpoint), \(options.resolvedThreads) threads; \(Processors.modelName), OpenBLAS \(BLAS.kernelName)",
                    facts: [
                        ("benchmark", .text("predict")), ("checkpoint", .text(checkpoint)), ("processor", .text(Processors.modelName)),
                        ("blas_kernel", .text(BLAS.kernelName)), ("threads", .integer(options.resolvedThreads)),
                        ("repeats", .integer(options.repeats)),
                    ],
                    rows: figures.map { BenchmarkRow(name: $0.name, seconds: $0.seconds, work: Double($0.frames), unit: .frames) }, notes: []))
        }
    }
}

struct BenchGemm: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gemm", abstract: "Matrix products: the BLAS at its best, and in the large layer's shapes.",
        discussion: """
            EXAMPLE
              dtrain bench gemm --threads 1
            """)

    @OptionGroup var network: BenchNetworkOptions
    @OptionGroup var options: BenchOptions

    func run() throws {
        try measured {
            options.show(
                try network.kernelBenchmark(options).products())
        }
    }
}

struct BenchKernels: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kernels",
        abstract: "Each kernel by itself: products, Adam, convolution; of presets of crops each shape of convolution; each optimiser's update.",
        discussion: """
            EXAMPLE
              dtrain bench kernels --preset shallow
              dtrain bench kernels --preset dense
            """)

    @OptionGroup var network: BenchNetworkOptions
    @OptionGroup var options: BenchOptions

    func run() throws {
        try measured {
            if let architecture = network.preset.architecture {
                return options.show(
                    try NetworkKernelBenchmark(
                        network: architecture.description(), name: network.preset.rawValue, batch: network.samples,
                        threads: options.resolvedThreads, repeats: options.repeats
                    ).run())
            }
            options.show(
                try network.kernelBenchmark(options).kernels())
        }
    }
}

struct BenchLoader: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "loader", abstract: "Frames a second: rendered, read from PNG files, and from the cache.",
        discussion: """
            Writes a small data set to the temporary directory and removes it again.

            EXAMPLE
              dtrain bench loader --threads 1
            """)

    @OptionGroup var options: BenchOptions

    func run() throws {
        try measured {
            options.show(try LoaderBenchmark(threads: options.resolvedThreads, repeats: options.repeats).run())
        }
    }
}

extension DenseKernels: ExpressibleByArgument {}
extension Preset: ExpressibleByArgument {}
