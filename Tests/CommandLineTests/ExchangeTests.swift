import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// The real program with every exchange, on numbers of ranks that divide neither batch nor rows.
    @Suite(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) struct ExchangeTests {
        private let folder = try! TestFolder()
        static let exchanges = ["allreduce", "sharded", "split"]
        private let settings = ["--batch-size", "7", "--synthetic-test-frames", "7"]

        @Test(arguments: exchanges) func everyNumberOfRanksGoesTheCourseOfOne(exchange: String) throws {
            let settings = settings + ["--steps", "20"]
            try Dtrain.train(settings, into: folder("alone"))
            let reference = try Metrics(run: folder("alone"))
            for ranks in 1...5 {
                let name = "\(exchange)-\(ranks)"
                try Dtrain.train(settings + ["--exchange", exchange], into: folder(name), ranks: ranks)
                let metrics = try Metrics(run: folder(name))
                expectAgreement(metrics.losses, reference.losses, tolerance: 1e-4, "\(name)")
                expectAgreement(try validations(metrics), try validations(reference), tolerance: 1e-4, "\(name), validation")
            }
        }

        private func validations(_ metrics: Metrics) throws -> [Double] {
            let results = metrics.lines.compactMap { $0["validation"] as? [String: Any] }
            let last = try #require(results.last).compactMapValues { $0 as? Double }
            return try ["loss", "joint_error_mm"].map { try #require(last[$0]) }
        }

        /// Threads beside the main one: buckets are sent while tiles are made.
        @Test(arguments: exchanges) func aStoppedRunGoesOnToTheSameBytes(exchange: String) throws {
            let settings = settings + ["--exchange", exchange, "--threads", "2", "--checkpoint-every", "7"]
            try Dtrain.train(settings + ["--steps", "12"], into: folder("whole"), ranks: 3)
            try Dtrain.train(settings + ["--steps", "7"], into: folder("parts"), ranks: 3)
            try Dtrain.train(settings + ["--steps", "12", "--resume", "auto"], into: folder("parts"), ranks: 3)
            for step in ["07", "12"] {
                for name in ["model", "optimizer"] {
                    let path = "checkpoints/step-000000\(step)/\(name).safetensors"
                    let (parts, whole) = (folder("parts/\(path)"), folder("whole/\(path)"))
                    #expect(FileManager.default.contentsEqual(atPath: parts, andPath: whole), "\(path)")
                }
            }
        }

        /// Activations that travel packed by node, of layers of both kinds: the same bits as straight ones, and memory counted for it.
        @Test(arguments: [
            Dtrain.small, ["--preset", "deepprior", "--crop-size", "64", "--synthetic-frames", "60", "--log-every", "1"],
        ])
        func packedActivationsAreTheSame(network: [String]) throws {
            var weights: [String: Data] = [:]
            for packing in ["off", "auto"] {
                let outcome = try Dtrain.run(
                    network + settings + ["--steps", "4", "--exchange", "split", "--run-dir", folder(packing)],
                    ranks: 5, environment: ["DTRAIN_RANKS_PER_NODE": "2", "DTRAIN_PACKING": packing])
                #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
                weights[packing] = try Data(
                    contentsOf: URL(fileURLWithPath: folder("\(packing)/checkpoints/step-00000004/model.safetensors")))
            }
            #expect(weights["auto"] == weights["off"])
            let (packed, straight) = (try Metrics(run: folder("auto")), try Metrics(run: folder("off")))
            #expect(packed.losses == straight.losses && packed.losses.count == 4)
            #expect(packed.numbers("exchange_bytes") == straight.numbers("exchange_bytes"))
        }

        struct Run: CustomTestStringConvertible {
            let exchange: String
            let ranks: Int
            var testDescription: String { "\(exchange) on \(ranks)" }
            var arguments: [String] { ["--exchange", exchange] }
        }

        @Test(arguments: [
            (Run(exchange: "sharded", ranks: 4), Run(exchange: "allreduce", ranks: 1)),
            (Run(exchange: "allreduce", ranks: 1), Run(exchange: "sharded", ranks: 4)),
            (Run(exchange: "sharded", ranks: 2), Run(exchange: "sharded", ranks: 5)),
            (Run(exchange: "sharded", ranks: 3), Run(exchange: "allreduce", ranks: 3)),
            (Run(exchange: "split", ranks: 4), Run(exchange: "allreduce", ranks: 1)),
            (Run(exchange: "allreduce", ranks: 1), Run(exchange: "split", ranks: 3)),
            (Run(exchange: "split", ranks: 5), Run(exchange: "sharded", ranks: 2)),
        ])
        func anotherExchangeAndNumberOfRanksGoesOn(first: Run, second: Run) throws {
            try Dtrain.train(settings + ["--steps", "20"], into: folder("whole"))
            try Dtrain.train(settings + ["--steps", "9"] + first.arguments, into: folder("parts"), ranks: first.ranks)
            try Dtrain.train(
                settings + ["--steps", "20", "--resume", "auto"] + second.arguments, into: folder("parts"), ranks: second.ranks)
            let (metrics, whole) = (try Metrics(run: folder("parts")), try Metrics(run: folder("whole")))
            #expect(metrics.numbers("step") == (1...20).map(Double.init))
            expectAgreement(metrics.losses, whole.losses, tolerance: 1e-4)
            expectAgreement(try validations(metrics), try validations(whole), tolerance: 1e-4)
        }

        /// One rank writes what it read: so what another exchange wrote was whole, and in its place.
        @Test(arguments: ["sharded", "split"]) func whatDividedRanksWroteIsWhatOneRankReads(exchange: String) throws {
            try Dtrain.train(settings + ["--steps", "5", "--exchange", exchange], into: folder("divided"), ranks: 4)
            try Dtrain.train(settings + ["--steps", "5"], into: folder("alone"))
            let name = "checkpoints/step-00000005/optimizer.safetensors"
            let (divided, alone) = (try floats(folder("divided/\(name)")), try floats(folder("alone/\(name)")))
            #expect(divided.count == alone.count)
            let scale = alone.reduce(0) { max($0, abs($1)) }
            let furthest = zip(divided, alone).reduce(0) { max($0, abs($1.0 - $1.1)) }
            #expect(scale > 0 && furthest <= scale * 1e-4, "\(furthest) of \(scale)")
        }

        /// The tensors of a safetensors file, all of fp32, one after the other.
        private func floats(_ path: String) throws -> [Float] {
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            let header = data.prefix(8).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
            let values = [UInt8](data.dropFirst(8 + header))
            return values.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
        }

        @Test(arguments: [2, 3]) func shardedBytesAreInTheMetrics(ranks: Int) throws {
            try Dtrain.train(["--steps", "2", "--exchange", "sharded"], into: folder("run"), ranks: ranks)
            // FC1 is 32 x 24 x 8 rows of 64, which 2 and 3 divide; the small parameters are padded to 16 floats.
            let small = [200, 16, 64, 64 * 48, 48].reduce(0) { $0 + ($1 + 15) / 16 * 16 }
            let expected = Double([32 * 24 * 8 * 64, small].reduce(0) { $0 + 2 * (ranks - 1) * $1 * 4 / ranks })
            let metrics = try Metrics(run: folder("run"))
            #expect(metrics.numbers("exchange_bytes") == [expected, expected])
            for (waited, all) in zip(metrics.numbers("exchange_wait_ms"), metrics.numbers("exchange_ms")) {
                #expect(waited >= 0 && waited <= all)
            }
        }

        @Test func autoSaysWhatItChoseAndWhatTheOthersWouldTake() throws {
            let outcome = try Dtrain.train(["--steps", "1", "--exchange", "auto"], into: folder("run"), ranks: 2)
            let chosen = try #require(
                outcome.lines.first { $0.hasPrefix("exchange auto: ") }?.dropFirst(15).split(separator: ";").first)
            #expect(outcome.stdout.contains("ranks: 2, exchange \(chosen)\n"))
            for kind in ["allreduce", "sharded", "split"] {
                let line = try #require(outcome.lines.first { $0.hasPrefix("  \(kind) ") })
                #expect(line.contains(" ms (") && line.contains(" MB sent by a rank"))
            }
            // Found here, so not written down for other places.
            #expect(try String(contentsOfFile: folder("run/config.yaml"), encoding: .utf8).contains("exchange: auto"))
        }
    }
}
