import ArgumentParser
import HandData
import Telemetry
import Tensors
import Training

struct SynthCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "synth",
        abstract: "Write a data set of synthetic hands in the layout of ICVL, or a picture of some.",
        discussion: """
            Frames are a pure function of --seed and their number: the same command writes the same bytes.

            EXAMPLES
              dtrain synth /tmp/icvl --frames 2000 --test-frames 200
              dtrain synth --preview hands.png
              dtrain synth /tmp/posed --poses labels.txt
            """)

    @Argument(help: "A new or empty directory for the data set.")
    var out: String?

    @Option(help: "Training frames.")
    var frames = 2000

    @Option(help: "Test frames.")
    var testFrames = 200

    @Option(help: "Another seed gives other hands.")
    var seed: UInt64 = 1

    @Option(help: "WIDTHxHEIGHT of the frames.")
    var imageSize = "320x240"

    @Option(help: "Render the poses of this ICVL label file as training frames, instead of random ones.")
    var poses: String?

    @Option(help: "Write a PNG of the first 24 hands, with joints and bones drawn on them.")
    var preview: String?

    mutating func validate() throws {
        guard out != nil || preview != nil else {
            throw ValidationError("nothing to do; hint: name a directory to write to, or a picture with --preview FILE.png")
        }
        for (name, value, range) in [("--frames", frames, 1...10_000_000), ("--test-frames", testFrames, 0...10_000_000)]
        where !range.contains(value) {
            throw ValidationError("\(name) is \(value); hint: give a number from \(range.lowerBound) to \(range.upperBound)")
        }
        var configuration = RunConfiguration(preset: .seed)
        configuration.imageSize = imageSize
        guard let extent = configuration.imageExtent, extent.width >= 8, extent.height >= 8 else {
            throw ValidationError("--image-size is '\(imageSize)'; hint: WIDTHxHEIGHT of at least 8x8, for example 320x240")
        }
    }

    func run() throws {
        do {
            try write()
        } catch {
            throw TrainingFailure("\(error)")
        }
    }

    private func write() throws(DataError) {
        var configuration = RunConfiguration(preset: .seed)
        configuration.imageSize = imageSize
        let extent = configuration.imageExtent!
        let hands = SyntheticHands(seed: seed, width: extent.width, height: extent.height)
        if let preview { try draw(hands, to: preview) }
        guard let out else { return }
        let training: any FrameSource
        if let poses {
            training = try PoseSource(hands, labelFile: poses)
        } else {
            training = SyntheticSource(hands, frames: 0..<frames)
        }
        let testing = testFrames == 0 ? nil : SyntheticSource(hands, frames: frames..<frames + testFrames)
        let threads = Processors.allowed().count
        let start = Stopwatch.now
        try ICVLWriter.write(training: training, testing: testing, to: out, threads: threads)
        let count = training.count + testFrames
        let seconds = Stopwatch.now - start
        CommandRunner.say(
            "\(out): \(training.count) training and \(testFrames) test frames of \(imageSize), "
                + format("%.1f s", seconds) + format(" (%.0f frames/s)", Double(count) / seconds))
        CommandRunner.say("train on it: dtrain --data \(out)")
    }

    private func draw(_ hands: SyntheticHands, to path: String) throws(DataError) {
        let sheet = ContactSheet(of: hands, rows: 4, columns: 6)
        let outcome: Result<Void, DataError> = sheet.pixels.withUnsafeBufferPointer { pixels in
            Result { () throws(DataError) in
                try PNG.write(rgb8: pixels, size: PNG.Size(width: sheet.width, height: sheet.height), to: path)
            }
        }
        try outcome.get()
        CommandRunner.say("\(path): \(sheet.width)x\(sheet.height) pixels, the first \(sheet.cellCount) hands of seed \(seed)")
    }
}
