import ArgumentParser
import Checkpoints
import HandData
import Predictions
import Training

/// Predicts frames by themselves, one after the other.
struct PredictCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "predict",
        abstract: "Predict the joints of frames: files, folders, a data set, or a list that comes line by line.",
        discussion: """
            A frame is a 16-bit greyscale PNG of depths in mm. A checkpoint alone suffices. Frames of another size than it was trained on \
            need --camera. A frame that cannot be predicted is told of in its place, the others follow, and the exit code is 1.

            EXAMPLES
              dtrain predict runs/icvl/checkpoints/best hand.png
              dtrain predict runs/icvl/checkpoints/best /data/icvl --overlay pictures
              camera-program | dtrain predict runs/icvl/checkpoints/best - --json
            """)

    @Argument(help: "A checkpoint: the directory step-... that holds state.json.")
    var checkpoint: String

    @Argument(help: "PNG files, folders of them, data sets; or -: their names on standard input, answered line by line.")
    var frames: [String] = []

    @Option(help: ArgumentHelp("Camera of the frames, fx,fy,cx,cy in pixels (default: the checkpoint's).", valueName: "camera"))
    var camera: String?

    @Flag(help: "The frames show the other hand, or are mirrored pictures: mirror them for the network, and its joints back.")
    var mirror = false

    @Option(help: ArgumentHelp("What one unit of the frames' depth is, mm.", valueName: "mm"))
    var unit = 1.0

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Label files with the frames' names, for errors and the truth in pictures.", valueName: "file"))
    var labels: [String] = []

    @Option(help: ArgumentHelp("Write a picture of each frame with its bones, and of labelled ones a sheet.", valueName: "directory"))
    var overlay: String?

    @Option(help: "Threads; 0: the processors allowed.")
    var threads = 0

    @Flag(help: "A JSON object a line, a line a frame.")
    var json = false

    mutating func validate() throws {
        guard !frames.isEmpty else { throw ValidationError("no frames; hint: PNG files, a folder, a data set, or - for standard input") }
        guard !frames.contains("-") || frames.count == 1 else { throw ValidationError("- takes no other frames beside it; hint: leave them out") }
        guard unit > 0, unit <= 1000 else { throw ValidationError("--unit is \(unit); hint: mm a unit of depth, such as 0.125") }
        guard (0...1024).contains(threads) else { throw ValidationError("--threads is \(threads); hint: give a number from 0 to 1024") }
        _ = try CameraText.camera(camera)
    }

    func run() throws {
        do {
            try predict()
        } catch let failure as TrainingFailure {
            throw failure
        } catch let error as CheckpointError {
            throw TrainingFailure("\(error)" + (error.hint == nil ? "; hint: a whole checkpoint is a directory step-... that dtrain wrote" : ""))
        } catch {
            throw TrainingFailure("\(error)")
        }
    }

    private func predict() throws {
        let known = try FrameLabels(contentsOf: labels)
        let items = frames == ["-"] ? [] : try FrameList.items(frames, labels: known)
        var request = FrameRequest(checkpoint: checkpoint)
        (request.isMirrored, request.unit, request.threads) = (mirror, unit, threads)
        request.camera = try CameraText.camera(camera)
        let predictor = try FramePredictor(request)
        let overlays = try overlay.map { try OverlayWriter(folder: $0, predictor: predictor) }
        if !json { CommandRunner.say("checkpoint: \(predictor.words)") }
        var summary = FrameSummary()
        func take(_ item: FrameItem) throws {
            let answer = predictor.answer(item)
            summary.add(answer)
            CommandRunner.say(json ? try JSONText.of(answer, isPretty: false) : answer.text)
            _ = try overlays?.write(answer)
        }
        if frames == ["-"] {
            while let line = readLine() {
                let file = line.hasSuffix("\r") ? String(line.dropLast()) : line
                if !file.isEmpty { try take(FrameItem(file: file, label: known.label(of: file))) }
            }
        } else {
            for item in items { try take(item) }
        }
        try finish(summary, predictor, sheet: try overlays?.writeSheet())
    }

    private func finish(_ summary: FrameSummary, _ predictor: FramePredictor, sheet: String?) throws {
        var lines = summary.lines(threads: predictor.threads)
        if let overlay {
            lines.append("pictures: \(overlay)" + (sheet.map { ", worst and median frames: \($0)" } ?? ""))
            lines.append("bones: \(ContactSheet.legend)")
        }
        for line in lines { json ? CommandRunner.note(line) : CommandRunner.say(line) }
        guard summary.failures == 0 else {
            throw TrainingFailure("\(summary.failures) of \(summary.frames) frames could not be predicted; hint: each is told of in its place")
        }
    }
}
