import ArgumentParser
import Checkpoints
import Glibc
import Telemetry
import Training

struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Print a checkpoint's tensors and their statistics, after verifying its checksums.",
        discussion: """
            EXAMPLES
              dtrain inspect runs/first/checkpoints/best
              dtrain inspect runs/first/checkpoints/step-00000500 --optimizer
            """)

    @Argument(help: "A checkpoint: the directory step-... that holds state.json.")
    var checkpoint: String

    @Flag(help: "The optimizer's state too.")
    var optimizer = false

    func run() throws {
        do {
            let opened = try Checkpoint.open(checkpoint)
            CommandRunner.say("\(opened.path): step \(opened.step), every checksum is right")
            let summary = try CheckpointSummary(opened)
            for line in summary.lines { CommandRunner.say(line) }
            try table(opened, "model.safetensors")
            if optimizer { try table(opened, "optimizer.safetensors") }
        } catch {
            let hint = error.hint == nil ? "; hint: a whole checkpoint is a directory step-... that dtrain wrote" : ""
            throw TrainingFailure("\(error)\(hint)")
        }
    }

    private func table(_ checkpoint: Checkpoint, _ file: String) throws(CheckpointError) {
        let reader = try checkpoint.reader(file)
        CommandRunner.say("\n\(file)")
        let header = ["tensor", "shape", "values", "min", "max", "mean", "std", "zeros", "not finite"]
        var rows = [header]
        for entry in reader.entries {
            let statistics = try TensorStatistics.of(entry.name, in: reader)
            rows.append([
                entry.name, entry.shape.map(String.init).joined(separator: "x"), String(entry.elementCount),
                number(statistics.min.map { Double($0) }), number(statistics.max.map { Double($0) }), number(statistics.mean),
                number(statistics.standardDeviation), format("%.2f%%", statistics.zeroShare * 100),
                String(statistics.nonFiniteCount),
            ])
        }
        let widths = header.indices.map { column in rows.map { $0[column].count }.max()! }
        for row in rows {
            CommandRunner.say(
                row.enumerated().map { column, text in
                    let padding = String(repeating: " ", count: widths[column] - text.count)
                    return column < 2 ? text + padding : padding + text
                }.joined(separator: "  "))
        }
    }

    private func number(_ value: Double?) -> String { value.map { format("%.5g", $0) } ?? "-" }
}
