import ArgumentParser
import HandData
import Predictions
import Training

/// Scores a file of predictions against labels.
struct ScoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "score",
        abstract: "Score a file of predictions against label files, as the field does.",
        discussion: """
            A line of predictions is 48 numbers, three for each joint, with blanks, tabs or commas between, with or without the frame's \
            name in front. What the numbers mean is found out by comparing with the labels: pixels and mm, or mm; y down or up. Where that \
            is not clear it is an error, and --format says it. A label line is u, v in pixels and d in mm, as ICVL's are.

            EXAMPLES
              dtrain score predictions.txt --labels test_seq_1.txt test_seq_2.txt
              dtrain score published.txt --labels test_seq_1.txt --format xyz-up --json
            """)

    @Argument(help: "A file of predictions.")
    var predictions: String

    @Option(parsing: .upToNextOption, help: ArgumentHelp("Label files of the predicted frames, in their order.", valueName: "file"))
    var labels: [String]

    @Option(help: ArgumentHelp("What the numbers are, where it cannot be found out: \(PoseFormat.list).", valueName: "format"))
    var format: PoseFormat?

    @OptionGroup var camera: IntrinsicsOption

    @Flag(help: "One JSON object.")
    var json = false

    mutating func validate() throws {
        guard !labels.isEmpty else { throw ValidationError("--labels without a file; hint: --labels test_seq_1.txt test_seq_2.txt") }
        _ = try camera.checked()
    }

    func run() throws {
        do {
            let poses = try PoseFile(contentsOf: predictions)
            let outcome = try Scorer.score(
                poses, against: try Truth(contentsOf: labels), format: format, intrinsics: try camera.checked())
            if json { return try CommandRunner.say(JSONText.of(outcome.score)) }
            CommandRunner.say(
                "\(predictions): \(outcome.format.words); matched by \(outcome.matching.rawValue); intrinsics \(outcome.score.facts.intrinsics)")
            for line in outcome.score.lines { CommandRunner.say(line) }
        } catch let error as DataError {
            throw TrainingFailure("\(error)")
        }
    }
}

/// The camera that errors are measured with.
struct IntrinsicsOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Camera by which pixels become mm: common (240.99/240.96 px, as published tables have it), 241.42, or fx,fy,cx,cy.",
            valueName: "camera"))
    var intrinsics = "common"

    func checked() throws -> Intrinsics {
        guard let value = Intrinsics(intrinsics) else {
            throw ValidationError("--intrinsics is '\(intrinsics)'; hint: common, 241.42, or fx,fy,cx,cy in pixels")
        }
        return value
    }
}

extension PoseFormat: ExpressibleByArgument {
    static let list = allCases.map(\.rawValue).joined(separator: ", ")
}
