/// Words for a command line that the parser does not understand: by what was meant, or nothing.
enum CommandLineHelp {
    /// What other trainers call a setting, and what it is called here.
    private static let meanings: [String: String] = [
        "lr": "--learning-rate", "rate": "--learning-rate", "learning_rate": "--learning-rate",
        "batch": "--batch-size", "batch_size": "--batch-size", "bs": "--batch-size", "global-batch": "--batch-size",
        "global-batch-size": "--batch-size", "minibatch": "--batch-size", "epoch": "--epochs", "num-epochs": "--epochs",
        "max-epochs": "--epochs", "step": "--steps", "num-steps": "--steps", "max-steps": "--steps", "iterations": "--steps",
        "iters": "--steps", "max-iter": "--steps", "dataset": "--data", "data-dir": "--data", "data-path": "--data",
        "data-root": "--data", "root": "--data", "out": "--run-dir", "outdir": "--run-dir", "output-dir": "--run-dir",
        "out-dir": "--run-dir", "save-dir": "--run-dir", "log-dir": "--run-dir", "logdir": "--run-dir", "workdir": "--run-dir",
        "rundir": "--run-dir", "name": "--run-dir", "load": "--resume", "checkpoint": "--resume", "ckpt": "--resume",
        "restore": "--resume", "weights": "--resume", "save-every": "--checkpoint-every", "save-steps": "--checkpoint-every",
        "checkpoint-interval": "--checkpoint-every", "save-interval": "--checkpoint-every", "save-total-limit": "--keep-checkpoints",
        "log-interval": "--log-every", "logging-steps": "--log-every", "print-freq": "--log-every", "eval-every": "--validate-every",
        "eval-interval": "--validate-every", "val-every": "--validate-every", "val-frames": "--validate-frames",
        "test-frames": "--synthetic-test-frames", "eval-steps": "--validate-every",
        "workers": "--threads", "num-workers": "--threads", "num-threads": "--threads", "jobs": "--threads", "model": "--preset",
        "arch": "--preset", "network": "--preset", "activation": "--output", "head": "--output", "units": "--hidden",
        "hidden-size": "--hidden", "random-seed": "--seed", "manual-seed": "--seed", "precision": "--wire", "dtype": "--wire",
        "bf16": "--wire bf16", "fp16": "--wire bf16", "allreduce": "--exchange allreduce", "strategy": "--exchange",
        "skip-bad": "--on-bad-sample skip", "max-time": "--time-limit", "walltime": "--time-limit", "timeout": "--time-limit",
        "config-file": "--config", "cfg": "--config", "yaml": "--config", "init": "--initial-values", "size": "--image-size",
        "resolution": "--image-size", "np": "the ranks of mpirun: mpirun -np N dtrain", "nproc": "the ranks of mpirun: mpirun -np N dtrain",
        "ranks": "the ranks of mpirun: mpirun -np N dtrain", "check": "--check-data", "verify": "--check-data",
        "dry-run": "--check-data",
    ]

    /// The parser's message, made better where more is known; nil where it is not about the words of the command line.
    static func rewrite(_ message: String, subcommand: String, subcommands: [String], arguments: [String]) -> String? {
        if let first = arguments.first, !first.hasPrefix("-"), !subcommands.contains(first), first != "help" {
            let near = subcommands.filter { distance(first, $0) <= 2 }
            return "no such subcommand '\(first)'; hint: "
                + (near.isEmpty ? "there are " + subcommands.joined(separator: ", ") + ";" : "did you mean '\(near[0])'?")
                + " dtrain --help tells what each does"
        }
        if let match = message.firstMatch(of: /^Unknown option '(-+([^']*))'/) {
            let (option, name) = (String(match.1), String(match.2).lowercased())
            let known = subcommand == "train" ? meanings[name] ?? meanings[name.replacing("_", with: "-")] : nil
            return "Unknown option '\(option)'" + hint(known ?? near(message, option), subcommand)
        }
        return nil
    }

    private static func hint(_ suggestion: String?, _ subcommand: String) -> String {
        let list = "dtrain \(subcommand) --help lists all options"
        guard let suggestion else { return "; hint: \(list)" }
        return suggestion.hasPrefix("--") ? "; hint: did you mean '\(suggestion)'? \(list)" : "; hint: that is \(suggestion); \(list)"
    }

    /// The option that the parser suggests, where it is a misspelling of what was given: `--stepz`, `--val-frames` are, `--lr`
    /// for `--wire` is not.
    private static func near(_ message: String, _ option: String) -> String? {
        guard let match = message.firstMatch(of: /Did you mean '([^']+)'/) else { return nil }
        let suggestion = String(match.1)
        let most = option.count <= 5 ? 1 : option.count <= 8 ? 2 : 3
        return distance(option, suggestion) <= most || (option.count > 5 && suggestion.hasPrefix(option)) ? suggestion : nil
    }

    /// Levenshtein's: single characters changed, added or taken away.
    private static func distance(_ left: String, _ right: String) -> Int {
        let right = Array(right)
        var row = Array(0...right.count)
        for (index, character) in left.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for column in right.indices {
                let changed = diagonal + (character == right[column] ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(changed, diagonal + 1, row[column] + 1)
            }
        }
        return row[right.count]
    }
}
