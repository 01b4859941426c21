import Foundation
import HandData
import Testing
import TestSupport

extension CommandLineTests {
    /// `score`, `evaluate` and `predict` with checkpoints of real trainings, of whole frames and of crops.
    @Suite(.serialized) struct PredictionTests {
        private let folder = try! TestFolder()

        /// A data set of 64x48 frames of Testing alone, and a checkpoint that was trained a moment on others.
        private func prepare(_ preset: String, _ more: [String] = []) throws -> (checkpoint: String, data: String) {
            let data = try folder.dataSet(frames: 40, testFrames: 12)
            let outcome = try Dtrain.run(
                Dtrain.small + [
                    "--preset", preset, "--data", data, "--validation", "test", "--steps", "3", "--run-dir", folder("run"),
                ] + more, timeout: 120)
            try #require(outcome.status == 0, "\(outcome)")
            try FileManager.default.removeItem(atPath: folder("data/Training"))
            return (folder("run/checkpoints/step-00000003"), data)
        }

        private func object(_ text: String) throws -> [String: Any] {
            try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any], "\(text)")
        }

        private func number(_ value: Any?) -> Double? { (value as? NSNumber)?.doubleValue }

        private func evaluate(_ arguments: [String], ranks: Int? = nil) throws -> Subprocess.Outcome {
            try Dtrain.run(["evaluate"] + arguments, ranks: ranks, directory: folder.path)
        }

        /// The error is that of training's validation, with and without averaged weights; it is also what `score` says of the
        /// predictions, and frames by themselves have the same joints.
        @Test(arguments: [("seed", []), ("deepprior", ["--ema", "0.5"]), ("dtrain-hand", [])] as [(String, [String])])
        func evaluationIsThatOfTraining(preset: String, more: [String]) throws {
            let (checkpoint, data) = try prepare(preset, more)
            let outcome = try evaluate([checkpoint, "--data", data, "--intrinsics", "241.42", "--json"])
            try #require(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
            let result = try object(outcome.stdout)
            let validation = try #require(
                try Metrics(run: folder("run")).lines.compactMap { $0["validation"] as? [String: Any] }.last?["joint_error_mm"])
            let error = try #require(number(result["joint_error_mm"]))
            // Scaled to 64x48, ICVL's camera is 48.28 px.
            #expect(abs(error - number(validation)!) < 1e-4 * error, "\(result), \(validation)")
            #expect(result["frames"] as? Int == 12 && (result["joint_errors_mm"] as? [Double])?.count == 16)
            #expect((result["success"] as? [String: Double])?.count == 8 && number(result["median_mm"]) != nil)
            #expect(result["centre"] as? String == (preset == "seed" ? "none (whole frames)" : "com") && result["intrinsics"] != nil)

            let camera = "48.284,48.284,32,24"
            let labels = folder("data/Testing/test_seq_1.txt")
            let score = try Dtrain.run(["score", folder("predictions.txt"), "--labels", labels, "--intrinsics", camera, "--format", "uvd", "--json"])
            #expect(abs(number(try object(score.stdout)["joint_error_mm"])! - error) < 1e-9, "\(score)")

            let predicted = try Dtrain.run(["predict", checkpoint, data, "--json", "--overlay", folder("pictures")])
            try #require(predicted.status == 0 && predicted.lines.count == 12, "\(predicted)")
            let written = try String(contentsOfFile: folder("predictions.txt"), encoding: .utf8).split(separator: "\n")
            for (line, text) in zip(written, predicted.lines) {
                let joints = try #require(try object(text)["joints_uvd"] as? [[Double]]).flatMap { $0 }.map { Float($0) }
                #expect(line.split(separator: " ").map { Float($0) } == joints)
            }
            #expect(predicted.stderr.contains("latency: ") && predicted.stderr.contains("over 12 frames with labels"))
            let pictures = try FileManager.default.contentsOfDirectory(atPath: folder("pictures"))
            #expect(pictures.count == 13 && pictures.contains("worst-and-median.png"))
        }

        /// The checkpoint tells what its training held out of the data set; centres in a file are of all frames of the label file.
        @Test func theValidationPartIsWhatTrainingHeldOut() throws {
            let data = try folder.dataSet(frames: 40, testFrames: 2)
            let run = ["--preset", "deepprior", "--data", data, "--validation", "fraction", "--steps", "2", "--run-dir", folder("run")]
            let trained = try Dtrain.run(Dtrain.small + run)
            try #require(trained.status == 0, "\(trained)")
            let checkpoint = folder("run/checkpoints/step-00000002")
            let validation = try #require(
                try Metrics(run: folder("run")).lines.compactMap { $0["validation"] as? [String: Any] }.last?["joint_error_mm"])
            let outcome = try evaluate([checkpoint, "--data", data, "--split", "validation", "--intrinsics", "241.42", "--json"])
            let result = try object(outcome.stdout)
            let error = try #require(number(result["joint_error_mm"]))
            #expect(result["frames"] as? Int == 4 && abs(error - number(validation)!) < 1e-4 * error, "\(outcome)")
            let centres = try folder.write(String(repeating: "32 24 380\n", count: 40), to: "centres.txt")
            let given = try evaluate([checkpoint, "--data", data, "--split", "validation", "--centre", centres])
            #expect(given.status == 0 && given.stdout.contains("over 4 frames"), "\(given)")
        }

        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) func ranksGiveTheSameBytes() throws {
            let (checkpoint, data) = try prepare("deepprior")
            for ranks in [1, 3] {
                let outcome = try evaluate([checkpoint, "--data", data, "--out", "by\(ranks)", "--json"], ranks: ranks)
                try #require(outcome.status == 0, "\(outcome)")
                #expect(number(try object(outcome.stdout)["frames"]) == 12)
            }
            #expect(try Data(contentsOf: URL(fileURLWithPath: folder("by1"))) == Data(contentsOf: URL(fileURLWithPath: folder("by3"))))
        }

        @Test func centresComeFromLabelsOrAFileOfTheRightLength() throws {
            let (checkpoint, data) = try prepare("deepprior")
            let truth = try evaluate([checkpoint, "--data", data, "--centre", "labels", "--json"])
            #expect(try object(truth.stdout)["centre"] as? String == "labels (uses the truth)")
            let centres = try folder.write(String(repeating: "32 24 380\n", count: 12), to: "centres.txt")
            let given = try evaluate([checkpoint, "--data", data, "--centre", centres, "--json"])
            #expect(try object(given.stdout)["centre"] as? String == centres, "\(given)")
            let short = try folder.write("32 24 380\n", to: "short.txt")
            let refused = try evaluate([checkpoint, "--data", data, "--centre", short])
            #expect(refused.status == 1 && refused.stderr.contains("1 centres for 12 frames"), "\(refused)")
        }

        @Test func curvesAreDrawnBesideOthers() throws {
            let (checkpoint, data) = try prepare("deepprior")
            _ = try evaluate([checkpoint, "--data", data])
            let outcome = try evaluate([checkpoint, "--data", data, "--plot", "curve", "--out", "again", "--beside", "predictions.txt"])
            #expect(outcome.status == 0 && outcome.stdout.contains("success curve: curve.svg, curve.png"), "\(outcome)")
            #expect(try String(contentsOfFile: folder("curve.svg"), encoding: .utf8).contains(">predictions  "))
        }

        /// What cannot be predicted is told of in its place; whoever writes names line by line is answered line by line.
        @Test func badFramesAreToldOfInTheirPlace() throws {
            let (checkpoint, data) = try prepare("deepprior")
            let good = "\(data)/Testing/Depth/test_seq_1/image_0000.png"
            let names = try FileManager.default.subpathsOfDirectory(atPath: "\(data)/Testing/Depth").filter { $0.hasSuffix(".png") }
            let frame = FileManager.default.fileExists(atPath: good) ? good : "\(data)/Testing/Depth/\(names[0])"
            let broken = try folder.write("no picture", to: "broken.png")
            let list = try folder.write([frame, broken, folder("none.png"), frame].joined(separator: "\n") + "\n", to: "list.txt")
            let outcome = try Subprocess.run(["sh", "-c", "\(Dtrain.path) predict \(checkpoint) - --json <\(list)"], timeout: 60)
            #expect(outcome.status == 1 && outcome.stderr.contains("2 of 4 frames could not be predicted"), "\(outcome)")
            let objects = try outcome.lines.map(object)
            #expect(objects.map { $0["error"] == nil } == [true, false, false, true])
            #expect((objects[1]["error"] as? String)?.contains("not a PNG file") == true)
            #expect((objects[2]["error"] as? String)?.contains("missing file") == true)
            let other = try Dtrain.run(["predict", checkpoint, try bigFrame()])
            #expect(other.status == 1 && other.stdout.contains("--camera fx,fy,cx,cy"), "\(other)")
        }

        /// Nothing but background, no hand's depth, or no depths at all.
        @Test func framesWithoutAHandAreToldOf() throws {
            let (checkpoint, data) = try prepare("deepprior")
            let size = PNG.Size(width: 64, height: 48)
            for (name, depth) in [("zero", 0), ("far", 32001), ("wall", 1400)] as [(String, UInt16)] {
                let frame = [UInt16](repeating: depth, count: 64 * 48)
                try frame.withUnsafeBufferPointer { try PNG.write(grey16: $0, size: size, to: folder("\(name).png")) }
            }
            try [UInt8](repeating: 90, count: 64 * 48 * 3).withUnsafeBufferPointer {
                try PNG.write(rgb8: $0, size: size, to: folder("colour.png"))
            }
            for (name, text) in [("zero", "no hand in the frame"), ("far", "no hand in the frame"), ("colour", "8-bit colour")] {
                let outcome = try Dtrain.run(["predict", checkpoint, folder("\(name).png"), "--overlay", folder("none")])
                #expect(outcome.status == 1 && outcome.stdout.contains("\(name).png: not predicted: "), "\(outcome)")
                #expect(outcome.stdout.contains(text), "\(outcome)")
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder("none")).isEmpty)
            // In a data set such a frame ends the evaluation, or is left out.
            let frames = try FileManager.default.subpathsOfDirectory(atPath: "\(data)/Testing/Depth").filter { $0.hasSuffix(".png") }
            let first = "\(data)/Testing/Depth/\(frames.sorted()[0])"
            try FileManager.default.removeItem(atPath: first)
            try FileManager.default.copyItem(atPath: folder("far.png"), toPath: first)
            let stopped = try evaluate([checkpoint, "--data", data])
            #expect(stopped.status == 1 && stopped.stderr.contains("test_seq_1.txt:1: ") && stopped.stderr.contains("no hand in the frame"))
            #expect(!FileManager.default.fileExists(atPath: folder("predictions.txt")))
            let skipped = try evaluate([checkpoint, "--data", data, "--on-bad-sample", "skip"])
            #expect(skipped.status == 0 && skipped.stdout.contains("over 11 frames"), "\(skipped)")
            #expect(skipped.stdout.contains("1 of 12 frames are skipped") && skipped.stdout.contains("predictions.txt, 11 lines"))
        }

        /// A frame of another size: a preview has one, as 8-bit colour.
        private func bigFrame() throws -> String {
            let made = try Dtrain.run(["synth", folder("big"), "--frames", "1", "--test-frames", "1", "--image-size", "128x96"])
            try #require(made.status == 0, "\(made)")
            let names = try FileManager.default.subpathsOfDirectory(atPath: folder("big")).filter { $0.hasSuffix(".png") }
            return folder("big/\(names[0])")
        }

        private static let camera = "48.284,48.284,32,24"

        private func write(_ depth: [UInt16], _ size: PNG.Size, to path: String) throws {
            try depth.withUnsafeBufferPointer { try PNG.write(grey16: $0, size: size, to: path) }
        }

        /// The mirrored picture of a hand, told to be one, has the mirrored joints. Its camera is mirrored too, so that the network is
        /// shown the very same crop.
        @Test func mirroringIsUndoneInTheJoints() throws {
            let (checkpoint, data) = try prepare("deepprior")
            let plain = try Dtrain.run(["predict", checkpoint, data, "--camera", Self.camera, "--json"])
            try FileManager.default.createDirectory(atPath: folder("mirrored"), withIntermediateDirectories: true)
            for (index, line) in plain.lines.enumerated() {
                let image = try DepthImage(contentsOf: try #require(try object(line)["frame"] as? String))
                let depth = (0..<64 * 48).map { (pixel: Int) -> UInt16 in
                    let (row, column) = (pixel / 64, pixel % 64)
                    return image.depth[row * 64 + 63 - column]
                }
                try write(depth, PNG.Size(width: 64, height: 48), to: folder("mirrored/\(100 + index).png"))
            }
            let mirrored = try Dtrain.run(
                ["predict", checkpoint, folder("mirrored"), "--camera", "48.284,48.284,31,24", "--mirror", "--json"])
            try #require(plain.status == 0 && plain.lines.count == 12 && mirrored.status == 0 && mirrored.lines.count == 12, "\(mirrored)")
            var farthest = 0.0
            for (one, other) in zip(plain.lines, mirrored.lines) {
                func places(_ key: String) throws -> [([Double], [Double])] {
                    let values = try [one, other].map { line in try #require(try object(line)[key] as? [[Double]], "\(line)") }
                    return Array(zip(values[0], values[1]))
                }
                let centres = try [one, other].map { line in try #require(try object(line)["centre"] as? [Double], "\(line)") }
                let joints = try places("joints_uvd")
                #expect(joints.count == 16)
                for (there, here) in joints + [(centres[0], centres[1])] {
                    let apart = [63 - there[0] - here[0], there[1] - here[1], there[2] - here[2]]
                    #expect(apart.allSatisfy { abs($0) < 1e-3 }, "\(there) \(here)")
                    farthest = max(farthest, abs(there[0] - 31.5))
                }
                for (there, here) in try places("joints_xyz_mm") {
                    let apart = [there[0] + here[0], there[1] - here[1], there[2] - here[2]]
                    #expect(apart.allSatisfy { abs($0) < 0.01 }, "\(there) \(here)")
                }
            }
            #expect(farthest > 2, "hands in the middle are where their mirrored pictures are")
        }

        /// The test frames changed, with labels and centres moved by (-left, -top): a data set and its file of centres.
        private func variant(
            _ name: String, of data: String, left: Int = 0, top: Int = 0, size: PNG.Size = PNG.Size(width: 64, height: 48),
            depth: (DepthImage) -> [UInt16]
        ) throws -> (data: String, centres: String) {
            try FileManager.default.copyItem(atPath: data, toPath: folder(name))
            let offsets = [Double(left), Double(top), 0]
            var (labels, centres) = ("", "")
            for line in try String(contentsOfFile: "\(data)/Testing/test_seq_1.txt", encoding: .utf8).split(separator: "\n") {
                let fields = line.split(separator: " ")
                let path = folder("\(name)/Testing/Depth/\(fields[0])")
                try write(depth(try DepthImage(contentsOf: path)), size, to: path)
                let joints = fields.dropFirst().compactMap { Double($0) }
                let moved = joints.indices.map { joints[$0] - offsets[$0 % 3] }
                labels += ([String(fields[0])] + moved.map { "\($0)" }).joined(separator: " ") + "\n"
                // The joints' mean in eighths, which Float holds wherever the frame begins.
                let means = (0..<3).map { axis -> Double in stride(from: axis, to: 48, by: 3).reduce(0.0) { $0 + joints[$1] } / 16 }
                let centre = means.map { ($0 * 8).rounded() / 8 }
                centres += "\(centre[0] - offsets[0]) \(centre[1] - offsets[1]) \(centre[2])\n"
            }
            _ = try folder.write(labels, to: "\(name)/Testing/test_seq_1.txt")
            return (folder(name), try folder.write(centres, to: "\(name).txt"))
        }

        /// Joints and error of a data set by the crops about given centres.
        private func joints(
            _ checkpoint: String, _ set: (data: String, centres: String), camera: String
        ) throws -> (values: [[Double]], error: Double) {
            let outcome = try evaluate([
                checkpoint, "--data", set.data, "--centre", set.centres, "--camera", camera, "--intrinsics", camera, "--out", "joints", "--json",
            ])
            try #require(outcome.status == 0, "\(outcome)")
            let lines = try String(contentsOfFile: folder("joints"), encoding: .utf8).split(separator: "\n")
            let values = lines.map { $0.split(separator: " ").compactMap { Double($0) } }
            try #require(values.count == 12 && values.allSatisfy { $0.count == 48 })
            return (values, try #require(number(try object(outcome.stdout)["joint_error_mm"])))
        }

        /// What lies beyond the frame's border is as what was not measured, on each of its sides: a crop that leaves the frame shows the
        /// part of the hand that is in it, in its place.
        @Test func aHandCutByTheBorderIsPredictedByThePartThatIsSeen() throws {
            let (checkpoint, data) = try prepare("deepprior")
            let whole = try joints(checkpoint, try variant("whole", of: data) { $0.depth }, camera: Self.camera)
            // The middle of all hands.
            let middle = (0..<2).map { axis -> Int in
                let values = whole.values.flatMap { joints -> [Double] in stride(from: axis, to: 48, by: 3).map { joints[$0] } }
                return Int(values.reduce(0, +) / Double(values.count))
            }
            try #require((8...56).contains(middle[0]) && (8...40).contains(middle[1]), "\(middle)")
            for (name, columns, rows) in [("start", 0..<middle[0], 0..<middle[1]), ("end", middle[0]..<64, middle[1]..<48)] {
                let (left, top) = (columns.lowerBound, rows.lowerBound)
                let blanked = try variant("\(name)-blanked", of: data) { image in
                    (0..<64 * 48).map { columns.contains($0 % 64) && rows.contains($0 / 64) ? image.depth[$0] : 0 }
                }
                let size = PNG.Size(width: columns.count, height: rows.count)
                let cut = try variant("\(name)-cut", of: data, left: left, top: top, size: size) { image in
                    rows.flatMap { row in columns.map { image.depth[row * 64 + $0] } }
                }
                let expected = try joints(checkpoint, blanked, camera: Self.camera)
                let found = try joints(checkpoint, cut, camera: "48.284,48.284,\(32 - left),\(24 - top)")
                var (farthest, effect) = (0.0, 0.0)
                for frame in 0..<12 {
                    for index in 0..<48 {
                        let offset = [Double(left), Double(top), 0][index % 3]
                        farthest = max(farthest, abs(found.values[frame][index] + offset - expected.values[frame][index]))
                        effect = max(effect, abs(expected.values[frame][index] - whole.values[frame][index]))
                    }
                }
                #expect(farthest < 1e-3 && abs(found.error - expected.error) < 1e-3, "\(name): \(farthest), \(found.error), \(expected.error)")
                #expect(effect > 0.01, "\(name): the part that is cut off makes no difference")
                // Where the centre is searched too: joints, or a line that says why not.
                let predicted = try Dtrain.run(
                    ["predict", checkpoint, cut.data, "--camera", "48.284,48.284,\(32 - left),\(24 - top)", "--json"])
                #expect(predicted.lines.count == 12 && (predicted.status == 0 || predicted.status == 1), "\(predicted)")
                for line in predicted.lines {
                    let answer = try object(line)
                    let problem = answer["error"] as? String
                    #expect((answer["joints_uvd"] as? [[Double]])?.count == 16 || problem?.contains("no hand in the frame") == true, "\(line)")
                }
            }
        }

        @Test func mistakesAreOneLine() throws {
            let (checkpoint, data) = try prepare("seed")
            for (arguments, code, text) in [
                (["evaluate", checkpoint, "--data", folder("nowhere")], 1, "no data directory"),
                (["evaluate", folder("run"), "--data", data], 1, "is not a checkpoint"),
                (["evaluate", checkpoint, "--data", data, "--split", "training"], 1, "no training labels"),
                (["evaluate", checkpoint, "--data", data, "--centre", "labels"], 64, "sees whole frames"),
                (["evaluate", checkpoint, "--data", data, "--camera", "1,2"], 64, "--camera is '1,2'"),
                (["evaluate", checkpoint, "--data", data, "--beside", "x"], 64, "--plot FILE too"),
                (["predict", checkpoint], 64, "no frames"),
                (["predict", checkpoint, folder("run")], 1, "no frames in it"),
                (["score", folder("none.txt"), "--labels", "x"], 1, "cannot read"),
                (["score", folder("none.txt"), "--labels", "x", "--intrinsics", "3"], 64, "--intrinsics is '3'"),
            ] {
                let outcome = try Dtrain.run(arguments, directory: folder.path)
                #expect(outcome.status == Int32(code) && outcome.stderr.contains(text), "\(arguments) \(outcome)")
                #expect(outcome.stderr.split(separator: "\n").count == 1 && outcome.stderr.contains("hint: "), "\(outcome)")
            }
            let model = try #require(FileHandle(forUpdatingAtPath: "\(checkpoint)/model.safetensors"))
            try model.seek(toOffset: 100_000)
            try model.write(contentsOf: Data([1, 2, 3, 4, 5]))
            for command in [["evaluate", checkpoint, "--data", data], ["predict", checkpoint, data]] {
                let outcome = try Dtrain.run(command, directory: folder.path)
                #expect(outcome.status == 1 && outcome.stdout == "" && outcome.stderr.contains("its checksum differs; hint: "), "\(outcome)")
            }
            #expect(!FileManager.default.fileExists(atPath: folder("predictions.txt")))
        }
    }
}
