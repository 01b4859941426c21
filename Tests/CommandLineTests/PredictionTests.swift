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

        /// A mirrored picture of a hand has the mirrored joints.
        @Test func mirroringIsUndoneInTheJoints() throws {
            let (checkpoint, data) = try prepare("deepprior")
            let plain = try Dtrain.run(["predict", checkpoint, data, "--json"])
            let mirrored = try Dtrain.run(["predict", checkpoint, data, "--json", "--mirror"])
            let centres = try [plain, mirrored].map { try $0.lines.map { try #require(try object($0)["centre"] as? [Double]) } }
            // The same hand is found, but for the cells that the picture is sampled in.
            for (one, other) in zip(centres[0], centres[1]) {
                #expect(abs(one[0] - other[0]) < 1.5 && abs(one[1] - other[1]) < 1.5 && abs(one[2] - other[2]) < 8, "\(one) \(other)")
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
