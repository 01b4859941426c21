package import HandData
import Telemetry

/// The share of frames whose largest joint error is at most D, over D: the field's curve.
package struct SuccessCurve: Sendable {
    package let name: String
    package let meanError: Double
    /// At D = 0, `step`, 2 `step`, ... `limit` mm.
    package let shares: [Double]

    static let step = 0.5
    static let limit = 80.0

    package init(name: String, _ errors: JointErrors) {
        self.name = name
        meanError = errors.meanError
        let sorted = errors.largest.sorted()
        var below = 0
        shares = stride(from: 0, through: Self.limit, by: Self.step).map { threshold in
            while below < sorted.count, sorted[below] <= threshold { below += 1 }
            return Double(below) / Double(max(sorted.count, 1))
        }
    }

    /// Name and mean error, as the legend has them.
    var legend: String { "\(name)  \(format("%.2f", meanError)) mm" }
}

/// Success curves as a picture: SVG for papers and pages, PNG for everything else.
package struct SuccessPlot: Sendable {
    private let curves: [SuccessCurve]

    private static let size = (width: 760, height: 520)
    /// The axes' box.
    private static let box = (left: 70, top: 24, right: 736, bottom: 460)
    /// Told apart also by those who see no red or green (Okabe and Ito's palette).
    private static let colours: [Canvas.Colour] = [
        SIMD3(213, 94, 0), SIMD3(0, 114, 178), SIMD3(0, 158, 115), SIMD3(204, 121, 167), SIMD3(86, 180, 233), SIMD3(230, 159, 0),
        SIMD3(90, 90, 90),
    ]
    private static let horizontal = "largest joint error of a frame at most, mm"
    private static let vertical = "share of frames"

    package init(curves: [SuccessCurve]) { self.curves = curves }

    /// Writes `path` as SVG and as PNG, whatever its ending is of the two.
    /// - Returns: the files.
    /// - Throws: `DataError`.
    package func write(to path: String) throws(DataError) -> [String] {
        let isEnding = path.hasSuffix(".svg") || path.hasSuffix(".png")
        let stem = isEnding ? String(path.dropLast(4)) : path
        try TextFile.write(svg, to: "\(stem).svg")
        try canvas.write(to: "\(stem).png")
        return ["\(stem).svg", "\(stem).png"]
    }

    private func x(_ threshold: Double) -> Double {
        Double(Self.box.left) + threshold / SuccessCurve.limit * Double(Self.box.right - Self.box.left)
    }

    private func y(_ share: Double) -> Double { Double(Self.box.bottom) - share * Double(Self.box.bottom - Self.box.top) }

    private func points(_ curve: SuccessCurve) -> [SIMD2<Double>] {
        curve.shares.enumerated().map { SIMD2(x(Double($0) * SuccessCurve.step), y($1)) }
    }

    private static func colour(_ index: Int) -> Canvas.Colour { colours[index % colours.count] }

    /// Rows of the legend from the box's lower right corner upwards, the first curve on top.
    private func legendY(_ index: Int) -> Int { Self.box.bottom - 20 - (curves.count - 1 - index) * 18 }

    // MARK: SVG

    private var svg: String {
        let (size, box) = (Self.size, Self.box)
        var lines = [
            #"<svg xmlns="http://www.w3.org/2000/svg" width="\#(size.width)" height="\#(size.height)" "#
                + #"viewBox="0 0 \#(size.width) \#(size.height)" font-family="sans-serif" font-size="13">"#,
            #"<rect width="100%" height="100%" fill="white"/>"#,
        ]
        for tick in stride(from: 0, through: 80, by: 10) {
            let at = format("%.1f", x(Double(tick)))
            lines.append(#"<path d="M\#(at) \#(box.top)V\#(box.bottom)" stroke="gainsboro"/>"#)
            lines.append(#"<text x="\#(at)" y="\#(box.bottom + 18)" text-anchor="middle">\#(tick)</text>"#)
        }
        for tick in 0...5 {
            let at = format("%.1f", y(Double(tick) / 5))
            lines.append(#"<path d="M\#(box.left) \#(at)H\#(box.right)" stroke="gainsboro"/>"#)
            lines.append(#"<text x="\#(box.left - 8)" y="\#(at)" dy="4" text-anchor="end">\#(format("%.1f", Double(tick) / 5))</text>"#)
        }
        lines.append(
            #"<path d="M\#(box.left) \#(box.top)H\#(box.right)V\#(box.bottom)H\#(box.left)Z" fill="none" stroke="black"/>"#)
        for (index, curve) in curves.enumerated() {
            let path = points(curve).map { format("%.1f", $0.x) + " " + format("%.1f", $0.y) }.joined(separator: "L")
            lines.append(#"<path d="M\#(path)" fill="none" stroke="\#(Self.hex(index))" stroke-width="\#(index == 0 ? 2.5 : 1.5)"/>"#)
        }
        for (index, curve) in curves.enumerated() {
            lines.append(
                #"<text x="\#(box.right - 10)" y="\#(legendY(index))" dy="5" text-anchor="end" fill="\#(Self.hex(index))">"#
                    + Self.escaped(curve.legend) + "</text>")
        }
        lines.append(#"<text x="\#((box.left + box.right) / 2)" y="\#(box.bottom + 42)" text-anchor="middle">\#(Self.horizontal)</text>"#)
        lines.append(
            #"<text transform="translate(22 \#((box.top + box.bottom) / 2)) rotate(-90)" text-anchor="middle">\#(Self.vertical)</text>"#)
        return (lines + ["</svg>", ""]).joined(separator: "\n")
    }

    private static func hex(_ index: Int) -> String {
        let colour = colour(index)
        return "#" + (0..<3).map { (colour[$0] < 16 ? "0" : "") + String(colour[$0], radix: 16) }.joined()
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    }

    // MARK: PNG

    private var canvas: Canvas {
        let box = Self.box
        let (black, grey) = (Canvas.Colour(0, 0, 0), Canvas.Colour(221, 221, 221))
        var canvas = Canvas(width: Self.size.width, height: Self.size.height, background: SIMD3(255, 255, 255))
        func point(_ x: Int, _ y: Int) -> SIMD2<Double> { SIMD2(Double(x), Double(y)) }
        for tick in stride(from: 0, through: 80, by: 10) {
            let at = Int(x(Double(tick)).rounded())
            canvas.line(point(at, box.top), point(at, box.bottom), width: 1, grey)
            canvas.text("\(tick)", x: at - Canvas.width(of: "\(tick)", scale: 2) / 2, y: box.bottom + 8, scale: 2, black)
        }
        for tick in 0...5 {
            let (at, text) = (Int(y(Double(tick) / 5).rounded()), format("%.1f", Double(tick) / 5))
            canvas.line(point(box.left, at), point(box.right, at), width: 1, grey)
            canvas.text(text, x: box.left - 8 - Canvas.width(of: text, scale: 2), y: at - 7, scale: 2, black)
        }
        let corners = [point(box.left, box.top), point(box.right, box.top), point(box.right, box.bottom), point(box.left, box.bottom)]
        for corner in 0..<4 { canvas.line(corners[corner], corners[(corner + 1) % 4], width: 1, black) }
        for (index, curve) in curves.enumerated().reversed() {
            let points = points(curve)
            for (start, end) in zip(points, points.dropFirst()) {
                canvas.line(start, end, width: index == 0 ? 2.5 : 1.5, Self.colour(index))
            }
        }
        let scale = curves.allSatisfy { Canvas.width(of: $0.legend, scale: 2) < (box.right - box.left) * 2 / 3 } ? 2 : 1
        for (index, curve) in curves.enumerated() {
            let x = max(box.left + 4, box.right - 10 - Canvas.width(of: curve.legend, scale: scale))
            canvas.text(curve.legend, x: x, y: legendY(index) - 4 * (scale - 1), scale: scale, Self.colour(index))
        }
        canvas.text(Self.vertical, x: box.left, y: 4, scale: 2, black)
        let middle = (box.left + box.right - Canvas.width(of: Self.horizontal, scale: 2)) / 2
        canvas.text(Self.horizontal, x: middle, y: box.bottom + 36, scale: 2, black)
        return canvas
    }
}
