import Telemetry

/// The page of one run.
struct RunPage {
    let run: RunRecord
    private var metrics: RunMetrics { run.metrics }

    func html() -> String {
        let body =
            "<header><h1>\(escape(run.name))</h1><div class=\"sub\">\(escape(subtitle))</div></header>\n"
            + "<p class=\"verdict\">\(run.verdict.map(escape).joined(separator: " "))</p>\n"
            + tiles + section("Warnings and what to do", findings) + section("Course of the training", "<div class=\"charts\">\(courses)</div>")
            + section("Predictions", sheet) + section("Where a step's time goes", times)
            + section("A traced step", run.trace.map { TraceChart(trace: $0).html() } ?? "") + section("Exchange between ranks", exchange)
            + section("Signs of health", health) + section("Checkpoints", checkpoints) + section("What ran where", machine)
            + section("Settings", settings) + section("What this page lacks", missing)
        return Page.html(title: "dtrain: \(run.name)", body: body)
    }

    private var subtitle: String {
        var words = [run.isHeld ? "running" : run.ending.map { "ended: \($0)" } ?? "not running", "step \(metrics.lastStep)"]
        if let total = run.totalSteps { words[1] += " of \(total)" }
        if let preset = run.setting("network").flatMap({ $0 == "null" ? nil : $0 }) ?? run.setting("preset") { words.append(preset) }
        words.append(run.path)
        return words.joined(separator: " · ")
    }

    private var tiles: String {
        let errors = metrics.validations.filter { $0.jointError != nil }
        let best = errors.min { $0.jointError! < $1.jointError! }
        var cells: [(String, String)] = []
        if let last = errors.last {
            cells.append((figure(last.jointError) + " mm", "\(last.name) joint error, last\(escape(last.words))"))
        }
        if let best { cells.append((figure(best.jointError) + " mm", "the best, at step \(best.step)")) }
        if let test = metrics.test, let error = test.jointError {
            cells.append((figure(error) + " mm", "test joint error, weights of step \(test.step)\(escape(test.words))"))
        }
        if let success = errors.last?.values["success_40mm"] { cells.append((percent(success), "frames with all joints within 40 mm")) }
        if let loss = metrics.last("loss") { cells.append((figure(loss), "training loss, last")) }
        if let step = StepTimes(metrics) { cells.append((figure(step.total) + " ms", "a step, median")) }
        if let rate = metrics.column("samples_per_second").flatMap(StepTimes.median) { cells.append((figure(rate), "samples a second, median")) }
        if let seconds = metrics.seconds.last { cells.append((spell(seconds: seconds), "of training steps")) }
        guard !cells.isEmpty else { return "" }
        return "<div class=\"tiles\">" + cells.map { "<div class=\"tile\"><b>\($0.0)</b><span>\($0.1)</span></div>" }.joined() + "</div>\n"
    }

    private var findings: String {
        Finding.of(run).map { finding in
            "<div class=\"finding\(finding.isBad ? " bad" : "")\">\(escape(finding.text))"
                + (finding.cure.map { "<em>Cure: \(escape($0))</em>" } ?? "") + "</div>\n"
        }.joined()
    }

    // MARK: Curves

    private func curve(_ name: String, _ column: String, _ color: Int) -> [Curve] {
        metrics.column(column).map { [Curve(name: name, x: metrics.steps, y: $0, color: color)] } ?? []
    }

    private func validated(_ name: String, _ member: String, _ color: Int, factor: Double = 1) -> [Curve] {
        let points = metrics.validations.compactMap { validation in validation.values[member].map { (Double(validation.step), $0 * factor) } }
        return points.isEmpty ? [] : [Curve(name: name, x: points.map(\.0), y: points.map(\.1), color: color, isMarked: true)]
    }

    private var courses: String {
        let mean = metrics.baseline
        let loss = Chart(
            title: "Loss", abscissa: "step",
            curves: curve("training batch", "loss", 0) + validated(metrics.validations.last?.name ?? "held-out", "loss", 1),
            level: mean["loss"].map { ("always the mean label", $0) })
        let error = Chart(
            title: "Mean joint error, mm", abscissa: "step",
            curves: curve("training batch", "joint_error_mm", 0) + validated(metrics.validations.last?.name ?? "held-out", "joint_error_mm", 1),
            level: mean["joint_error_mm"].map { ("always the mean label", $0) })
        let success = Chart(
            title: "Frames with all joints within a distance, %", abscissa: "step",
            curves: validated("20 mm", "success_20mm", 0, factor: 100) + validated("40 mm", "success_40mm", 1, factor: 100)
                + validated("80 mm", "success_80mm", 2, factor: 100))
        let speed = Chart(title: "Samples a second", abscissa: "step", curves: curve("all ranks", "samples_per_second", 2))
        return [loss, error, success, speed].map { $0.html() }.joined()
    }

    private var health: String {
        let shares = Chart(
            title: "Shares that are dead", abscissa: "step",
            curves: curve("outputs that are exactly 0", "zero_output_share", 1) + curve("units of FC1", "dead_unit_share", 0)
                + curve("pooled values cut off", "dead_pooled_share", 2))
        let norms = Chart(
            title: "Gradient norms", abscissa: "step",
            curves: curve("at the last layer", "output_gradient_norm", 0) + curve("at FC1", "hidden_gradient_norm", 1))
        let charts = shares.html() + norms.html()
        return charts.isEmpty ? "" : "<div class=\"charts\">\(charts)</div>"
    }

    // MARK: Time

    private var times: String {
        guard let step = StepTimes(metrics), step.total > 0 else { return "" }
        let known = step.parts.reduce(0) { $0 + $1.milliseconds }
        let parts = step.parts.map { ($0.name, $0.milliseconds) } + [("the rest", max(0, step.total - known))]
        let bar = parts.enumerated().map { index, part in
            "<i class=\"c\(index % 8)\" style=\"width:\(format("%.2f", part.1 / max(step.total, known) * 100))%\" title=\"\(escape(part.0))\"></i>"
        }.joined()
        let rows =
            parts.enumerated().map { index, part in
                ["<i class=\"k c\(index % 8)\"></i>\(escape(part.0))", figure(part.1), percent(part.1 / step.total)]
            } + [["a step", figure(step.total), "100%"]]
        let chart = Chart(
            title: "Milliseconds a step", abscissa: "step",
            curves: curve("a step", "step_ms", 7)
                + StepTimes.parts.enumerated().flatMap { curve($1.name, $1.key, $0) })
        return "<p class=\"note\">Medians of the logged lines, without validations and checkpoints, on rank 0.</p><div class=\"stack\">\(bar)</div>"
            + table(["part", "ms", "share"], rows) + chart.html()
    }

    private var exchange: String {
        func median(_ name: String) -> Double? { metrics.column(name).flatMap(StepTimes.median) }
        let ranks = Int(run.starts.last?.numbers["ranks"] ?? 0)
        guard ranks != 1, let inside = median("exchange_ms"), inside > 0 || ranks > 1 else { return "" }
        var content = table(
            ["rank", "in the exchange, ms a step", "waiting for it, ms a step", "sent a step"],
            [["0", figure(inside), figure(median("exchange_wait_ms")), megabytes(median("exchange_bytes") ?? 0)]])
        content +=
            "<p class=\"note\">metrics.jsonl holds rank 0's figures\(ranks > 1 ? "; \(ranks) ranks ran" : ""). Time in the exchange runs beside "
            + "computation; waiting is the part in which no thread had anything left to compute.</p>"
        content += Chart(
            title: "Exchange, ms a step", abscissa: "step",
            curves: curve("in the exchange", "exchange_ms", 0) + curve("waiting for it", "exchange_wait_ms", 1)
        ).html()
        let kinds = Set(metrics.predicted.keys.compactMap { $0.split(separator: ".").first.map(String.init) }).sorted()
        let rows = kinds.map { kind -> [String] in
            func predicted(_ name: String) -> Double? { metrics.predicted["\(kind).\(name)"] }
            let measured = kind == metrics.exchange ? figure(median("step_ms")) : "–"
            return [
                escape(kind), figure(predicted("step_ms")), measured, figure(predicted("compute_ms")), figure(predicted("exchange_ms")),
                predicted("exchange_bytes").map(megabytes) ?? "–",
            ]
        }
        if !rows.isEmpty {
            content +=
                "<p>What the cost model expected at the start, and what was measured:</p>"
                + table(["exchange", "step, ms", "measured", "computing", "exchange", "sent"], rows)
        }
        return content
    }

    // MARK: What there is

    private var sheet: String {
        guard let bytes = run.contactSheet else { return "" }
        return "<img alt=\"Frames with predicted and true joints\" src=\"data:image/png;base64,\(base64(bytes))\">"
    }

    private var checkpoints: String {
        guard !run.checkpoints.isEmpty else { return "" }
        let pauses = Dictionary(metrics.pauses.map { ($0.step, $0) }) { $1 }
        let rows = run.checkpoints.map { checkpoint -> [String] in
            let pause = checkpoint.step.flatMap { pauses[$0] }
            return [
                escape(checkpoint.name) + (checkpoint.isBest ? " <b>best</b>" : ""),
                figure(checkpoint.score) + (checkpoint.score == nil ? "" : " mm"),
                checkpoint.problem == nil ? megabytes(Double(checkpoint.bytes)) : "–", pause.map { figure($0.milliseconds) + " ms" } ?? "–",
                escape(checkpoint.problem ?? pause?.writing ?? ""),
            ]
        }
        let all = metrics.pauses
        let note =
            all.isEmpty
            ? ""
            : "<p class=\"note\">\(all.count) written in all; training waited \(spell(seconds: all.reduce(0) { $0 + $1.milliseconds } / 1000)) for them.</p>"
        return table(["checkpoint", "joint error", "size", "training waited", "remark"], rows) + note
    }

    private var machine: String {
        run.starts.enumerated().map { index, start in
            let title = run.starts.count == 1 ? "" : "<p><b>Start \(index + 1), from step \(start.step)</b></p>"
            let lines = ["version", "time", "network", "data", "exchange"].compactMap { key in
                start.texts[key].map { [key == "time" ? "started" : key, escape($0)] }
            }
            return title + table(["", ""], lines, numeric: false) + (start.texts["places"].map { "<pre>\(escape($0))</pre>" } ?? "")
        }.joined()
    }

    private var settings: String {
        guard !run.settings.isEmpty else { return "" }
        return "<details><summary>All \(run.settings.count) settings (config.yaml)</summary>"
            + table(["setting", "value"], run.settings.map { [escape($0.name), escape($0.value)] }, numeric: false) + "</details>"
    }

    private var missing: String {
        run.missing.isEmpty ? "" : "<ul>" + run.missing.map { "<li>\(escape($0))</li>" }.joined() + "</ul>"
    }
}

extension RunRecord {
    var verdict: [String] { Verdict.sentences(self) }
}

/// RFC 4648, section 4.
func base64(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
        let count = min(3, bytes.count - start)
        var word = 0
        for index in 0..<3 { word = word << 8 | (index < count ? Int(bytes[start + index]) : 0) }
        for index in 0..<4 { text.append(index <= count ? alphabet[word >> (18 - 6 * index) & 63] : UInt8(ascii: "=")) }
    }
    return String(decoding: text, as: UTF8.self)
}
