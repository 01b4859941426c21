import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// Checkpoints written beside training, and writes that fail.
    @Suite struct CheckpointWritingTests {
        private let folder = try! TestFolder()
        private let settings = ["--steps", "8", "--checkpoint-every", "2", "--validate-every", "4", "--keep-checkpoints", "9"]

        private func faulty(_ fault: String, _ more: [String] = [], ranks: Int? = nil) throws -> Subprocess.Outcome {
            try Dtrain.run(
                Dtrain.small + settings + more + ["--run-dir", folder("run")], ranks: ranks,
                environment: ["DTRAIN_FAULT": fault])
        }

        private func pauses() throws -> [[String: Any]] {
            try Metrics(run: folder("run")).lines.compactMap { $0["checkpoint"] as? [String: Any] }
        }

        @Test func onlyTheLastIsWaitedFor() throws {
            let outcome = try Dtrain.train(settings, into: folder("run"))
            #expect(try pauses().map { $0["writing"] as? String } == Array(repeating: "beside training", count: 3) + ["while training waits"])
            for pause in try pauses() { #expect(pause["pause_ms"] as? Double ?? 0 > 0) }
            for step in [2, 4, 6, 8] {
                #expect(outcome.stdout.contains("checkpoint: \(folder("run"))/checkpoints/step-0000000\(step), written in "))
            }
        }

        /// What the thread writes is the state of its step, though training went on meanwhile.
        @Test func aCopyHoldsTheBitsOfItsStep() throws {
            try Dtrain.train(settings, into: folder("beside"))
            let outcome = try faulty("short-memory")
            #expect(outcome.status == 0)
            #expect(outcome.lines.count { $0.hasPrefix("note: memory is short for a copy of the weights") } == 1)
            #expect(try pauses().allSatisfy { $0["writing"] as? String == "while training waits" })
            #expect(try folder.contents("beside/checkpoints") == folder.contents("run/checkpoints"))
        }

        /// Where tensors lie on several ranks too: beside training, after a write that failed, and from the tensors themselves where
        /// a rank is short of memory, with the same bits.
        @Test(.enabled(if: Dtrain.canRunRanks, "needs mpirun"), arguments: ["split", "sharded"])
        func whatLiesOnSeveralRanksIsWrittenBesideTraining(exchange: String) throws {
            let more = ["--exchange", exchange]
            let beside = Array(repeating: "beside training", count: 3) + ["while training waits"]
            try Dtrain.train(settings + more, into: folder("run"), ranks: 3)
            #expect(try pauses().map { $0["writing"] as? String } == beside)
            let expected = try folder.contents("run/checkpoints")
            for (fault, writing) in [
                ("write-error:step=4:times=1", beside), ("short-memory:rank=2", Array(repeating: "while training waits", count: 4)),
            ] {
                try FileManager.default.removeItem(atPath: folder("run"))
                let outcome = try faulty(fault, more, ranks: 3)
                #expect(outcome.status == 0, "\(outcome)")
                #expect(try pauses().map { $0["writing"] as? String } == writing)
                #expect(try folder.contents("run/checkpoints") == expected)
            }
        }

        /// Also with ranks that know nothing of it.
        @Test(arguments: [1, 2]) func aFailedWriteIsTriedAgain(ranks: Int) throws {
            guard ranks == 1 || Dtrain.canRunRanks else { return }
            try Dtrain.train(settings, into: folder("whole"), ranks: ranks)
            let outcome = try faulty("write-error:step=4:times=1", ranks: ranks == 1 ? nil : ranks)
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.stdout.contains("warning: checkpoint of step 4, try 1 of 3: "))
            #expect(try folder.contents("run/checkpoints") == folder.contents("whole/checkpoints"))
        }

        /// Three tries fail, the run goes on without this checkpoint, and the ones before and after are whole.
        @Test func aCheckpointThatCannotBeWrittenIsGoneWithout() throws {
            try Dtrain.train(settings, into: folder("whole"))
            let outcome = try faulty("write-error:step=4:times=3")
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.stdout.contains("warning: checkpoint of step 4 could not be written: "))
            var expected = try folder.contents("whole/checkpoints")
            for name in expected.keys where name.hasPrefix("step-00000004") { expected[name] = nil }
            var found = try folder.contents("run/checkpoints")
            // The best may have been the one that is missing.
            (expected["best"], found["best"]) = (nil, nil)
            #expect(found == expected)
        }

        @Test(arguments: [1, 2]) func threeInARowEndTheRun(ranks: Int) throws {
            guard ranks == 1 || Dtrain.canRunRanks else { return }
            let outcome = try faulty(
                "write-error:step=4:times=1000", ["--steps", "1000000"], ranks: ranks == 1 ? nil : ranks)
            #expect(outcome.status == 1 && !outcome.timedOut, "\(outcome)")
            #expect(outcome.stderr.contains("dtrain: 3 checkpoints in a row could not be written, the last because of "))
            #expect(outcome.stderr.contains("No space left on device"))
            let left = try FileManager.default.contentsOfDirectory(atPath: folder("run/checkpoints")).sorted()
            #expect(left == ["step-00000002"])
            try Dtrain.train(settings + ["--resume", "auto"], into: folder("run"), ranks: ranks)
            try Dtrain.train(settings, into: folder("whole"), ranks: ranks)
            let end = "checkpoints/step-00000008"
            #expect(try folder.contents("run/\(end)") == folder.contents("whole/\(end)"))
        }

        @Test func aLastCheckpointThatCannotBeWrittenIsAFailure() throws {
            let outcome = try faulty("write-error:step=8:times=3")
            #expect(outcome.status == 1)
            #expect(outcome.stderr.hasPrefix("dtrain: the last checkpoint could not be written: "), "\(outcome)")
            #expect(!FileManager.default.fileExists(atPath: folder("run/checkpoints/step-00000008")))
        }

        /// The real thing: a file system of 14 MB on which one checkpoint of 4.8 MB fits beside the ballast, not two. Metrics lines
        /// that found no room either are all there in the end.
        @Test(.enabled(if: geteuid() == 0, "needs the right to mount")) func aFullDiskThatIsClearedLosesNothing() throws {
            try FileManager.default.createDirectory(atPath: folder("disk"), withIntermediateDirectories: true)
            let script = """
                mount -t tmpfs -o size=14m tmpfs "$1" || exit 99
                head -c 8000000 /dev/zero > "$1/ballast"
                ( sleep 9; rm "$1/ballast" ) &
                shift
                exec "$@"
                """
            let outcome = try Subprocess.run(
                [
                    "unshare", "--mount", "sh", "-c", script, "sh", folder("disk"), "sh", "-c", Self.thenCopy, "sh", folder("disk"), folder("out"),
                    Dtrain.path,
                ]
                    + Dtrain.small + [
                        "--steps", "1000000", "--checkpoint-every", "100", "--keep-checkpoints", "1", "--validate-every", "1000000",
                        "--time-limit", "16", "--run-dir", folder("disk/run"),
                    ], timeout: 90)
            guard outcome.status != 99 else { return }
            #expect(outcome.status == 75, "\(outcome.stderr)")
            #expect(outcome.stdout.contains("No space left on device"), "\(outcome.stdout.suffix(3000))")
            let steps = try Metrics(run: folder("out")).numbers("step")
            #expect(steps == (1...max(1, steps.count)).map(Double.init))
            let checked = try Dtrain.run(["inspect", folder("out/checkpoints/\(Self.name(steps.count))")])
            #expect(checked.stdout.contains("every checksum is right"), "\(checked)")
        }

        private static let thenCopy = """
            disk=$1 out=$2; shift 2
            "$@"; status=$?
            cp -r "$disk/run" "$out"
            exit $status
            """

        private static func name(_ step: Int) -> String {
            "step-" + String(repeating: "0", count: 8 - "\(step)".count) + "\(step)"
        }
    }
}
