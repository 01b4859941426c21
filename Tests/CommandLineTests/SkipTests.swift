import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// The policy `skip` in its extremes, and what is said of data before step 1.
    @Suite struct SkipTests {
        private let folder = try! TestFolder()

        /// Cuts frames short: those of a part whose number the test picks.
        private func damage(_ data: String, _ part: String, _ isDamaged: (Int) -> Bool) throws {
            for (number, frame) in try frames(data, part).enumerated() where isDamaged(number) {
                try Data(contentsOf: URL(fileURLWithPath: frame)).prefix(60).write(to: URL(fileURLWithPath: frame))
            }
        }

        private func frames(_ data: String, _ part: String) throws -> [String] {
            let root = "\(data)/\(part)/Depth"
            return try FileManager.default.subpathsOfDirectory(atPath: root).filter { $0.hasSuffix(".png") }.sorted().map { "\(root)/\($0)" }
        }

        private func baseline(_ run: String) throws -> [String: Double] {
            let baselines = try Metrics(run: folder(run)).lines.compactMap { $0["mean_label_baseline"] as? [String: Any] }
            let line = try #require(baselines.last)
            return line.compactMapValues { ($0 as? NSNumber)?.doubleValue }
        }

        /// The baseline is over the frames that count: the same as where the others do not exist.
        @Test(arguments: Dtrain.canRunRanks ? [1, 3] : [1]) func theBaselineIsOverTheFramesThatCount(ranks: Int) throws {
            let settings = ["--validation", "test", "--steps", "4", "--on-bad-sample", "skip", "--data"]
            for name in ["damaged", "absent"] { _ = try folder.dataSet(name, testFrames: 12) }
            try damage(folder("damaged"), "Testing") { $0 % 2 == 1 }
            for (number, frame) in try frames(folder("absent"), "Testing").enumerated() where number % 2 == 1 {
                try FileManager.default.removeItem(atPath: frame)
            }
            let outcome = try Dtrain.train(settings + [folder("damaged")], into: folder("run"), ranks: ranks)
            try Dtrain.train(settings + [folder("absent")], into: folder("other"))
            #expect(outcome.stdout.contains("over 6 frames"))
            #expect(try baseline("run") == baseline("other"))
            // Done already: the baseline is still that of the frames that count.
            let again = try Dtrain.train(settings + [folder("damaged"), "--resume", "auto"], into: folder("run"), ranks: ranks)
            #expect(again.stdout.contains("nothing to do"))
            #expect(try baseline("run") == baseline("other"))
        }

        @Test(arguments: Dtrain.canRunRanks ? [1, 3] : [1], ["Training", "Testing"])
        func aPartOfNothingButBadSamplesEndsTheStart(ranks: Int, part: String) throws {
            let data = try folder.dataSet(frames: 150, testFrames: 110)
            try damage(data, part) { _ in true }
            let outcome = try Dtrain.run(
                Dtrain.small
                    + ["--data", data, "--validation", "test", "--steps", "9", "--on-bad-sample", "skip", "--run-dir", folder("run")],
                ranks: ranks == 1 ? nil : ranks)
            #expect(outcome.status == 1, "\(outcome)")
            let (name, count) = part == "Training" ? ("training", 150) : ("held-out", 110)
            #expect(outcome.stderr.contains("none of the \(count) \(name) frames can be read; the first: "), "\(outcome)")
            #expect(outcome.stderr.contains("hint: ") && !outcome.stdout.contains("first step"))
        }

        /// Some batches hold nothing that can be read: they update nothing, and the run goes on.
        @Test(arguments: Dtrain.canRunRanks ? [1, 2] : [1]) func aBatchOfNothingButBadSamplesIsPassedOver(ranks: Int) throws {
            let data = try folder.dataSet()
            try damage(data, "Training") { $0 > 1 }
            let settings = ["--data", data, "--validation", "test", "--steps", "40", "--batch-size", "2", "--on-bad-sample", "skip"]
            let outcome = try Dtrain.train(settings, into: folder("run"), ranks: ranks)
            #expect(outcome.lines.contains { $0.contains("none of the batch's samples can be read; no rank updates in this step") })
            let skipped = try #require(outcome.lines.first { $0.hasPrefix("steps without an update: ") })
            // Two readable frames in 60: a batch of 2 has one in about 1 of 15 steps.
            #expect((30...39).contains(Int(skipped.split(separator: " ").last!)!), "\(skipped)")
            #expect(outcome.stdout.contains("held-out joint error: ") && !outcome.stdout.contains("nan"))
            #expect(try Metrics(run: folder("run")).losses.allSatisfy(\.isFinite))
        }

        /// Frames that are taken away while it trains: an epoch without any ends the run, saved.
        @Test func anEpochOfNothingButBadSamplesEndsTheRunSaved() throws {
            let data = try folder.dataSet()
            let command = """
                "$@" > out & job=$!
                until grep -q 'first step done' out; do kill -0 $job || exit 9; sleep 0.1; done
                rm -r \(data)/Training/Depth
                wait $job
                """
            let outcome = try Subprocess.run(
                ["bash", "-c", command, "bash", Dtrain.path] + Dtrain.small + [
                    "--data", data, "--validation", "test", "--steps", "100000", "--cache", "0", "--on-bad-sample", "skip",
                    "--run-dir", folder("run"),
                ], directory: folder.path)
            #expect(outcome.status == 1 && outcome.stderr.contains("no sample of a whole epoch can be read"), "\(outcome)")
            #expect(outcome.stderr.contains("is saved: --resume auto goes on from it"), "\(outcome)")
            let said = try String(contentsOfFile: folder("out"), encoding: .utf8)
            #expect(said.ranges(of: "none of the batch's samples can be read; no rank updates in this step").count >= 5)
            #expect(said.ranges(of: "skipped ").count == 60, "each once")
        }

        @Test func heldOutFramesThatGoAwayEndTheRunSaved() throws {
            let data = try folder.dataSet(testFrames: 120)
            // The look before step 1 sees the first hundred; the validation takes all.
            try damage(data, "Testing") { $0 >= 110 }
            let outcome = try Dtrain.run(
                Dtrain.small
                    + ["--data", data, "--validation", "test", "--steps", "9", "--validate-every", "4", "--run-dir", folder("run")])
            #expect(outcome.status == 1 && outcome.stderr.contains("test_seq_1.txt:111: "), "\(outcome)")
            #expect(outcome.stderr.contains("--check-data lists all such") && outcome.stderr.contains("step 4 is saved"), "\(outcome)")
            #expect(FileManager.default.fileExists(atPath: folder("run/checkpoints/step-00000004/state.json")))
        }

        /// `best` is chosen by errors over the same frames.
        @Test(arguments: Dtrain.canRunRanks ? [1, 2] : [1]) func aResumeOnOtherHeldOutFramesSaysSo(ranks: Int) throws {
            let settings = ["--data", try folder.dataSet(testFrames: 20), "--validation", "test", "--checkpoint-every", "2", "--validate-every", "2"]
            try Dtrain.train(settings + ["--steps", "4"], into: folder("run"))
            let same = try Dtrain.train(settings + ["--steps", "4", "--resume", "auto", "--validate-frames", "20"], into: folder("run"))
            #expect(!same.stdout.contains("held-out errors were measured"))
            let other = ["--resume", "auto", "--validate-frames", "5"]
            let done = try Dtrain.train(settings + other + ["--steps", "4"], into: folder("run"), ranks: ranks)
            #expect(done.lines.contains { $0.contains("were measured on 20 of 20 held-out frames") && $0.contains("5 of 20") })
            #expect(done.stdout.contains("over 5 frames") && done.stdout.contains("held-out joint error: "), "scored anew")
            let more = try Dtrain.train(settings + other + ["--steps", "6"], into: folder("run"), ranks: ranks)
            #expect(more.stdout.contains("are not compared"))
            let best = try FileManager.default.destinationOfSymbolicLink(atPath: folder("run/checkpoints/best"))
            #expect(best == "step-00000006")
        }

        /// Two starts within one second choose names that differ.
        @Test func runsOfOneSecondHaveNamesOfTheirOwn() throws {
            let command = "for i in 1 2 3 4; do \"$@\" > out$i 2>&1 & jobs=\"$jobs $!\"; done; for job in $jobs; do wait $job; done; cat out?"
            let outcome = try Subprocess.run(
                ["bash", "-c", command, "bash", Dtrain.path] + Dtrain.small + ["--steps", "1", "--threads", "1"], directory: folder.path)
            #expect(outcome.lines.count { $0.hasPrefix("held-out joint error") } == 4, "\(outcome)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder("runs")).count == 4)
        }

        @Test(arguments: Dtrain.canRunRanks ? [1, 3] : [1]) func checkDataListsEverything(ranks: Int) throws {
            let data = try folder.dataSet()
            let check = ["--data", data, "--check-data"]
            let sound = try Dtrain.run(check, ranks: ranks == 1 ? nil : ranks, directory: folder.path)
            #expect(sound.status == 0 && sound.stdout == "\(data): all 60 training and 10 held-out frames of 64x48 can be used\n", "\(sound)")
            try damage(data, "Training") { $0 % 20 == 5 }
            try damage(data, "Testing") { $0 == 3 }
            try FileManager.default.removeItem(atPath: try frames(data, "Training")[0])
            var labels = try BadInput.labels(folder)
            labels[40] = "x"
            try BadInput.write(labels: labels, folder)
            let outcome = try Dtrain.run(check, ranks: ranks == 1 ? nil : ranks, directory: folder.path)
            #expect(outcome.status == 1 && outcome.stderr.contains("\(data): 6 of 70 samples cannot be used; hint: "), "\(outcome)")
            let places = ["labels.txt:41", "labels.txt:1", "labels.txt:6", "labels.txt:26", "labels.txt:46", "test_seq_1.txt:4"]
            #expect(outcome.lines.map { String($0.dropFirst("\(data)/".count).split(separator: ": ")[0].split(separator: "/")[1]) } == places)
            #expect(!FileManager.default.fileExists(atPath: folder("runs")))
        }

        @Test func oneLineTellsWhatTheFirstFramesHold() throws {
            let data = try folder.dataSet()
            let outcome = try Dtrain.train(["--data", data, "--validation", "test", "--steps", "1"], into: folder("run"))
            let line = try #require(outcome.lines.first { $0.hasPrefix("note: the first 60 training frames: ") })
            let share = try #require(line.firstMatch(of: /; (\d+)% of the joints lie on one within 150 mm/).flatMap { Int($0.1) })
            #expect(share >= 80, "\(line)")
            #expect(!outcome.stdout.contains("warning"))
            let small = try Dtrain.train(["--data", data, "--validation", "test", "--steps", "1", "--batch-size", "61"], into: folder("small"))
            #expect(small.stdout.contains("note: a batch of 61 is larger than the set of 60 training samples"))
        }

        /// Labels in metres, or beside the frame: trained, with a warning.
        @Test(arguments: ["metres", "beside"]) func labelsThatDoNotFitAreToldOf(kind: String) throws {
            let data = try folder.dataSet()
            let labels = try BadInput.labels(folder).map { line in
                line.split(separator: " ").enumerated().map { index, field in
                    guard index > 0, let value = Double(field) else { return String(field) }
                    return switch (kind, index % 3) {
                    case ("metres", 0): "\(value / 1000)"
                    case ("beside", 1): "\(value + 500)"
                    default: "\(value)"
                    }
                }.joined(separator: " ")
            }
            try BadInput.write(labels: labels, folder)
            let outcome = try Dtrain.run(
                Dtrain.small + ["--data", data, "--validation", "test", "--steps", "1", "--run-dir", folder("run")])
            let line = try #require(outcome.lines.first { $0.hasPrefix("warning: the first 60 training frames: ") }, "\(outcome)")
            #expect(line.contains("; 0% of the joints lie on one") && line.contains("hint: "))
            #expect(line.contains("100% of the joints lie outside the frame") == (kind == "beside"))
        }
    }
}
