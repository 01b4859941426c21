import Foundation
import Testing
import TestSupport

extension BadInput {
    private static let training = Dtrain.small + ["--steps", "20", "--run-dir", "@/run"]

    /// A data set of 60 frames, and what is done to it.
    private static func set(
        _ name: String, _ words: [String], ranks: Bool = false, lines: Int = 1, _ change: @escaping @Sendable (TestFolder) throws -> Void
    ) -> BadInput {
        BadInput(
            name: name, arguments: training + ["--validation", "test", "--data", "@/data"], words: words, ranks: ranks,
            prepare: {
                _ = try $0.dataSet()
                try change($0)
            }, lines: lines)
    }

    /// The 11th frame of the training set, as its label line names it.
    static func frame(_ folder: TestFolder) throws -> String {
        let line = try labels(folder)[10]
        return folder("data/Training/Depth/\(line.prefix { $0 != " " })")
    }

    static func labels(_ folder: TestFolder) throws -> [String] {
        try String(contentsOfFile: folder("data/Training/labels.txt"), encoding: .utf8).split(separator: "\n").map(String.init)
    }

    static func write(labels: [String], _ folder: TestFolder) throws {
        _ = try folder.write(labels.joined(separator: "\n") + "\n", to: "data/Training/labels.txt")
    }

    static let data: [BadInput] = [
        BadInput(
            name: "no data folder", arguments: training + ["--data", "@/none"],
            words: ["no data directory @/none", "--data"], ranks: true),
        BadInput(
            name: "a file as data", arguments: training + ["--data", "@/file"], words: ["@/file is not a directory"],
            prepare: { _ = try $0.write("", to: "file") }),
        BadInput(name: "an empty folder", arguments: training + ["--data", "@"], words: ["no training labels in @"]),
        set("no samples", ["no samples in @/data/Training/labels.txt"], ranks: true) { try write(labels: [], $0) },
        set("no frames at all", ["@/data/Training/labels.txt", "Depth"]) {
            try FileManager.default.removeItem(atPath: $0("data/Training/Depth"))
        },
        set("a malformed label", ["@/data/Training/labels.txt:11: ", "--on-bad-sample skip"], ranks: true) { folder in
            var lines = try labels(folder)
            lines[10] = String(lines[10].dropLast(30))
            try write(labels: lines, folder)
        },
        set("labels of 21 joints", ["63 numbers, expected 48", "21 joints of u, v, d, and ICVL has 16"]) { folder in
            try write(labels: labels(folder).map { line in line + String(repeating: " 1", count: 15) }, folder)
        },
        set("one sample and no test set", ["one training sample leaves none to hold out", "at least 2 frames"], ranks: true) { folder in
            try FileManager.default.removeItem(atPath: folder("data/Testing"))
            try write(labels: Array(labels(folder).prefix(1)), folder)
        },
        set("a label that is no number", ["@/data/Training/labels.txt:11: ", "'twelve'"]) { folder in
            var lines = try labels(folder)
            var fields = lines[10].split(separator: " ").map(String.init)
            fields[7] = "twelve"
            lines[10] = fields.joined(separator: " ")
            try write(labels: lines, folder)
        },
        set("a missing frame", ["@/data/Training/labels.txt:11: ", "@/data/Training/Depth/", "--on-bad-sample skip"], ranks: true) {
            try FileManager.default.removeItem(atPath: frame($0))
        },
        set("a missing frame of the test set", ["@/data/Testing/test_seq_1.txt:1: "]) { folder in
            let line = try String(contentsOfFile: folder("data/Testing/test_seq_1.txt"), encoding: .utf8)
            try FileManager.default.removeItem(atPath: folder("data/Testing/Depth/\(line.prefix { $0 != " " })"))
        },
        set("seven missing frames", ["labels.txt:2: ", "... and 2 more", "7 of the samples of @/data"], lines: 7) { folder in
            for line in try labels(folder)[1...7] {
                try FileManager.default.removeItem(atPath: folder("data/Training/Depth/\(line.prefix { $0 != " " })"))
            }
        },
        set("a truncated frame", ["@/data/Training/labels.txt:11: ", ".png", "--on-bad-sample skip"], ranks: true) { folder in
            let path = try frame(folder)
            let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            try bytes.prefix(bytes.count / 2).write(to: URL(fileURLWithPath: path))
        },
        set("an empty frame", ["@/data/Training/labels.txt:11: "]) { try Data().write(to: URL(fileURLWithPath: frame($0))) },
        set("a frame that is no picture", ["@/data/Training/labels.txt:11: "]) {
            try Data("not a picture".utf8).write(to: URL(fileURLWithPath: frame($0)))
        },
        set("a frame of another size", ["@/data/Training/labels.txt:11: ", "32x24", "64x48"], ranks: true) { folder in
            let outcome = try Dtrain.run(["synth", folder("other"), "--frames", "1", "--test-frames", "0", "--image-size", "32x24"])
            guard outcome.status == 0 else { throw CocoaError(.fileNoSuchFile) }
            let other = try String(contentsOfFile: folder("other/Training/labels.txt"), encoding: .utf8).prefix { $0 != " " }
            let path = try frame(folder)
            try FileManager.default.removeItem(atPath: path)
            try FileManager.default.copyItem(atPath: folder("other/Training/Depth/\(other)"), toPath: path)
        },
    ]

    static let directories: [BadInput] = [
        BadInput(
            name: "a run below a file", arguments: training.dropLast() + ["@/file/run"],
            words: ["@/file/run: cannot", "a part of the path is a file"],
            ranks: true, prepare: { _ = try $0.write("", to: "file") }),
        BadInput(
            name: "a run in /proc", arguments: training.dropLast() + ["/proc/run"],
            words: ["/proc/run: cannot", "--run-dir"], ranks: true),
        BadInput(name: "a run without a name", arguments: training.dropLast() + [""], words: ["no name for a run directory"]),
        BadInput(
            name: "--resume auto without a run", arguments: Dtrain.small + ["--resume", "auto"],
            words: ["--resume auto", "--run-dir"]),
        BadInput(
            name: "--resume nothing", arguments: training + ["--resume", "@/none"],
            words: ["@/none", "No such file"], ranks: true),
        BadInput(name: "--resume a folder", arguments: training + ["--resume", "@"], words: ["@: is not a checkpoint"]),
        BadInput(
            name: "--resume a run directory", arguments: training + ["--resume", "@/old"],
            words: ["@/old: is not a checkpoint", "@/old/checkpoints/"],
            prepare: { try Dtrain.train(["--steps", "1"], into: $0("old")) }),
        damaged("model.safetensors"), damaged("optimizer.safetensors"), damaged("state.json"),
        BadInput(
            name: "inspect a damaged checkpoint", arguments: ["inspect", "@/old/checkpoints/step-00000001"],
            words: ["model.safetensors", "checksum"], prepare: { try damage($0, "model.safetensors") }),
        BadInput(name: "inspect nothing there", arguments: ["inspect", "@/none"], words: ["@/none", "No such file"]),
        BadInput(
            name: "every checkpoint damaged", arguments: Dtrain.small + ["--steps", "20", "--resume", "auto", "--run-dir", "@/old"],
            words: ["damaged checkpoint passed over: ", "every checkpoint is damaged"],
            prepare: { try damage($0, "model.safetensors") }, lines: 2),
    ]

    private static func damaged(_ file: String) -> BadInput {
        BadInput(
            name: "--resume a checkpoint with a damaged \(file)",
            arguments: training + ["--resume", "@/old/checkpoints/step-00000001"],
            words: ["@/old/checkpoints/step-00000001/\(file)"], ranks: file == "model.safetensors",
            prepare: { try damage($0, file) })
    }

    /// Trains a step into `old`, and flips a bit in the middle of a file of its checkpoint.
    private static func damage(_ folder: TestFolder, _ file: String) throws {
        try Dtrain.train(["--steps", "1"], into: folder("old"))
        let url = URL(fileURLWithPath: folder("old/checkpoints/step-00000001/\(file)"))
        var bytes = try Data(contentsOf: url)
        bytes[bytes.count / 2] ^= 0x40
        try bytes.write(to: url)
    }

    static let machine: [BadInput] = [
        BadInput(
            name: "more memory than there is", arguments: training + ["--batch-size", "100000000"],
            words: ["not enough memory on ", " GB", "--batch-size"], ranks: true),
        BadInput(
            name: "every size at its largest",
            arguments: training + [
                "--batch-size", "100000000", "--hidden", "1000000", "--image-size", "4096x4096", "--synthetic-frames", "10000000",
                "--cache", "1000000000",
            ], words: ["more than 64 x 2^30 parameters"], status: 64),
        BadInput(
            name: "an address space of 1 GB", arguments: training + ["--preset", "shallow", "--hidden", "2048", "--image-size", "320x240"],
            words: ["not enough memory on ", "GB are available"], shell: "ulimit -v 1000000"),
        BadInput(
            name: "a launcher whose processes do not meet", arguments: training, words: ["4 processes", "MPICH's or Intel MPI's"],
            environment: ["PMI_SIZE": "4", "PMI_RANK": "0", "MPI_LOCALNRANKS": "4"]),
    ]
}
