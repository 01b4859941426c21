import ArgumentParser
import HandData
import Optimizers
import System
import Telemetry
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
              dtrain synth --poses labels.txt --centres com.txt
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

    @Option(help: "With --poses: compare the frames' centres of mass with those of this file, a line 'u v d' a frame.")
    var centres: String?

    @Option(
        help: """
            first: hands as dtrain's first were; icvl: fitted to ICVL's centres of mass; varied: these with more poses, views and \
            proportions. By default first, and icvl with --poses.
            """)
    var hands: String?

    @Option(help: "Factor of how much random hands differ in size, digit lengths and girth, 0 to 4.")
    var handVariation = 1.0

    @Option(help: "Random hands point upright, or any way in the picture.")
    var handDirections = HandDirections.upright.rawValue

    @Option(help: "Random hands show the palm, or all of their sides.")
    var handViews = HandViews.palm.rawValue

    @Option(help: "How much nearer than the bones the labels' d is, mm. By default as ICVL's (10) but for the first hands (0).")
    var handSurfaceOffset: Double?

    @Option(help: "icvl, or another camera's focal lengths and principal point in pixels: fx,fy,cx,cy.")
    var camera = CameraChoice.icvl.description

    @Option(help: "Write a PNG of the first 24 hands, with joints and bones drawn on them.")
    var preview: String?

    mutating func validate() throws {
        guard out != nil || preview != nil || centres != nil else {
            throw ValidationError("nothing to do; hint: name a directory to write to, or a picture with --preview FILE.png")
        }
        guard centres == nil || poses != nil else {
            throw ValidationError("--centres are of the frames of --poses; hint: give both")
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
        do {
            _ = try style
        } catch {
            throw ValidationError("\(error)")
        }
    }

    /// As the settings of the same names are read.
    private var style: HandStyle {
        get throws(SettingError) {
            var configuration = RunConfiguration(preset: .seed)
            if poses != nil { configuration.hands = .icvl }
            var given = [
                "hand-variation": "\(handVariation)", "hand-directions": handDirections, "hand-views": handViews, "camera": camera,
            ]
            given["hands"] = hands
            given["hand-surface-offset"] = handSurfaceOffset.map { "\($0)" }
            try Settings.apply(given, to: &configuration)
            for name in given.keys.sorted() {
                if let problem = Settings[name]?.problem(in: configuration) { throw SettingError(description: problem) }
            }
            return configuration.handStyle
        }
    }

    func run() throws {
        do {
            try write()
        } catch {
            throw TrainingFailure("\(error)")
        }
    }

    private func write() throws {
        var configuration = RunConfiguration(preset: .seed)
        configuration.imageSize = imageSize
        let extent = configuration.imageExtent!
        let hands = SyntheticHands(seed: seed, width: extent.width, height: extent.height, style: try style)
        let posed = try poses.map { try PoseSource(hands, labelFile: $0) }
        if let preview { try draw(hands, posed, to: preview) }
        if let centres, let posed { try compare(posed, centres, hands) }
        guard let out else { return }
        let training: any FrameSource
        if let posed {
            training = posed
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
        CommandRunner.say("train on it: dtrain --preset dtrain-hand --data \(out)")
    }

    /// Says how far the frames' centres of mass lie from the given ones.
    private func compare(_ posed: PoseSource, _ path: String, _ hands: SyntheticHands) throws {
        let given = try CentreTable(contentsOf: path, count: posed.count)
        let camera = hands.style.camera ?? .icvl(width: hands.width, height: hands.height)
        let result = try RenderedCentres(posed, 0..<posed.count, centres: given, camera: camera)
        func numbers(_ values: SIMD3<Double>) -> String { (0..<3).map { format("%.1f", values[$0]) }.joined(separator: ", ") }
        CommandRunner.say(
            "centres of mass of \(result.frames) rendered frames, less those of \(path): x, y, z \(numbers(result.mean)) mm on average, "
                + "standard deviation \(numbers(result.deviation)) mm")
    }

    private func draw(_ hands: SyntheticHands, _ posed: PoseSource?, to path: String) throws {
        let sheet: ContactSheet
        if let posed {
            sheet = try ContactSheet(of: posed, rows: 4, columns: 6)
        } else {
            sheet = ContactSheet(of: hands, rows: 4, columns: 6)
        }
        let outcome: Result<Void, DataError> = sheet.pixels.withUnsafeBufferPointer { pixels in
            Result { () throws(DataError) in
                try PNG.write(rgb8: pixels, size: PNG.Size(width: sheet.width, height: sheet.height), to: path)
            }
        }
        try outcome.get()
        CommandRunner.say(
            "\(path): \(sheet.width)x\(sheet.height) pixels, "
                + (posed == nil ? "the first \(sheet.cellCount) hands of seed \(seed)" : "hands in \(sheet.cellCount) of the poses"))
    }
}
