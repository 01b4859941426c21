/// What is wrong with a run or slow in it, each with a cure: the warnings that it gave, and what its figures show.
package struct Finding: Equatable {
    package let text: String
    package let cure: String?
    package var isBad = false

    package static func of(_ run: RunRecord) -> [Finding] {
        let told = run.warnings.map { warning -> Finding in
            let parts = warning.split(separator: "; hint: ", maxSplits: 1).map(String.init)
            return Finding(text: parts.first ?? warning, cure: parts.count > 1 ? parts[1] : nil)
        }
        return figures(run) + told + checkpoints(run)
    }

    private static func figures(_ run: RunRecord) -> [Finding] {
        let metrics = run.metrics
        var found: [Finding] = []
        if Verdict.hasCollapsed(run) {
            found.append(
                Finding(
                    text: "All outputs are exactly 0, and a ReLU at the output passes no gradient back.",
                    cure: "--output linear, with --input normalized and --initial-values he", isBad: true))
        }
        let losses = metrics.column("loss") ?? []
        if let row = losses.firstIndex(where: { !$0.isFinite }) {
            found.append(
                Finding(
                    text: "The loss is not a number at step \(Int(metrics.steps[row])).",
                    cure: "a smaller --learning-rate, --input normalized, --clip norm:1", isBad: true))
        }
        let step = StepTimes(metrics)
        if let step, step.total > 0 {
            if step.share(of: "wait_ms") > 0.2 {
                found.append(
                    Finding(
                        text: "Waiting for data takes \(percent(step.share(of: "wait_ms"))) of a step: the loader does not keep up.",
                        cure: "a larger --cache, so that frames are decoded once; data on a faster disk"))
            }
            if step.share(of: "exchange_wait_ms") > 0.3 {
                let best = metrics.predicted.filter { $0.key.hasSuffix(".step_ms") }.min { $0.value < $1.value }?.key.dropLast(8)
                found.append(
                    Finding(
                        text: "Waiting for the exchange takes \(percent(step.share(of: "exchange_wait_ms"))) of a step.",
                        cure: "--exchange auto" + (best.map { ", which would take \($0) here" } ?? "") + "; --wire bf16 halves what travels"))
            }
        }
        if let skipped = metrics.last("skipped_samples"), skipped > 0 {
            found.append(Finding(text: "\(Int(skipped)) samples could not be read and were left out.", cure: "--check-data lists each"))
        }
        if let skipped = metrics.last("skipped_steps"), skipped > 0 {
            found.append(
                Finding(
                    text: "\(Int(skipped)) steps made no update, as loss or gradient was not finite.",
                    cure: "a smaller --learning-rate, --clip norm:1"))
        }
        return found
    }

    private static func checkpoints(_ run: RunRecord) -> [Finding] {
        run.checkpoints.filter { $0.problem != nil }.map { checkpoint in
            Finding(
                text: "Checkpoint \(checkpoint.name): \(checkpoint.problem ?? "").", cure: "--resume auto passes it over; delete it", isBad: true)
        }
    }
}

/// Where the time of a step goes: medians of the logged lines.
struct StepTimes {
    static let parts: [(key: String, name: String)] = [
        ("wait_ms", "waiting for data"), ("forward_ms", "forward"), ("backward_ms", "backward and update"),
        ("exchange_wait_ms", "waiting for the exchange"), ("checks_ms", "checks"),
    ]
    let total: Double
    let parts: [(key: String, name: String, milliseconds: Double)]

    init?(_ metrics: RunMetrics) {
        guard let steps = metrics.column("step_ms"), let total = Self.median(steps) else { return nil }
        self.total = total
        parts = Self.parts.compactMap { part in
            metrics.column(part.key).flatMap(Self.median).map { (part.key, part.name, $0) }
        }
    }

    func share(of key: String) -> Double { total > 0 ? (parts.first { $0.key == key }?.milliseconds ?? 0) / total : 0 }

    static func median(_ values: [Double]) -> Double? {
        let sorted = values.filter(\.isFinite).sorted()
        return sorted.isEmpty ? nil : sorted[sorted.count / 2]
    }
}
