import Checkpoints
import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// `dtrain export`. That other programs compute the same from these files is what `Scripts/check-export.sh` shows.
    @Suite(.serialized) struct ExportCommandTests {
        private let folder = try! TestFolder()

        private func checkpoint(_ arguments: [String] = []) throws -> String {
            try Dtrain.train(["--steps", "2"] + arguments, into: folder("run"))
            return folder("run") + "/checkpoints/step-00000002"
        }

        private func floats(_ reader: SafetensorsReader, _ name: String) throws -> [Float] {
            let count = try #require(reader.entry(named: name)).elementCount
            var values = [Float](repeating: 0, count: count)
            try values.withUnsafeMutableBufferPointer { try reader.read(name, elements: 0..<count, into: $0) }
            return values
        }

        @Test func averagedWeightsAreExportedWhereThereAreAny() throws {
            let checkpoint = try checkpoint(["--ema", "0.5"])
            let outcome = try Dtrain.run(["export", checkpoint, "--safetensors", folder("hand.safetensors")])
            #expect(outcome.status == 0 && outcome.stdout.contains("average.safetensors, step 2"), "\(outcome)")
            let (own, average) = (
                try SafetensorsReader(path: folder("hand.safetensors")), try SafetensorsReader(path: "\(checkpoint)/average.safetensors")
            )
            #expect(own.entries == average.entries)
            #expect(try floats(own, "fc2.weight") == floats(average, "fc2.weight"))
            #expect(own.metadata["dtrain.output"]?.contains("u px, v px, d mm") == true)
        }

        /// Of whole frames, and of crops.
        @Test(arguments: [[], ["--preset", "dtrain-hand", "--image-size", "320x240", "--crop-size", "32"]])
        func allFormsAreWritten(arguments: [String]) throws {
            let checkpoint = try checkpoint(arguments)
            let outcome = try Dtrain.run([
                "export", checkpoint, "--onnx", folder("hand.onnx"), "--pytorch", folder("hand.py"), "--samples", folder("samples"),
                "--sample-count", "40",
            ])
            #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
            let module = try String(contentsOfFile: folder("hand.py"), encoding: .utf8)
            #expect(module.contains(#"WEIGHTS = Path(__file__).parent / "hand.safetensors""#) && module.contains("class Network(nn.Module):"))
            // Weights and graph: more than the weights, and not twice as much.
            let sizes = try ["hand.onnx", "hand.safetensors"].map { name in
                try #require(FileManager.default.attributesOfItem(atPath: folder(name))[.size] as? Int)
            }
            #expect(sizes[0] > sizes[1] / 2 && sizes[0] < 2 * sizes[1], "\(sizes)")
            let samples = try SafetensorsReader(path: folder("samples"))
            #expect(samples.entry(named: "output")?.shape == [40, 48])
            #expect((samples.entry(named: "centre") == nil) == arguments.isEmpty)
            let outputs = try floats(samples, "output")
            // More samples than one call predicts: a frame's outputs do not depend on the others.
            let fewer = try Dtrain.run(["export", checkpoint, "--samples", folder("few"), "--sample-count", "3"])
            #expect(fewer.status == 0)
            #expect(try floats(SafetensorsReader(path: folder("few")), "output") == Array(outputs.prefix(3 * 48)))
        }

        @Test func theSameCheckpointGivesTheSameBytes() throws {
            let checkpoint = try checkpoint()
            for name in ["one.onnx", "two.onnx"] { _ = try Dtrain.run(["export", checkpoint, "--onnx", folder(name)]) }
            let bytes = try ["one.onnx", "two.onnx"].map { try Data(contentsOf: URL(fileURLWithPath: folder($0))) }
            #expect(bytes[0] == bytes[1] && bytes[0].count > 1000)
        }

        @Test func wrongCommandLinesAreOneLine() throws {
            for (arguments, words) in [
                (["export", "x"], "nothing to write"), (["export", "x", "--onnx", "/nowhere/x.onnx"], "there is no directory /nowhere"),
                (["export", "x", "--onnx", "a", "--samples", "a"], "two files at once"),
                (["export", "x", "--samples", "a", "--sample-count", "0"], "--sample-count is 0"),
            ] {
                let outcome = try Dtrain.run(arguments)
                #expect(outcome.status == 64 && outcome.stderr.split(separator: "\n").count == 1, "\(outcome)")
                #expect(outcome.stderr.contains(words) && outcome.stderr.contains("; hint: "), "\(outcome)")
            }
        }

        @Test func whatIsNoCheckpointIsRefusedAndLeavesNothing() throws {
            let checkpoint = try checkpoint()
            for path in [folder("run"), folder("nothing")] {
                let outcome = try Dtrain.run(["export", path, "--onnx", folder("hand.onnx")])
                #expect(outcome.status == 1 && outcome.stderr.contains("; hint: "), "\(outcome)")
            }
            let data = try folder.dataSet("other", frames: 5, testFrames: 5)
            try FileManager.default.removeItem(atPath: "\(data)/Testing/Depth/test_seq_1")
            let outcome = try Dtrain.run(["export", checkpoint, "--samples", folder("samples"), "--data", data])
            #expect(outcome.status == 1 && outcome.stderr.contains("no frame can be used"), "\(outcome)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["other", "run"])
        }
    }
}
