import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// What the best weights are chosen by, early stopping, and the test frames at the end.
    @Suite struct ValidationTests {
        private let folder = try! TestFolder()

        /// A data set of five training sequences of 12 frames, and 10 test frames.
        private func sequences() throws -> String {
            let data = try folder.dataSet()
            let depth = "\(data)/Training/Depth"
            let labels = try BadInput.labels(folder).enumerated().map { number, line in
                let name = line.prefix { $0 != " " }
                let (sequence, file) = ("20260101\(1000 + number / 12)", name.split(separator: "/")[1])
                try FileManager.default.createDirectory(atPath: "\(depth)/\(sequence)", withIntermediateDirectories: true)
                try FileManager.default.moveItem(atPath: "\(depth)/\(name)", toPath: "\(depth)/\(sequence)/\(file)")
                return "\(sequence)/\(file)\(line.dropFirst(name.count))"
            }
            try BadInput.write(labels: labels, folder)
            return data
        }

        private func results(_ run: String, _ key: String) throws -> [(step: Int, result: [String: Any])] {
            try Metrics(run: folder(run)).lines.compactMap { line in
                (line[key] as? [String: Any]).map { (line["step"] as! Int, $0) }
            }
        }

        private func error(_ result: [String: Any]) -> Double { (result["joint_error_mm"] as! NSNumber).doubleValue }

        @Test func aWholeSequenceIsHeldOutAndTheTestFramesCountOnce() throws {
            let settings = ["--data", try sequences(), "--steps", "6", "--validate-every", "2"]
            let outcome = try Dtrain.train(settings, into: folder("run"))
            #expect(outcome.stdout.contains("48 training and 12 held-out frames of 64x48, 10 test frames"))
            #expect(outcome.stdout.contains("validation: whole training sequences: 202601011004; the test frames are evaluated once"))
            #expect(outcome.lines.count { $0.contains("over 12 frames (validation split)") } == 3)
            #expect(outcome.lines.last?.contains("over 10 frames (test split), weights of step 6") == true)
            let validations = try results("run", "validation")
            #expect(validations.map { $0.result["split"] as? String } == ["validation", "validation", "validation"])
            let test = try results("run", "test")
            #expect(test.count == 1 && test[0].result["split"] as? String == "test" && test[0].result["frames"] as? Int == 10)

            let fraction = try Dtrain.train(settings + ["--validation", "fraction"], into: folder("fraction"))
            #expect(fraction.stdout.contains("54 training and 6 held-out frames of 64x48, 10 test frames"))
            let former = try Dtrain.train(settings + ["--validation", "test"], into: folder("former"))
            #expect(former.stdout.contains("60 training and 10 held-out frames of 64x48\n"))
            #expect(former.stdout.contains("their error is no test result") && former.stdout.contains("over 10 frames (test split)"))
            #expect(try results("former", "test").isEmpty)
        }

        /// Settings with which the error goes up and down.
        private let wild = ["--steps", "40", "--learning-rate", "2e-2", "--validate-every", "4", "--checkpoint-every", "4"]

        /// The same run validated on the test frames knows their error at every step.
        @Test(arguments: [(1, "allreduce", [String]()), (1, "allreduce", ["--ema", "0.5"]), (2, "split", []), (2, "sharded", [])])
        func theTestErrorIsThatOfTheBestWeights(ranks: Int, exchange: String, more: [String]) throws {
            guard ranks == 1 || Dtrain.canRunRanks else { return }
            let settings = wild + ["--exchange", exchange] + more
            try Dtrain.train(settings, into: folder("run"), ranks: ranks)
            try Dtrain.train(settings + ["--validation", "test"], into: folder("test"), ranks: ranks)
            #expect(try Metrics(run: folder("run")).losses == Metrics(run: folder("test")).losses, "the same training samples")
            let validations = try results("run", "validation")
            let best = try #require(validations.min { error($0.result) < error($1.result) })
            try #require(best.step < 40, "a best that is not the last")
            let link = try FileManager.default.destinationOfSymbolicLink(atPath: folder("run/checkpoints/best"))
            #expect(link.hasSuffix("\(best.step)"))
            let test = try #require(results("run", "test").first)
            #expect(test.result["weights_of_step"] as? Int == best.step)
            let known = try #require(results("test", "validation").first { $0.step == best.step })
            #expect(error(test.result) == error(known.result))
            #expect(error(best.result) != error(known.result), "other hands")
        }

        @Test(arguments: Dtrain.canRunRanks ? [1, 2] : [1]) func patienceEndsARunAndAResumedOneAlike(ranks: Int) throws {
            let settings = wild + ["--learning-rate", "5e-2", "--patience", "2", "--keep-checkpoints", "99"]
            let outcome = try Dtrain.train(settings, into: folder("whole"), ranks: ranks)
            let stop = try #require(outcome.lines.first { $0.hasPrefix("stopped early after step ") })
            #expect(stop.contains("2 validations in a row gave no better held-out error than"))
            let errors = try results("whole", "validation").map { error($0.result) }
            let best = try #require(errors.min())
            #expect(errors.count < 10 && errors.suffix(2).allSatisfy { $0 >= best } && errors[errors.count - 3] == best)

            // As killed before the last two checkpoints.
            try FileManager.default.copyItem(atPath: folder("whole"), toPath: folder("killed"))
            for number in [errors.count, errors.count - 1] {
                try FileManager.default.removeItem(atPath: folder("killed/checkpoints/step-\(String(format: "%08d", 4 * number))"))
            }
            let resumed = try Dtrain.train(settings + ["--resume", "auto"], into: folder("killed"), ranks: ranks)
            #expect(resumed.lines.first { $0.hasPrefix("stopped early after step ") } == stop)
            #expect(try folder.contents("killed/checkpoints") == folder.contents("whole/checkpoints"))

            let again = try Dtrain.train(settings + ["--resume", "auto"], into: folder("killed"), ranks: ranks)
            #expect(again.lines.contains(stop) && !again.stdout.contains("/40  loss"), "no step more")
            let on = try Dtrain.train(settings + ["--resume", "auto", "--patience", "0"], into: folder("killed"), ranks: ranks)
            #expect(on.stdout.contains("step 40/40  loss"))
        }
    }

    /// Where crops are put.
    @Suite struct CentreTests {
        private let folder = try! TestFolder()

        private func train(_ arguments: [String], into run: String) throws -> Subprocess.Outcome {
            try Dtrain.run(
                [
                    "--preset", "dtrain-hand", "--data", folder("data"), "--batch-size", "6", "--steps", "3", "--log-every", "1", "--run-dir",
                    folder(run),
                ] + arguments)
        }

        /// Means of the labels' joints, a line a frame.
        private func means(_ labels: String) throws -> [String] {
            try String(contentsOfFile: folder("data/\(labels)"), encoding: .utf8).split(separator: "\n").map { line in
                let numbers = line.split(separator: " ").dropFirst().map { Double($0)! }
                return (0..<3).map { axis in "\(stride(from: axis, to: 48, by: 3).reduce(0) { $0 + numbers[$1] } / 16)" }
                    .joined(separator: " ")
            }
        }

        @Test func centresOfFilesAreThoseOfTheirFrames() throws {
            _ = try folder.dataSet(frames: 30, testFrames: 5)
            let truth = try train(["--centre", "labels"], into: "labels")
            #expect(truth.status == 0 && truth.stderr.isEmpty, "\(truth)")
            #expect(truth.stdout.contains("warning: --centre labels: crops are put where the true joints are"))
            #expect(truth.lines.count { $0.contains("centre labels (uses the truth)") } >= 4, "in every line of a result")
            let lines = try Metrics(run: folder("labels")).lines
            for key in ["validation", "test"] {
                let result = try #require(lines.compactMap { $0[key] as? [String: Any] }.first)
                #expect(result["centre"] as? String == "labels (uses the truth)")
            }

            let (training, test) = (try means("Training/labels.txt"), try means("Testing/test_seq_1.txt"))
            let file = try folder.write(training.joined(separator: "\n") + "\n", to: "training.txt")
            let testFile = try folder.write(test.joined(separator: " \r\n") + "\r\n", to: "test.txt")
            let given = try train(["--centre", "\(file),\(testFile)"], into: "files")
            #expect(given.status == 0 && given.stdout.contains("centre \(file)"), "\(given)")
            expectAgreement(
                try Metrics(run: folder("files")).losses, try Metrics(run: folder("labels")).losses, tolerance: 1e-4)
            func errors(_ run: String) throws -> [Double] {
                try Metrics(run: folder(run)).lines.compactMap { line in
                    ((line["validation"] ?? line["test"]) as? [String: Any])?["joint_error_mm"] as? Double
                }
            }
            expectAgreement(try errors("files"), try errors("labels"), tolerance: 1e-3)
            let half = try train(["--centre", file], into: "half")
            #expect(half.status == 0 && half.stdout.contains("no file for the test frames") && !half.stdout.contains("test joint error"))
            let com = try train([], into: "com")
            let (found, known) = (try Metrics(run: folder("com")).losses, try Metrics(run: folder("labels")).losses)
            #expect(com.stdout.contains("centre com") && found != known)
        }

        @Test func filesThatDoNotFitAreOneLine() throws {
            _ = try folder.dataSet(frames: 30, testFrames: 5)
            let training = try means("Training/labels.txt")
            func refused(_ lines: [String], _ words: String) throws {
                let file = try folder.write(lines.joined(separator: "\n") + "\n", to: "centres.txt")
                let outcome = try train(["--centre", file], into: "run")
                #expect(outcome.status == 1 && outcome.stderr.split(separator: "\n").count == 1, "\(outcome)")
                #expect(outcome.stderr.contains("\(file)\(words)") && outcome.stderr.contains("hint: "), "\(outcome)")
                #expect(!FileManager.default.fileExists(atPath: folder("run")))
            }
            try refused(Array(training.dropLast()), ": 29 centres for 30 frames")
            var bad = training
            bad[6] = "160 nowhere 300"
            try refused(bad, ":7: ")
            bad[6] = "160 120"
            try refused(bad, ":7: 2 numbers, expected 3")
        }
    }
}
