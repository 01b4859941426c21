import Telemetry

/// A traced step as a picture: a row a thread, time to the right, what is within a span below it.
struct TraceChart {
    let trace: StepTrace

    private static let level = 14

    /// What a span is about, in the order of the legend; the number is that of its colour.
    private static let kinds = ["forward", "backward", "update", "exchange", "waiting", "reading samples", "other"]
    private static let colors = [0, 1, 2, 3, 4, 5, 7]

    private static func kind(_ name: String) -> Int {
        for (prefix, kind) in [("forward", 0), ("backward", 1), ("update", 2), ("exchange", 3), ("wait", 4), ("read ", 5)]
        where name.hasPrefix(prefix) {
            return kind
        }
        return name == "finish update" ? 2 : 6
    }

    func html() -> String {
        guard trace.length > 0 else { return "" }
        let axis = Axis(values: [0, trace.length], mayBeLogarithmic: false)
        let shown = Set(trace.tracks.flatMap { $0.spans.map { Self.kind($0.name) } })
        let legend = shown.sorted().map { "<span><i class=\"k c\(Self.colors[$0])\"></i>\(Self.kinds[$0])</span>" }.joined()
        var rows = ""
        for rank in Set(trace.tracks.map(\.rank)).sorted() {
            rows += "<div class=\"rank\">\(escape(trace.ranks[rank] ?? "rank \(rank)"))</div>"
            for track in trace.tracks where track.rank == rank { rows += row(track) }
        }
        let labels = axis.ticks.map { "<b style=\"left:\(format("%.2f", axis.place($0) * 100))%\">\(tickText($0))</b>" }.joined()
        var left = trace.leftOutSpans > 0 ? " \(trace.leftOutSpans) of the shortest spans are left out." : ""
        if trace.leftOutRanks > 0 { left += " \(trace.leftOutRanks) more ranks are in the file." }
        return """
            <figure class="trace"><figcaption>Step \(trace.step), \(figure(trace.length)) ms</figcaption><div class="legend">\(legend)</div>
            \(rows)<div class="axis"><div class="xs">\(labels)</div></div><div class="abscissa">ms since the step began on rank 0</div>
            <p class="note">The step of median length of the \(trace.steps) that trace.json has; that file opens in ui.perfetto.dev. What a span
            contains is drawn below it; workers have the name of the layer whose work they do.\(left)</p></figure>\(times)

            """
    }

    private func row(_ track: StepTrace.Track) -> String {
        let depth = (track.spans.map(\.depth).max() ?? 0) + 1
        let height = depth * Self.level
        var svg = ""
        for span in track.spans {
            let (x, width) = (span.start / trace.length * 1000, (span.end - span.start) / trace.length * 1000)
            svg += "<rect class=\"f\(Self.colors[Self.kind(span.name)])\" x=\"\(format("%.2f", x))\" width=\"\(format("%.2f", width))\""
            svg +=
                " y=\"\(span.depth * Self.level)\" height=\"\(Self.level - 1)\"><title>\(escape(span.name)): \(figure(span.end - span.start)) ms</title></rect>"
        }
        return "<div class=\"track\"><span>\(escape(track.name))</span><svg viewBox=\"0 0 1000 \(height)\" preserveAspectRatio=\"none\" "
            + "style=\"height:\(height)px\" role=\"img\" aria-label=\"\(escape(track.name))\">\(svg)</svg></div>"
    }

    /// Where rank 0's training thread spent the step, by layer and part: what a hand without a pointer cannot read off the picture.
    private var times: String {
        guard let training = trace.tracks.first(where: { $0.rank == 0 && $0.thread == 0 }) else { return "" }
        var sums: [(name: String, seconds: Double)] = []
        for span in training.spans where span.depth > 0 {
            if let known = sums.firstIndex(where: { $0.name == span.name }) {
                sums[known].seconds += span.end - span.start
            } else {
                sums.append((span.name, span.end - span.start))
            }
        }
        let longest = sums.sorted { $0.seconds > $1.seconds }.prefix(20)
        let rows = longest.map { [escape($0.name), figure($0.seconds), percent($0.seconds / trace.length)] }
        return "<details><summary>The longest of rank 0's training thread; some are within others</summary>"
            + table(["span", "ms", "share of the step"], rows) + "</details>"
    }
}
