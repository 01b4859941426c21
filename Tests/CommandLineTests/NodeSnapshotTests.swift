import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// Three pretended nodes of a rank each, one of which is lost: the two others hold a whole snapshot, whatever the exchange.
    @Suite(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) struct NodeSnapshotTests {
        private let folder = try! TestFolder()

        /// Runs with snapshots in a folder of the test's own, in the place of the nodes' memory.
        private func run(_ name: String, ranks: Int, _ arguments: [String], fault: String? = nil) throws -> Subprocess.Outcome {
            try? FileManager.default.createDirectory(atPath: folder("memory"), withIntermediateDirectories: true)
            return try Dtrain.run(
                Dtrain.small + [
                    "--batch-size", "12", "--checkpoint-every", "4", "--steps", "10", "--stall-timeout", "2",
                    "--validate-every", "3", "--run-dir", folder(name),
                ] + arguments, ranks: ranks,
                environment: ["DTRAIN_RANKS_PER_NODE": "1", "DTRAIN_SNAPSHOT_ROOT": folder("memory"), "DTRAIN_FAULT": fault])
        }

        /// The snapshots' one directory.
        private func kept() throws -> String {
            let names = try FileManager.default.contentsOfDirectory(atPath: folder("memory"))
            #expect(names.count == 1)
            return folder("memory/\(try #require(names.first))")
        }

        /// What the node of a rank held is gone.
        private func lose(rank: Int) throws {
            for name in try FileManager.default.contentsOfDirectory(atPath: try kept()) where name.hasSuffix("-\(rank)") {
                try FileManager.default.removeItem(atPath: "\(try kept())/\(name)")
            }
        }

        /// Runs to the middle of step 8, where a rank hangs: the newest checkpoint is of step 4.
        private func interrupt(_ name: String, _ arguments: [String]) throws {
            let outcome = try run(name, ranks: 3, arguments, fault: "stall:rank=1:step=8")
            try #require(outcome.status == 70, "\(outcome)")
        }

        @Test(arguments: [
            ("allreduce", "fused", 0), ("sharded", "fused", 1), ("split", "fused", 2), ("split", "stored", 0), ("sharded", "stored", 1),
        ])
        func aLostNodeCostsAStep(exchange: String, update: String, lost: Int) throws {
            let settings = ["--exchange", exchange, "--update", update, "--snapshot-every", "1"]
            let whole = try run("whole", ranks: 3, settings)
            try #require(whole.status == 0, "\(whole)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder("memory")) == [], "a run that has ended leaves nothing")
            try interrupt("run", settings)
            try lose(rank: lost)
            let resumed = try run("run", ranks: 2, settings + ["--resume", "auto"])
            #expect(resumed.status == 0, "\(resumed)")
            #expect(resumed.stdout.contains("note: going on from the snapshot of step 7 in the nodes' memory, now a checkpoint"), "\(resumed)")
            #expect(resumed.stdout.contains("step-00000007, step 7"), "\(resumed)")
            // Another number of ranks: the same to rounding. Validations too, whose state the snapshot carries.
            expectAgreement(try Metrics(run: folder("run")).losses, try Metrics(run: folder("whole")).losses, tolerance: 1e-4)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder("memory")) == [])
        }

        /// On as many ranks the bits are those of a run that never stopped, as the snapshot is what a checkpoint would be.
        @Test func theBitsAreTheSame() throws {
            let settings = ["--exchange", "split", "--snapshot-every", "7", "--ema", "0.9", "--keep-checkpoints", "9"]
            #expect(try run("whole", ranks: 3, settings + ["--snapshot-every", "0"]).status == 0)
            try interrupt("run", settings)
            #expect(try run("run", ranks: 3, settings + ["--resume", "auto"]).status == 0)
            for step in ["08", "10"] {
                for file in ["model", "optimizer", "average"] {
                    let path = "checkpoints/step-000000\(step)/\(file).safetensors"
                    #expect(
                        FileManager.default.contentsEqual(atPath: folder("run/\(path)"), andPath: folder("whole/\(path)")), "\(path)")
                }
            }
        }

        /// What two nodes alone held is lost with both of them, what every rank holds is not; and a snapshot that anybody may read
        /// is none.
        @Test func whatIsNotWholeDoesNotCount() throws {
            for (exchange, step) in [("split", 4), ("allreduce", 7)] {
                let settings = ["--exchange", exchange, "--snapshot-every", "1"]
                try interrupt(exchange, settings)
                for rank in [1, 2] { try lose(rank: rank) }
                let outcome = try run(exchange, ranks: 2, settings + ["--resume", "auto"])
                #expect(outcome.status == 0 && outcome.stdout.contains(", step \(step)\n"), "\(outcome)")
            }
            let settings = ["--snapshot-every", "1", "--exchange", "allreduce"]
            try interrupt("open", settings)
            for name in try FileManager.default.contentsOfDirectory(atPath: try kept()) { chmod("\(try kept())/\(name)", 0o644) }
            let outcome = try run("open", ranks: 2, settings + ["--resume", "auto"])
            #expect(outcome.status == 0 && outcome.stdout.contains("step-00000004, step 4\n"), "\(outcome)")
        }

        /// A node that was away brings nothing back: each start goes by the snapshots of the one before it alone.
        @Test func aCourseThatTheRunHasLeftIsForgotten() throws {
            let settings = ["--exchange", "allreduce", "--snapshot-every", "1"]
            try interrupt("run", settings)
            let old = try kept()
            try FileManager.default.moveItem(atPath: old, toPath: folder("away"))
            // From the checkpoint, and into the next fault before there is another snapshot.
            let next = try run("run", ranks: 2, settings + ["--resume", "auto", "--snapshot-every", "100"], fault: "stall:rank=1:step=6")
            #expect(next.status == 70 && next.stdout.contains("step-00000004, step 4\n"), "\(next)")
            try FileManager.default.moveItem(atPath: folder("away"), toPath: old)
            let last = try run("run", ranks: 2, settings + ["--resume", "auto"])
            #expect(last.status == 0 && last.stdout.contains("step-00000004, step 4\n"), "\(last)")
        }

        @Test func shortMemoryIsToldOf() throws {
            try "no directory".write(toFile: folder("memory"), atomically: false, encoding: .utf8)
            let outcome = try Dtrain.run(
                Dtrain.small + ["--steps", "3", "--run-dir", folder("run")], ranks: 2,
                environment: ["DTRAIN_RANKS_PER_NODE": "1", "DTRAIN_SNAPSHOT_ROOT": folder("memory")])
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.stdout.split(separator: "\n").filter { $0.hasPrefix("note: memory is short for snapshots on ") }.count == 1, "\(outcome)")
        }

        @Test func aWrongIntervalIsRefused() throws {
            let outcome = try Dtrain.run(Dtrain.small + ["--snapshot-every", "often"])
            #expect(outcome.status == 64 && outcome.stderr.contains("--snapshot-every is 'often'; hint: auto, or a number of steps"))
        }
    }
}
