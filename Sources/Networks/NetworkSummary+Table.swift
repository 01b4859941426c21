import Memory

extension NetworkSummary {
    /// Columns of the table's text, where names leave them.
    private static let (nameWidth, kindWidth) = (28, 19)

    /// The summary as text of at most 80 columns, in plain units.
    package var table: String {
        var lines = [
            "\(network): input \(input[0])x\(input[1]), \(run.ranks) \(run.ranks == 1 ? "rank" : "ranks"), global batch \(run.batch), "
                + "\(run.threads) \(run.threads == 1 ? "thread" : "threads") a rank",
            "",
            Self.line("layer", "kind", "output", "parameters", "GFLOP"),
        ]
        // Names of the layers around the next one.
        var around: [String] = []
        for row in layers {
            around = Array(around.prefix(row.depth))
            let inside = (around.last(where: { !$0.isEmpty }).map { $0.count + 1 }) ?? 0
            let own = row.name.isEmpty ? row.kind : String(row.name.dropFirst(inside))
            around.append(row.name)
            let name = String(repeating: "  ", count: row.depth) + own
            let shape = row.output[0] == 1 && row.output[1] == 1 ? "\(row.output[2])" : row.output.map(String.init).joined(separator: "x")
            // A container's figures are those of the lines below it.
            lines.append(
                Self.line(
                    name, row.kind, shape, row.containsLayers || row.parameters + row.kept == 0 ? "" : "\(row.parameters)",
                    row.containsLayers || row.operations == 0 ? "" : Self.fixed(row.operations / 1e9, 4)))
        }
        lines.append(Self.line("total, a frame forward", "", "", "\(parameters)", Self.fixed(operations / 1e9, 4)))
        if kept > 0 { lines.append(Self.line("kept, not trained", "", "", "\(kept)", "")) }
        lines += ["", Self.pair("memory of a rank", "MiB")]
        lines += memory.map { Self.pair("  \($0.kind.rawValue)", Self.mebibytes(Double($0.bytes))) }
        lines.append(Self.pair("  total", Self.mebibytes(Double(memory.reduce(0) { $0 + $1.bytes }))))
        lines.append("")
        if run.ranks == 1 {
            lines.append("one rank sends nothing; --ranks tells what several send")
        } else {
            lines.append(Self.pair("sent by a rank in a step", "MiB"))
            lines += exchanges.map { Self.pair("  \($0.kind)", Self.mebibytes($0.bytes)) }
            lines += divisible.map {
                Self.pair("    \($0.name) whole", Self.mebibytes($0.wholeBytes)) + "; divided \(Self.mebibytes($0.dividedBytes))"
            }
        }
        if !predictions.isEmpty {
            lines += ["", "predicted step, machines like this one       ms"]
            lines += predictions.map { prediction in
                let link = prediction.gigabits.map { "\(Int($0)) Gbit/s, \(prediction.exchange)" } ?? "one rank alone"
                return Self.pair(link, Self.fixed(prediction.seconds * 1000, 1))
            }
        }
        return lines.joined(separator: "\n")
    }

    private static func line(_ name: String, _ kind: String, _ output: String, _ parameters: String, _ operations: String) -> String {
        let text =
            left(name, nameWidth) + " " + left(kind, kindWidth) + " " + right(output, 11) + " " + right(parameters, 10) + " "
            + right(operations, 8)
        return String(text.reversed().drop { $0 == " " }.reversed())
    }

    private static func pair(_ name: String, _ value: String) -> String { left(name, 40) + right(value, 12) }

    private static func left(_ text: String, _ width: Int) -> String {
        text.count > width ? text.prefix(width - 1) + "~" : text + String(repeating: " ", count: width - text.count)
    }

    private static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    private static func mebibytes(_ bytes: Double) -> String { fixed(bytes / 0x1p20, 3) }

    /// With so many digits after the point.
    private static func fixed(_ value: Double, _ digits: Int) -> String {
        let unit = (0..<digits).reduce(1.0) { product, _ in product * 10 }
        let whole = (value * unit).rounded()
        guard abs(whole) < 1e15 else { return "\(value)" }
        let text = String(Int(abs(whole)))
        let padded = String(repeating: "0", count: max(0, digits + 1 - text.count)) + text
        return (whole < 0 ? "-" : "") + padded.dropLast(digits) + "." + padded.suffix(digits)
    }
}
