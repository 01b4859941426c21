import ArgumentParser
import Benchmarks
import Foundation
import Layers
import Networks
import Optimizers
import System
import Training

/// Tells what a network is and takes, without training and without MPI.
struct DescribeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe",
        abstract: "Print a network's layers, parameters, operations, memory, traffic and predicted step, before anything runs.",
        discussion: """
            EXAMPLES
              dtrain describe --preset dense --ranks 8
              dtrain describe --network Docs/examples/tiny.yaml --batch-size 32 --json
              dtrain describe --layers
              dtrain describe --preset dense --yaml >my.yaml
            """)

    @Option(help: "The preset whose network and recipe are meant.")
    var preset: Preset = .seed

    @Option(help: ArgumentHelp("File of a network of your own.", valueName: "file"))
    var network: String?

    @Option(help: ArgumentHelp("Size of whole frames (default: 320x240).", valueName: "WIDTHxHEIGHT"))
    var imageSize: String?

    @Option(help: "Rows and columns of a network's crop (default: as it was designed).")
    var cropSize: Int?

    @Option(help: "Ranks that train together.")
    var ranks = 1

    @Option(help: "Global batch size (default: the preset's).")
    var batchSize: Int?

    @Option(help: "Threads of a rank (default: all processors).")
    var threads: Int?

    @Flag(help: "Leave out the predicted step, which takes a second or two to measure.")
    var noPrediction = false

    @Flag(help: "Print instead which layers networks are made of: members, what they give, an example for a file.")
    var layers = false

    @Flag(help: "Print instead the network as a file for --network, to change a preset's layers.")
    var yaml = false

    @Flag(help: "As JSON.")
    var json = false

    func validate() throws {
        if network != nil && (imageSize != nil || cropSize != nil) {
            throw ValidationError("the file's input: tells the size of a network of your own; hint: leave --image-size and --crop-size out")
        }
        if yaml && (json || layers) { throw ValidationError("--yaml prints a file alone; hint: leave --json and --layers out") }
        for (name, value, limit) in [("ranks", ranks, 65_536), ("batch-size", batchSize ?? 1, 1 << 20), ("threads", threads ?? 1, 1024)]
        where !(1...limit).contains(value) {
            throw ValidationError("--\(name) is \(value); hint: 1 to \(limit)")
        }
        if let problem = configuration.problem { throw ValidationError(problem) }
        guard (batchSize ?? configuration.batchSize) >= ranks else {
            throw ValidationError("a global batch of \(configuration.batchSize) is smaller than \(ranks) ranks; hint: --batch-size \(ranks) or more")
        }
        let model = try model()
        if yaml, model.window != nil {
            throw ValidationError("\(model.name) sees whole frames, and a network of --network crops; hint: --preset dense --yaml")
        }
    }

    private var configuration: RunConfiguration {
        var configuration = RunConfiguration(preset: preset)
        configuration.model.networkFile = network
        if let imageSize { configuration.imageSize = imageSize }
        if let cropSize { configuration.model.crop.size = cropSize }
        if let batchSize { configuration.batchSize = batchSize }
        return configuration
    }

    private func model() throws -> RunModel {
        let extent = configuration.imageExtent ?? (320, 240)
        do {
            return try RunModel(configuration, width: extent.width, height: extent.height)
        } catch let failure as TrainingFailure {
            throw ValidationError(failure.lines.joined(separator: " "))
        }
    }

    func run() throws {
        guard !layers else { return try printLayers() }
        let (model, configuration) = (try model(), configuration)
        guard !yaml else { return CommandRunner.say(String(NetworkFile.text(model.description).dropLast())) }
        let threads = threads ?? Processors.allowed().count
        let isStored = model.window == nil
        let predictions =
            noPrediction
            ? []
            : try measured {
                try StepPrediction.make(
                    model.description, window: model.window, batch: configuration.batchSize, ranks: ranks, threads: threads,
                    optimizer: configuration.optimizer)
            }
        let summary = NetworkSummary(
            model.description, name: model.name,
            run: NetworkSummary.Run(
                ranks: ranks, batch: configuration.batchSize, threads: threads,
                stateValues: configuration.optimizer.stateNames.count, storesGradients: isStored),
            predictions: predictions)
        if json { try printJSON(summary) } else { CommandRunner.say(summary.table) }
    }

    private func printLayers() throws {
        let layers = LayerCatalog.summaries
        guard !json else { return try printJSON(layers) }
        let texts = layers.map { layer in
            let lines = [("members", layer.membersText), ("gives", layer.result), ("example", layer.example ?? "")]
            return ([layer.kind] + lines.filter { !$0.1.isEmpty }.map { "  \($0.0): \($0.1)" }).joined(separator: "\n")
        }
        CommandRunner.say(texts.joined(separator: "\n"))
    }

    private func printJSON(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        CommandRunner.say(String(decoding: try encoder.encode(value), as: UTF8.self))
    }
}
