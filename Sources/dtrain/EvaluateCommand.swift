import ArgumentParser
import Collectives
import HandData
import Predictions
import Training

/// Measures a checkpoint's network on the frames of a data set.
struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Measure a checkpoint's error in mm on a data set, and write its predictions.",
        discussion: """
            The frames are predicted as training's validation does it. A checkpoint alone suffices; averaged weights are used where it has \
            them. Ranks share the frames; the result does not depend on their number. A directory with Testing alone is enough.

            EXAMPLES
              dtrain evaluate runs/icvl/checkpoints/best --data /data/icvl
              mpirun -np 4 dtrain evaluate runs/icvl/checkpoints/best --data /data/icvl --json
              dtrain evaluate runs/icvl/checkpoints/best --data /data/icvl --plot curve --beside REN.txt LRF.txt
            """)

    @Argument(help: "A checkpoint: the directory step-... that holds state.json.")
    var checkpoint: String

    @Option(help: ArgumentHelp("Root of an ICVL data set.", valueName: "directory"))
    var data: String

    @Option(help: ArgumentHelp("Which frames: test, what training on them validates on, or those of training.", valueName: "part"))
    var split: ICVLPart.Name = .test

    @Option(
        help: ArgumentHelp(
            "Where crops are put: com (found in the frame), a file with a line u v d a frame, or labels (uses the truth).",
            valueName: "com|labels|file"))
    var centre = "com"

    @Option(
        help: ArgumentHelp("Camera of the frames, fx,fy,cx,cy in pixels (default: the checkpoint's, or ICVL's).", valueName: "camera"))
    var camera: String?

    @Option(
        help: ArgumentHelp(
            "Camera by which errors are measured: common (240.99/240.96 px, as published tables have it), 241.42, or fx,fy,cx,cy "
                + "(default: common, or the frames' own camera where it is not ICVL's).", valueName: "camera"))
    var intrinsics: String?

    @Option(help: "A frame that cannot be predicted: stop, or skip it and count it.")
    var onBadSample: BadSamplePolicy = .stop

    @Option(help: "Threads a rank; 0: the processors allowed on the node / the ranks on it.")
    var threads = 0

    @Option(help: ArgumentHelp("Where the predictions are written: 48 numbers a line, u px, v px, d mm a joint.", valueName: "file"))
    var out = "predictions.txt"

    @Option(help: ArgumentHelp("Draw the success curve: FILE.svg and FILE.png.", valueName: "file"))
    var plot: String?

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Files of other predictions of the same frames, for the plot.", valueName: "file"))
    var beside: [String] = []

    @Flag(help: "One JSON object.")
    var json = false

    mutating func validate() throws { _ = try request() }

    private func request() throws -> EvaluationRequest {
        var request = EvaluationRequest(checkpoint: checkpoint, data: data)
        request.part = split
        request.centre = EvaluationCentre(centre)
        request.camera = try CameraText.camera(camera)
        if let intrinsics {
            guard let value = Intrinsics(intrinsics) else {
                throw ValidationError("--intrinsics is '\(intrinsics)'; hint: common, 241.42, or fx,fy,cx,cy in pixels")
            }
            request.intrinsics = value
        }
        guard (0...1024).contains(threads) else { throw ValidationError("--threads is \(threads); hint: give a number from 0 to 1024") }
        guard beside.isEmpty || plot != nil else { throw ValidationError("--beside is for the plot; hint: --plot FILE too") }
        guard !centre.isEmpty, !out.isEmpty else { throw ValidationError("an empty name; hint: --centre com, --out predictions.txt") }
        (request.onBadSample, request.threads, request.output, request.plot, request.beside) = (onBadSample, threads, out, plot, beside)
        return request
    }

    func run() throws {
        let request = try request()
        let json = json
        RankCommand.run { communicator in
            guard let evaluation = try Evaluation.run(request, communicator: communicator) else { return 0 }
            for line in json ? [try JSONText.of(evaluation.score)] : evaluation.lines { CommandRunner.say(line) }
            return 0
        }
    }
}

/// `--camera fx,fy,cx,cy`.
enum CameraText {
    static func camera(_ text: String?) throws -> Camera? {
        guard let text else { return nil }
        guard let camera = Camera(text: text) else {
            throw ValidationError("--camera is '\(text)'; hint: fx,fy,cx,cy in pixels, such as 241.42,241.42,160,120")
        }
        return camera
    }
}

extension ICVLPart.Name: ExpressibleByArgument {}
extension BadSamplePolicy: ExpressibleByArgument {}
