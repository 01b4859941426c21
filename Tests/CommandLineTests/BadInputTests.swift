import Foundation
import Testing
import TestSupport

/// One way to use `dtrain` wrongly, and what it has to say.
struct BadInput: CustomTestStringConvertible, Sendable {
    let name: String
    /// Arguments; `@` is replaced by the path of the test's folder.
    let arguments: [String]
    /// Words of the one line on standard error; `@` as above.
    let words: [String]
    var status: Int32 = 1
    /// Also under mpirun with two ranks, where the exit code is whatever mpirun makes of it.
    var ranks = false
    /// Makes what the arguments name.
    var prepare: @Sendable (TestFolder) throws -> Void = { _ in }
    var environment: [String: String] = [:]
    /// A shell command put before the program's.
    var shell: String?
    /// Lines the program writes on standard error.
    var lines = 1

    var testDescription: String { name }
}

extension CommandLineTests {
    /// Bad input: one clear line that says what, where and what to do; an exit code other than 0; in seconds; no trace.
    @Suite struct BadInputTests {
        private let folder = try! TestFolder()

        @Test(arguments: BadInput.commandLine + BadInput.numbers + BadInput.configuration) func beforeAnythingStarts(
            input: BadInput
        ) throws {
            try check(input)
        }

        @Test(arguments: BadInput.data + BadInput.directories + BadInput.machine) func beforeTheFirstStep(
            input: BadInput
        ) throws {
            try check(input)
        }

        private func check(_ input: BadInput) throws {
            try input.prepare(folder)
            let arguments = fill(input.arguments)
            var command = [Dtrain.path] + arguments
            if let shell = input.shell { command = ["sh", "-c", "\(shell); exec \"$@\"", "sh"] + command }
            let outcome = try Subprocess.run(command, environment: input.environment.mapValues { $0 }, timeout: 20)
            #expect(outcome.status == input.status, "\(outcome)")
            expectClearLine(outcome, input)
            #expect(outcome.stderr.split(separator: "\n").count == input.lines, "nothing else on standard error")
            guard input.ranks, Dtrain.canRunRanks else { return }
            try? FileManager.default.removeItem(atPath: folder("run"))
            let both = try Dtrain.run(arguments, ranks: 2, environment: input.environment.mapValues { $0 }, timeout: 20)
            #expect(both.status != 0, "\(both)")
            expectClearLine(both, input)
        }

        private func fill(_ texts: [String]) -> [String] { texts.map { $0.replacing("@", with: folder.path) } }

        private func expectClearLine(_ outcome: Subprocess.Outcome, _ input: BadInput) {
            #expect(!outcome.timedOut && outcome.seconds < 15, "took \(outcome.seconds) s")
            let lines = outcome.stderr.split(separator: "\n").filter { $0.hasPrefix("dtrain: ") }
            #expect(lines.count == input.lines, "\(outcome)")
            for word in fill(input.words) + ["hint: "] {
                #expect(lines.contains { $0.contains(word) }, "'\(word)' is missing in \(lines)")
            }
            for word in ["Fatal error", "Backtrac", "Signal", "signal", "Stack dump", "MPI_Finalize", "MPI_ABORT", " at 0x"] {
                #expect(!outcome.stderr.contains(word), "\(outcome)")
            }
            #expect(outcome.status < 128 && !outcome.stdout.contains("first step"))
        }
    }
}

extension BadInput {
    static let commandLine: [BadInput] = [
        BadInput(
            name: "unknown flag", arguments: ["--stepz", "3"],
            words: ["'--stepz'", "train --help"], status: 64, ranks: true),
        BadInput(name: "no number", arguments: ["--steps", "ten"], words: ["'ten'", "--steps"], status: 64, ranks: true),
        BadInput(name: "no value", arguments: ["--steps"], words: ["Missing value", "--steps"], status: 64),
        BadInput(
            name: "unknown word", arguments: ["tarin"], words: ["no such subcommand 'tarin'", "did you mean 'train'"], status: 64,
            ranks: true),
        BadInput(
            name: "no such subcommand", arguments: ["visualise", "x"],
            words: ["no such subcommand 'visualise'", "train, evaluate, predict, "], status: 64),
        BadInput(name: "another name", arguments: ["--lr", "3"], words: ["'--lr'", "did you mean '--learning-rate'"], status: 64),
        BadInput(name: "half a name", arguments: ["--batch", "3"], words: ["'--batch'", "did you mean '--batch-size'"], status: 64),
        BadInput(name: "clipping of 0", arguments: ["--clip", "norm:0"], words: ["--clip is 'norm:0'", "hint:"], status: 64),
        BadInput(
            name: "a schedule that rises for ever", arguments: ["--schedule", "exponential:factor=1.5"],
            words: ["--schedule is 'exponential:factor=1.5'", "hint:"], status: 64),
        BadInput(name: "no accumulation", arguments: ["--accumulate", "0"], words: ["--accumulate is 0", "hint:"], status: 64),
        BadInput(name: "no such augmentation", arguments: ["--augment", "spin=3"], words: ["there is no 'spin'", "hint:"], status: 64),
        BadInput(name: "three centre files", arguments: ["--centre", "a,b,c"], words: ["--centre is 'a,b,c'", "com, labels, FILE"], status: 64),
        BadInput(
            name: "crops for a network of whole frames", arguments: ["--cube", "200"],
            words: ["--cube is 200.0, and preset seed sees whole frames", "--preset dtrain-hand"], status: 64),
        BadInput(
            name: "centres for a network of whole frames", arguments: ["--preset", "shallow", "--centre", "labels"],
            words: ["--centre is labels, and preset shallow"], status: 64),
        BadInput(
            name: "centres of no frames", arguments: ["--preset", "dtrain-hand", "--centre", "c.txt"],
            words: ["--centre c.txt: ", "--data"], status: 64),
        BadInput(name: "no such loss", arguments: ["--loss", "mae"], words: ["--loss is 'mae'", "smooth-l1:10"], status: 64),
        BadInput(
            name: "an average of everything", arguments: ["--ema", "1"], words: ["--ema is 1", "between 0 and 1"], status: 64),
        BadInput(
            name: "no file of a network", arguments: ["describe", "--network", "/nowhere.yaml"],
            words: ["/nowhere.yaml: No such file or directory"], status: 64),
        // What can be known without the data is told before they are looked for.
        BadInput(
            name: "no such layer, nor the data", arguments: ["--network", "@/net.yaml", "--data", "/nowhere", "--run-dir", "@/run"],
            words: ["@/net.yaml:3: ", "'convolutoin'"], status: 64, ranks: true,
            prepare: { _ = try $0.write("input: {height: 32, width: 32}\nlayers:\n  - convolutoin: 8\n  - dense: 48\n", to: "net.yaml") }),
        BadInput(
            name: "layers that do not meet, nor the data", arguments: ["--network", "@/net.yaml", "--data", "/nowhere", "--run-dir", "@/run"],
            words: ["@/net.yaml:4: ", "windows of 16x16 do not fit a map of 8x8x4"], status: 64,
            prepare: {
                _ = try $0.write(
                    "input: {height: 16, width: 16}\nlayers:\n  - convolution: {channels: 4, stride: 2}\n  - max-pooling: 16\n  - dense: 48\n",
                    to: "net.yaml")
            }),
        BadInput(
            name: "an update that cannot be fused", arguments: ["--preset", "dtrain-hand", "--update", "fused", "--data", "/nowhere"],
            words: ["--update fused: ", "--update stored"], status: 64),
        BadInput(
            name: "a rate of another optimiser", arguments: ["--preset", "ren", "--optimizer", "adam"],
            words: ["--optimizer adam", "0.048 is for sgd", "--learning-rate 1e-3"], status: 64),
        BadInput(
            name: "a warmed-up average of nothing", arguments: ["--ema-warmup"], words: ["--ema-warmup", "--ema 0.999 too"], status: 64),
        BadInput(
            name: "a warm-up without an end", arguments: ["--schedule", "constant:warmup=500", "--steps", "20", "--data", "/nowhere"],
            words: ["a warm-up of 500 steps does not end in a run of 20"], status: 64),
        BadInput(name: "a misspelt name", arguments: ["--step", "3"], words: ["did you mean '--steps'"], status: 64),
        BadInput(name: "a name of nothing", arguments: ["--zz", "3"], words: ["'--zz'; hint: dtrain train --help"], status: 64),
        BadInput(
            name: "steps and epochs", arguments: ["--steps", "3", "--epochs", "1"], words: ["--steps and --epochs", "one of them"],
            status: 64),
        BadInput(
            name: "a time that is none", arguments: ["--time-limit", "10min"], words: ["'10min'", "SECONDS, 10m, 2h", "HH:MM:SS"],
            status: 64),
        BadInput(name: "nothing to check", arguments: ["--check-data"], words: ["--check-data", "--data DIR"], status: 64),
        BadInput(
            name: "unknown preset", arguments: ["--preset", "seeds"],
            words: ["'seeds'", "seed-verbatim", "shallow"], status: 64),
        BadInput(
            name: "unknown output", arguments: ["--output", "tanh"],
            words: ["'tanh'", "linear", "relu", "exp"], status: 64),
        BadInput(name: "unknown change", arguments: ["--allow-change", "hidden"], words: ["'hidden'", "learning-rate"], status: 64),
        BadInput(name: "a flag with a value", arguments: ["--save-initial=yes"], words: ["--save-initial"], status: 64),
        BadInput(name: "unknown exchange", arguments: ["--exchange", "gossip"], words: ["'gossip'", "allreduce"], status: 64),
        BadInput(name: "inspect nothing", arguments: ["inspect"], words: ["<checkpoint>", "inspect --help"], status: 64),
        BadInput(name: "synth nothing", arguments: ["synth"], words: ["nothing to do", "--preview"], status: 64),
        BadInput(
            name: "synth into a file", arguments: ["synth", "@/file"], words: ["@/file is not a directory"],
            prepare: { _ = try $0.write("", to: "file") }),
        BadInput(
            name: "synth over something", arguments: ["synth", "@", "--frames", "2"], words: ["@", "not empty"],
            prepare: { _ = try $0.write("", to: "file") }),
        BadInput(
            name: "synth poses from nowhere", arguments: ["synth", "@/out", "--poses", "@/none.txt"], words: ["@/none.txt"]),
        BadInput(
            name: "synth picture nowhere", arguments: ["synth", "--preview", "@/none/picture.png"], words: ["@/none/picture.png"]),
    ]

    /// The largest integer must not end in a trap.
    static let numbers: [BadInput] =
        [
            ("--steps", "0"), ("--steps", "9223372036854775807"), ("--epochs", "0"), ("--epochs", "1e300"), ("--epochs", "nan"),
            ("--batch-size", "0"), ("--batch-size", "9223372036854775807"), ("--hidden", "0"), ("--hidden", "9223372036854775807"),
            ("--pool", "3"), ("--pool", "0"), ("--learning-rate", "0"), ("--learning-rate", "inf"), ("--threads", "1025"),
            ("--cache", "9223372036854775807"), ("--synthetic-frames", "0"), ("--synthetic-frames", "9223372036854775807"),
            ("--synthetic-test-frames", "9223372036854775807"), ("--image-size", "64by48"), ("--log-every", "0"),
            ("--validate-every", "0"), ("--checkpoint-every", "0"), ("--keep-checkpoints", "0"),
        ].map { flag, value in
            BadInput(name: "\(flag) \(value)", arguments: [flag, value], words: ["\(flag) is "], status: 64)
        } + [
            BadInput(name: "beyond 64 bits", arguments: ["--steps", "9223372036854775808"], words: ["--steps"], status: 64),
            BadInput(name: "negative seed", arguments: ["--seed=-1"], words: ["'-1'", "--seed"], status: 64),
            BadInput(name: "negative steps", arguments: ["--steps=-5"], words: ["--steps is -5"], status: 64, ranks: true),
            BadInput(
                name: "an image that does not divide", arguments: ["--image-size", "66x50", "--pool", "4"], words: ["66x50", "4x4"],
                status: 64),
            BadInput(
                name: "synth --frames", arguments: ["synth", "@/out", "--frames", "9223372036854775807"],
                words: ["--frames"], status: 64),
            BadInput(
                name: "synth --image-size", arguments: ["synth", "@/out", "--image-size", "4x4"],
                words: ["--image-size", "8x8"], status: 64),
            BadInput(
                name: "bench --batch-size", arguments: ["bench", "step", "--batch-size", "9223372036854775807"], words: ["--batch-size is "],
                status: 64),
            BadInput(
                name: "bench --pool", arguments: ["bench", "step", "--pool", "3"],
                words: ["pooling window is 3"], status: 64),
            BadInput(
                name: "bench --threads", arguments: ["bench", "gemm", "--threads", "9999"],
                words: ["--threads is 9999"], status: 64),
            BadInput(
                name: "a tiny image", arguments: ["--image-size", "4x4", "--run-dir", "@/run"],
                words: ["--image-size 4x4", "8x8"]),
        ]

    private static func file(_ name: String, _ text: String, _ words: [String]) -> BadInput {
        BadInput(
            name: name, arguments: Dtrain.small + ["--config", "@/run.yaml"], words: words, status: 64,
            prepare: { _ = try $0.write(text, to: "run.yaml") })
    }

    static let configuration: [BadInput] = [
        BadInput(
            name: "no file", arguments: ["--config", "@/none.yaml"],
            words: ["@/none.yaml: No such file"], status: 64, ranks: true),
        BadInput(name: "a folder as a file", arguments: ["--config", "@"], words: ["@: Is a directory"], status: 64),
        file("unknown key", "steps: 3\n\nstepz: 4\n", ["@/run.yaml:3: unknown setting 'stepz'"]),
        file("syntax", "steps: [1\nhidden: 2\n", ["@/run.yaml:2: ", "flow sequence"]),
        file("a tab", "steps: 3\n\tseed: 1\n", ["@/run.yaml:2: "]),
        file("no number in the file", "seed: 1\nsteps: ten\n", ["@/run.yaml:2: --steps is 'ten'", "a number from 1"]),
        file("out of range in the file", "seed: 1\npool: 3\n", ["@/run.yaml:2: --pool is 3"]),
        file("preset in the file", "preset: big\n", ["@/run.yaml:1: --preset is 'big'", "seed-verbatim"]),
        file("a list in place of a value", "steps: [1, 2]\n", ["@/run.yaml:1", "'steps'"]),
        file("nothing in place of a value", "seed: 1\nsteps: ~\n", ["@/run.yaml:2", "'steps' has no value"]),
        file("no value of a flag", "save-initial: maybe\n", ["@/run.yaml:1: --save-initial is 'maybe'", "true or false"]),
        file(
            "a change that none may make", "allow-change: pool\n", ["@/run.yaml:1: --allow-change is 'pool'", "batch-size, ", "data, learning-rate"]),
        file("a key twice", "steps: 3\nsteps: 4\n", ["@/run.yaml: set more than once: 'steps'"]),
        file("a list", "- steps\n- seed\n", ["@/run.yaml: holds no settings"]),
        file("two documents", "steps: 3\n---\nsteps: 4\n", ["@/run.yaml:2: ", "single document"]),
    ]
}
