import Telemetry

/// The page that compares several runs.
struct ComparisonPage {
    let runs: [RunRecord]

    func html() -> String {
        let title = "\(runs.count) runs compared"
        let body =
            "<header><h1>\(title)</h1><div class=\"sub\">\(escape(runs.map(\.path).joined(separator: " · ")))</div></header>\n"
            + "<p class=\"verdict\">\(verdict.map(escape).joined(separator: " "))</p>\n"
            + section("Results", results) + section("Curves", "<div class=\"charts\">\(curves)</div>")
            + section("Settings that differ", settings) + section("Where a step's time goes", times)
            + section("Warnings", findings) + section("What this page lacks", missing)
        return Page.html(title: "dtrain: \(title)", body: body)
    }

    private func best(_ run: RunRecord) -> (error: Double, step: Int)? {
        run.metrics.validations.compactMap { validation in validation.jointError.map { ($0, validation.step) } }.min { $0.0 < $1.0 }
    }

    private var verdict: [String] {
        let scored = runs.compactMap { run in best(run).map { (run, $0) } }.sorted { $0.1.error < $1.1.error }
        guard let first = scored.first else { return ["None of the runs was validated yet.", "The curves of the training batches are below."] }
        var sentences = ["\(first.0.name) has the lowest validation error, \(format("%.2f", first.1.error)) mm at step \(first.1.step)"]
        if scored.count > 1 { sentences[0] += ", before \(scored[1].0.name) with \(format("%.2f", scored[1].1.error)) mm" }
        sentences[0] += "."
        let frames = Set(scored.compactMap { $0.0.metrics.validations.last?.frames })
        let speeds = runs.compactMap { run in run.metrics.column("samples_per_second").flatMap(StepTimes.median).map { (run.name, $0) } }
        let last = scored.compactMap { $0.0.metrics.validations.last }
        let splits = Set(last.compactMap(\.split))
        // Whole frames use as little of the truth as centres of mass do.
        let centres = Set(last.compactMap { $0.centre == "none" ? "com" : $0.centre })
        if splits.count > 1 || centres.count > 1 {
            sentences.append("They were validated on different splits, or with different centres, so their errors are not comparable.")
        } else if frames.count > 1 {
            sentences.append("They were validated on different numbers of frames, so their errors are not quite comparable.")
        } else if let fastest = speeds.max(by: { $0.1 < $1.1 }) {
            sentences.append("\(fastest.0) is the fastest, with \(figure(fastest.1)) samples a second.")
        }
        return sentences
    }

    private var results: String {
        table(
            [
                "run", "state", "steps", "validated on", "joint error, best", "last", "within 40 mm", "training loss", "ms a step", "samples/s",
                "seconds",
            ],
            runs.enumerated().map { index, run in
                let last = run.metrics.validations.last
                return [
                    "<i class=\"k c\(index % 8)\"></i>\(escape(run.name))", run.isHeld ? "running" : escape(run.ending ?? "–"),
                    "\(run.metrics.lastStep)\(run.totalSteps.map { " of \($0)" } ?? "")",
                    last.map { escape("\($0.name)\($0.words)") } ?? "–",
                    best(run).map { "\(figure($0.error)) mm (step \($0.step))" } ?? "–", figure(last?.jointError),
                    percent(last?.values["success_40mm"]), figure(run.metrics.last("loss")), figure(StepTimes(run.metrics)?.total),
                    figure(run.metrics.column("samples_per_second").flatMap(StepTimes.median)), figure(run.metrics.seconds.last),
                ]
            })
    }

    private var curves: String {
        // The page stays below 3 MB whatever the number of runs.
        let buckets = max(12, min(160, 2400 / runs.count))
        func validated(_ member: String, _ factor: Double, inSeconds: Bool) -> [Curve] {
            runs.enumerated().map { index, run in
                let points = run.metrics.validations.filter { $0.values[member] != nil }
                let x = points.map { inSeconds ? run.metrics.seconds(atStep: Double($0.step)) : Double($0.step) }
                return Curve(name: run.name, x: x, y: points.map { $0.values[member]! * factor }, color: index, isMarked: true)
            }
        }
        func trained(_ column: String, inSeconds: Bool) -> [Curve] {
            runs.enumerated().compactMap { index, run in
                run.metrics.column(column).map {
                    Curve(name: run.name, x: inSeconds ? run.metrics.seconds : run.metrics.steps, y: $0, color: index)
                }
            }
        }
        let seconds = "seconds of training steps"
        return [
            Chart(title: "Validation joint error, mm", abscissa: "step", curves: validated("joint_error_mm", 1, inSeconds: false)),
            Chart(title: "Validation joint error, mm", abscissa: seconds, curves: validated("joint_error_mm", 1, inSeconds: true)),
            Chart(title: "Training loss", abscissa: "step", curves: trained("loss", inSeconds: false)),
            Chart(title: "Training loss", abscissa: seconds, curves: trained("loss", inSeconds: true)),
            Chart(title: "All joints within 40 mm, % of frames", abscissa: "step", curves: validated("success_40mm", 100, inSeconds: false)),
            Chart(title: "Samples a second", abscissa: "step", curves: trained("samples_per_second", inSeconds: false)),
        ].map { chart in
            var thinned = chart
            thinned.buckets = buckets
            return thinned.html()
        }.joined()
    }

    private var settings: String {
        var names: [String] = []
        for run in runs { for setting in run.settings where !names.contains(setting.name) { names.append(setting.name) } }
        let own = ["run-dir", "resume", "allow-change", "report"]
        let rows = names.filter { !own.contains($0) }.compactMap { name -> [String]? in
            let values = runs.map { $0.setting(name) ?? "–" }
            return Set(values).count > 1 ? [escape(name)] + values.map(escape) : nil
        }
        guard !rows.isEmpty else { return "<p>None.</p>" }
        return table(["setting"] + runs.map(\.name), rows, numeric: false)
    }

    private var times: String {
        let all = runs.map { StepTimes($0.metrics) }
        let rows =
            StepTimes.parts.map { part in
                [escape(part.name)] + all.map { times in figure(times?.parts.first { $0.key == part.key }?.milliseconds) }
            } + [["a step"] + all.map { figure($0?.total) }]
        return table(["ms a step, median"] + runs.map(\.name), rows)
    }

    private var findings: String {
        runs.flatMap { run in
            Finding.of(run).map { finding in
                "<div class=\"finding\(finding.isBad ? " bad" : "")\"><b>\(escape(run.name)):</b> \(escape(finding.text))"
                    + (finding.cure.map { "<em>Cure: \(escape($0))</em>" } ?? "") + "</div>\n"
            }
        }.joined()
    }

    private var missing: String {
        let lines = runs.flatMap { run in run.missing.map { "<li>\(escape(run.name)): \(escape($0))</li>" } }
        return lines.isEmpty ? "" : "<ul>\(lines.joined())</ul>"
    }
}
