import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// Mistakes that a real training shows; `Scripts/diagnosis.sh` commits all of them.
    @Suite struct DiagnosisTests {
        private let folder = try! TestFolder()

        private func told(_ outcome: Subprocess.Outcome) -> [String] { outcome.lines.filter { $0.hasPrefix("warning: step ") } }

        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) func aSlowRankIsNamed() throws {
            let outcome = try Dtrain.run(
                Dtrain.small + ["--steps", "42", "--log-every", "100", "--run-dir", folder("run")], ranks: 2,
                environment: ["DTRAIN_FAULT": "lag:rank=1:step=11:times=40"])
            #expect(outcome.status == 0, "\(outcome)")
            let lines = told(outcome).filter { $0.contains("is slow since step 11: its own work takes ") }
            #expect(lines.count == 1 && lines[0].hasPrefix("warning: step 41: rank 1 on ") && lines[0].contains("; hint: "), "\(outcome.stdout)")
        }

        /// Crops; a hidden layer far below 0, or a soft-argmax whose scores are large from the start.
        @Test(arguments: [
            ("{units: 16}, {units: 16, initial-bias: -50}", "100% of the units of layer second are 0", 1),
            ("maps", "the soft-argmax of layer soft-argmax1 is saturated", 10),
            ("{units: 16}, {units: 16}", nil, 0),
        ]) func layersAreLookedInto(kind: String, words: String?, step: Int) throws {
            var text = "input: {height: 48, width: 48}\nlayers:\n  - convolution: {channels: 8, kernel: 5, stride: 2}\n  - activation: relu\n"
            if kind == "maps" {
                text += "  - max-pooling: 2\n  - branches:\n      branches:\n"
                text += "        - - convolution: {channels: 16, kernel: 1, initial: normal:100}\n"
                text += "        - - convolution: {channels: 48, kernel: 3, initial: small}\n  - soft-argmax: {joints: 16}\n"
            } else {
                for (name, dense) in zip(["first", "second"], kind.components(separatedBy: ", {").map { $0.hasPrefix("{") ? $0 : "{" + $0 }) {
                    text += "  - dense: \(dense)\n  - activation: {function: relu, name: \(name)}\n"
                }
                text += "  - dense: {units: 48, initial: small}\n"
            }
            try text.write(toFile: folder("network.yaml"), atomically: false, encoding: .utf8)
            let outcome = try Dtrain.run([
                "--network", folder("network.yaml"), "--batch-size", "8", "--synthetic-frames", "100", "--synthetic-test-frames", "10", "--steps",
                "12",
                "--run-dir", folder("run"),
            ])
            #expect(outcome.status == 0, "\(outcome)")
            let lines = told(outcome)
            #expect(lines.count == (words == nil ? 0 : 1), "\(lines)")
            if let words, let line = lines.first {
                #expect(line.hasPrefix("warning: step \(step): ") && line.contains(words) && line.contains("; hint: "), "\(line)")
            }
        }

        @Test func predictionsAreTimed() throws {
            try Dtrain.train(["--steps", "1"], into: folder("run"))
            let checkpoint = folder("run/checkpoints/step-00000001")
            let outcome = try Dtrain.run(["bench", "predict", checkpoint, "--batches", "1,5", "--repeats", "3", "--json"])
            let report = try #require(try JSONSerialization.jsonObject(with: Data(outcome.stdout.utf8)) as? [String: Any], "\(outcome)")
            let parts = try #require(report["parts"] as? [String: [String: Any]])
            #expect(Set(parts.keys) == ["network, 1 frame at a time", "network, 5 frames at a time", "frame to joints, 1 at a time"])
            for part in parts.values { #expect(part["rate"] as? Double ?? 0 > 0) }
            for batches in ["0", "1,x", ""] {
                let wrong = try Dtrain.run(["bench", "predict", checkpoint, "--batches", batches])
                #expect(wrong.status == 64 && wrong.stderr.contains("hint: numbers from 1 to 4096"), "\(wrong)")
            }
            let missing = try Dtrain.run(["bench", "predict", folder("nowhere")])
            #expect(missing.status == 1 && missing.stderr.contains("hint: "), "\(missing)")
        }
    }
}
