import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// Data sets on disk, and their bad samples.
    @Suite struct DataTests {
        private let folder = try! TestFolder()

        @Test func aWrittenSetTrainsWithTheLossFalling() throws {
            let data = try folder.dataSet(frames: 300, testFrames: 30)
            let outcome = try Dtrain.train(
                ["--data", data, "--validation", "test", "--steps", "150", "--learning-rate", "1e-3"], into: folder("run"))
            #expect(outcome.stdout.contains("data: ICVL data in \(data), 300 training and 30 held-out frames of 64x48"))
            let losses = try Metrics(run: folder("run")).losses
            func mean(_ values: ArraySlice<Double>) -> Double { values.reduce(0, +) / Double(values.count) }
            #expect(mean(losses.suffix(20)) < 0.5 * mean(losses.prefix(20)))
        }

        /// The synthetic hands of the command line are those of `synth` with the same seed: one bit pattern either way.
        @Test func framesFromDiskTrainAsThoseInMemory() throws {
            let data = try folder.dataSet(frames: 60, testFrames: 10)
            try Dtrain.train(["--data", data, "--validation", "test", "--seed", "3", "--steps", "12"], into: folder("disk"))
            try Dtrain.train(
                ["--seed", "3", "--synthetic-frames", "60", "--synthetic-test-frames", "10", "--steps", "12"],
                into: folder("memory"))
            let (disk, memory) = (try Metrics(run: folder("disk")), try Metrics(run: folder("memory")))
            // A label line holds three decimals.
            expectAgreement(disk.losses, memory.losses, tolerance: 1e-4)
        }

        @Test func withoutDataItSaysSo() throws {
            let outcome = try Dtrain.train(["--steps", "1"], into: folder("run"))
            #expect(outcome.stdout.contains("synthetic hands (no --data was given)"))
        }

        @Test func theCacheDoesNotChangeBits() throws {
            let data = try folder.dataSet()
            for cache in ["0", "1024"] {
                try Dtrain.train(["--data", data, "--steps", "15", "--cache", cache], into: folder(cache))
            }
            #expect(try folder.contents("0/checkpoints") == folder.contents("1024/checkpoints"))
        }

        /// Runs two ranks on data sets of their own, as nodes with disks of their own may.
        private func run(_ data: [String], _ arguments: [String]) throws -> Subprocess.Outcome {
            let settings = Dtrain.small + arguments + ["--validation", "test", "--run-dir", folder("run")]
            return try Subprocess.mpirun(
                ranks: 1,
                [Dtrain.path] + settings + ["--data", data[0], ":", "-np", "1", Dtrain.path] + settings
                    + ["--data", data[1]], timeout: 60)
        }

        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) func otherLabelsOnAnotherRankAreRefused() throws {
            let host = ProcessInfo.processInfo.hostName
            let outcome = try run([try folder.dataSet(frames: 60), try folder.dataSet("other", frames: 50)], ["--steps", "2"])
            #expect(outcome.status == 1 && outcome.stderr.contains("is not the same on all ranks: rank 0 on \(host) sees 60 training samples"))
            #expect(outcome.stderr.contains("rank 1 on \(host) sees 50 training samples"), "\(outcome)")
        }

        /// Whichever rank lacks a frame, all leave it out, or end with its name.
        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks), arguments: [0, 1]) func aFrameThatOneRankLacks(rank: Int) throws {
            let data = [try folder.dataSet(), try folder.dataSet("other")]
            for line in [2, 57] {
                let name = try BadInput.labels(folder)[line].prefix { $0 != " " }
                try FileManager.default.removeItem(atPath: "\(data[rank])/Training/Depth/\(name)")
            }
            let stopped = try run(data, ["--steps", "2"])
            #expect(stopped.status == 1 && stopped.stderr.contains("missing file; hint: repair it"), "\(stopped)")
            let skipped = try run(data, ["--steps", "2", "--on-bad-sample", "skip"])
            #expect(skipped.status == 0 && skipped.stdout.contains("59 training and 10 held-out frames"), "\(skipped)")
        }

        /// Two malformed labels and a missing frame are left out before step 1; a truncated frame when it is met, in every epoch.
        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) func skippedSamplesAreLeftOutAlikeOnAnyRanks() throws {
            let data = try folder.dataSet()
            var labels = try BadInput.labels(folder)
            labels[3] = String(labels[3].dropLast(20))
            labels[4] = labels[4].replacingOccurrences(of: ".png ", with: ".png x")
            let missing = labels[5].prefix { $0 != " " }
            try FileManager.default.removeItem(atPath: "\(data)/Training/Depth/\(missing)")
            let truncated = try BadInput.frame(folder)
            try Data(contentsOf: URL(fileURLWithPath: truncated)).prefix(50).write(to: URL(fileURLWithPath: truncated))
            try BadInput.write(labels: labels, folder)

            let settings = ["--data", data, "--validation", "test", "--steps", "20", "--on-bad-sample", "skip"]
            var outcomes: [Int: Subprocess.Outcome] = [:]
            for ranks in [1, 3] {
                let outcome = try Dtrain.train(settings, into: folder("\(ranks)"), ranks: ranks)
                outcomes[ranks] = outcome
                for line in [4, 5, 6] {
                    #expect(outcome.lines.count { $0.hasPrefix("note: skipped: ") && $0.contains("labels.txt:\(line): ") } == 1)
                }
                // Told once, though every epoch meets it again, by the rank that met it.
                #expect(outcome.lines.count { $0.contains("skipped ") && $0.contains(truncated) } == 1)
                #expect(outcome.stdout.contains("57 training and 10 held-out frames"))
                #expect(outcome.stdout.contains("left out because they could not be read: 3 before, 1 in training"))
            }
            let (one, three) = (try Metrics(run: folder("1")), try Metrics(run: folder("3")))
            expectAgreement(three.losses, one.losses, tolerance: 1e-4)
            #expect(one.numbers("skipped_samples") == three.numbers("skipped_samples"))
            #expect(one.numbers("skipped_samples").last == 1)
        }

        @Test func heldOutFramesThatCannotBeReadAreReportedOnce() throws {
            let data = try folder.dataSet()
            let line = try String(contentsOfFile: "\(data)/Testing/test_seq_1.txt", encoding: .utf8)
            let frame = "\(data)/Testing/Depth/\(line.prefix { $0 != " " })"
            try Data("no picture".utf8).write(to: URL(fileURLWithPath: frame))
            let settings = ["--data", data, "--validation", "test", "--steps", "6", "--validate-every", "2"]
            let outcome = try Dtrain.train(settings + ["--on-bad-sample", "skip"], into: folder("run"))
            #expect(outcome.lines.count { $0.contains("skipped ") && $0.contains(frame) } == 1)
            #expect(outcome.lines.count { $0.contains("over 9 frames") } == 3)
            let stopped = try Dtrain.run(Dtrain.small + settings + ["--run-dir", folder("stopped")])
            #expect(stopped.status == 1)
            #expect(stopped.stderr.contains("test_seq_1.txt:1: \(frame): ") && stopped.stderr.contains("hint: "))
        }
    }
}
