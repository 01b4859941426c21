import Glibc
import Telemetry

/// A curve of a chart.
struct Curve {
    let name: String
    let x: [Double]
    let y: [Double]
    /// The number of its colour.
    let color: Int
    /// Points that are few are marked.
    var isMarked = false
}

/// Curves over one abscissa, as a picture in SVG that needs no script; a script adds the values under the pointer.
///
/// The picture stretches to any width. Its labels are text of the page, so they keep their size on a phone.
struct Chart {
    let title: String
    let abscissa: String
    let curves: [Curve]
    /// A level to compare with.
    var level: (name: String, value: Double)?
    /// Below the picture.
    var note: String?
    /// Most points of a curve are four times this.
    var buckets = 240

    private static let height = 300.0

    /// HTML; empty where no curve has a finite point.
    func html() -> String {
        let drawn = curves.compactMap { curve -> Curve? in
            let kept = Decimation.indices(x: curve.x, y: curve.y, buckets: buckets)
            guard !kept.isEmpty else { return nil }
            return Curve(
                name: curve.name, x: kept.map { curve.x[$0] }, y: kept.map { curve.y[$0] }, color: curve.color, isMarked: curve.isMarked)
        }
        guard !drawn.isEmpty else { return "" }
        let xAxis = Axis(values: drawn.flatMap(\.x), mayBeLogarithmic: false)
        let yAxis = Axis(values: drawn.flatMap(\.y) + (level.map { [$0.value] } ?? []), mayBeLogarithmic: true)
        let legend =
            drawn.map { "<span><i class=\"k c\($0.color % 8)\"></i>\(escape($0.name))</span>" }.joined()
            + (level.map { "<span><i class=\"k level\"></i>\(escape($0.name))</span>" } ?? "")
        var svg = ""
        for tick in yAxis.ticks { svg += "<path class=\"grid\" d=\"M0 \(y(tick, yAxis))H1000\"/>" }
        if let level { svg += "<path class=\"level\" d=\"M0 \(y(level.value, yAxis))H1000\"/>" }
        for curve in drawn {
            if curve.x.count > 1 {
                let points = zip(curve.x, curve.y).map { "\(x($0, xAxis)) \(y($1, yAxis))" }.joined(separator: "L")
                svg += "<path class=\"line s\(curve.color % 8)\(curve.color >= 8 ? " dash" : "")\" d=\"M\(points)\"/>"
            }
            guard curve.x.count == 1 || curve.isMarked && curve.x.count <= 60 else { continue }
            for (a, b) in zip(curve.x, curve.y) { svg += "<path class=\"dot s\(curve.color % 8)\" d=\"M\(x(a, xAxis)) \(y(b, yAxis))h0\"/>" }
        }
        let yLabels = yAxis.ticks.map { "<b style=\"top:\(percent(1 - yAxis.place($0)))\">\(tickText($0))</b>" }.joined()
        let xLabels = xAxis.ticks.map { "<b style=\"left:\(percent(xAxis.place($0)))\">\(tickText($0))</b>" }.joined()
        let data = drawn.map { curve in
            "{\"n\":\(json(curve.name)),\"c\":\(curve.color % 8),\"x\":[\(curve.x.map(short).joined(separator: ","))],"
                + "\"y\":[\(curve.y.map(short).joined(separator: ","))]}"
        }.joined(separator: ",")
        return """
            <figure class="chart"><figcaption>\(escape(title))\(yAxis.isLogarithmic ? " <small>(logarithmic)</small>" : "")</figcaption>
            <div class="legend">\(legend)</div>
            <div class="plot"><div class="ys">\(yLabels)</div><div class="area">\
            <svg viewBox="0 0 1000 300" preserveAspectRatio="none" role="img" aria-label="\(escape(title)) over \(escape(abscissa))">\(svg)</svg>\
            <div class="cursor"></div><div class="tip"></div></div><div class="xs">\(xLabels)</div></div>
            <div class="abscissa">\(escape(abscissa))</div>\(note.map { "<p class=\"note\">\(escape($0))</p>" } ?? "")
            <script type="application/json">{"a":\(json(abscissa)),"lo":\(short(xAxis.low)),"hi":\(short(xAxis.high)),"s":[\(data)]}</script></figure>

            """
    }

    private func x(_ value: Double, _ axis: Axis) -> String { format("%.1f", axis.place(value) * 1000) }
    private func y(_ value: Double, _ axis: Axis) -> String { format("%.1f", (1 - axis.place(value)) * Self.height) }
    private func percent(_ share: Double) -> String { format("%.2f", share * 100) + "%" }
}

/// The range of a chart's axis and the numbers that stand at it.
struct Axis {
    let low: Double
    let high: Double
    let isLogarithmic: Bool
    let ticks: [Double]

    /// - Parameter mayBeLogarithmic: positive values of which the greatest is more than 50 times the least are told apart best so.
    init(values: [Double], mayBeLogarithmic: Bool) {
        var (low, high) = (values.min() ?? 0, values.max() ?? 1)
        let logarithmic = mayBeLogarithmic && low > 0 && high / low > 50
        if low == 0 && high == 0 { high = 1 }
        if !(high > low) { (low, high) = (low - max(abs(low) * 0.1, 1e-9), high + max(abs(high) * 0.1, 1e-9)) }
        if logarithmic {
            (self.low, self.high) = (log10(low), log10(high) + 0.02)
            let decades = Int(self.low.rounded(.down))...Int(self.high.rounded(.up))
            let factors: [Double] = decades.count > 4 ? [1] : decades.count > 2 ? [1, 3] : [1, 2, 5]
            ticks = decades.flatMap { decade in factors.map { $0 * pow(10, Double(decade)) } }.filter {
                log10($0) >= log10(low) && log10($0) <= log10(high)
            }
        } else {
            let step = Self.step(high - low)
            if mayBeLogarithmic {
                low = (low / step).rounded(.down) * step
                high = (high / step).rounded(.up) * step
            }
            (self.low, self.high) = (low, high)
            let range = Int((low / step).rounded(.up))...max(Int((low / step).rounded(.up)), Int((high / step).rounded(.down)))
            ticks = range.map { Double($0) * step }
        }
        isLogarithmic = logarithmic
    }

    /// Where a value stands, from 0 to 1.
    func place(_ value: Double) -> Double { ((isLogarithmic ? log10(value) : value) - low) / (high - low) }

    /// 1, 2 or 5 times a power of ten, so that about four of them fill the range.
    private static func step(_ range: Double) -> Double {
        let raw = range / 4
        let power = pow(10, log10(raw).rounded(.down))
        let factor = raw / power
        return (factor < 1.5 ? 1 : factor < 3.5 ? 2 : factor < 7.5 ? 5 : 10) * power
    }
}
