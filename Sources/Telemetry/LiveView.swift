import Glibc

/// What is shown of a training on a terminal, as it goes on.
package struct LiveFigures {
    /// In words, the first three matter most.
    package var parts: [String]
    /// From 0 to 1.
    package var progress: Double?
    package var losses: [Double] = []
    /// Held-out joint errors, mm.
    package var errors: [Double] = []
    /// Where a step's time goes, ms.
    package var split: [(name: String, milliseconds: Double)] = []
    package var warning: String?

    package init(parts: [String]) { self.parts = parts }
}

/// The compact view: a bar, curves as one line of text, the parts of a step, the last warning. Without colours.
package enum LiveView {
    /// Below this many columns only the first line is shown.
    package static let leastColumns = 40

    /// Lines of less than `columns` characters: one that reaches the last column would wrap on some terminals.
    /// - Parameter isPlain: ASCII alone.
    package static func lines(_ figures: LiveFigures, columns: Int, isPlain: Bool) -> [String] {
        let most = max(1, columns - 1)
        let first = fitted(Console.fit(figures.parts.map { clean($0, isPlain: isPlain) }, columns: most), columns: most, isPlain: isPlain)
        guard columns >= leastColumns else { return [first] }
        return [first, curves(figures, most, isPlain), split(figures, most)].filter { !$0.isEmpty }
            + (figures.warning.map { [fitted("warning: " + $0, columns: most, isPlain: isPlain)] } ?? [])
    }

    private static func curves(_ figures: LiveFigures, _ most: Int, _ isPlain: Bool) -> String {
        var pieces: [String] = []
        if let progress = figures.progress {
            let share = min(1, max(0, progress.isFinite ? progress : 0))
            let width = max(8, most / 5)
            let done = Int((share * Double(width)).rounded(.down))
            let bar = String(repeating: isPlain ? "#" : "█", count: done) + String(repeating: isPlain ? "." : "░", count: width - done)
            pieces.append("[\(bar)] \(Int((share * 100).rounded(.down)))%")
        }
        let left = most - (pieces.first?.count ?? 0)
        let error = figures.errors.last.map { format(" %.1f mm", $0) } ?? ""
        // Both curves share what is left, after their words.
        let room = left - "  loss ".count - (figures.errors.isEmpty ? 0 : "  held-out ".count + error.count)
        let width = min(40, figures.errors.isEmpty ? room : room / 2)
        if width >= 4, !figures.losses.isEmpty { pieces.append("loss " + spark(figures.losses, width: width, isPlain: isPlain)) }
        if !figures.errors.isEmpty, error.count + 12 <= left {
            pieces.append("held-out" + (width >= 4 ? " " + spark(figures.errors, width: width, isPlain: isPlain) : "") + error)
        }
        return fitted(pieces.joined(separator: "  "), columns: most, isPlain: isPlain)
    }

    private static func split(_ figures: LiveFigures, _ most: Int) -> String {
        let parts = figures.split.filter { $0.milliseconds.isFinite }
        guard !parts.isEmpty else { return "" }
        let texts = parts.map { "\($0.name) \(format($0.milliseconds < 10 ? "%.1f" : "%.0f", $0.milliseconds))" }
        var shown = texts
        while shown.count > 1, ("ms: " + shown.joined(separator: "  ")).count > most { shown.removeLast() }
        return String(("ms: " + shown.joined(separator: "  ")).prefix(most))
    }

    /// Without what would move the cursor or change colours; with `isPlain`, ASCII alone.
    package static func clean(_ text: String, isPlain: Bool) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { scalar in
                    switch scalar.properties.generalCategory {
                    case .control, .format, .lineSeparator, .paragraphSeparator: " "
                    default: isPlain && !scalar.isASCII ? "?" : scalar
                    }
                }))
    }

    /// A text in at most so many columns, cleaned; one that is cut off ends in an ellipsis.
    package static func fitted(_ text: String, columns: Int, isPlain: Bool) -> String {
        let text = clean(text, isPlain: isPlain)
        if text.reduce(0, { $0 + width($1) }) <= columns { return text }
        let end = isPlain ? "..." : "…"
        var (line, left) = ("", columns - end.count)
        for character in text {
            left -= width(character)
            if left < 0 { break }
            line.append(character)
        }
        return columns < end.count ? String(end.prefix(max(0, columns))) : line + end
    }

    /// Columns of a character: two for those of East Asia and pictures (Unicode Standard Annex 11, its wide blocks).
    private static func width(_ character: Character) -> Int {
        switch character.unicodeScalars.first?.value ?? 0 {
        case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6,
            0x1F300...0x1FAFF, 0x20000...0x3FFFD:
            2
        default: 1
        }
    }

    /// A curve as one line of text: means of equal parts, between their least and their greatest.
    package static func spark(_ values: [Double], width: Int, isPlain: Bool = false) -> String {
        let finite = values.filter(\.isFinite)
        guard !finite.isEmpty, width > 0 else { return "" }
        let count = min(width, finite.count)
        let means = (0..<count).map { part -> Double in
            let range = part * finite.count / count..<max(part * finite.count / count + 1, (part + 1) * finite.count / count)
            return finite[range].reduce(0) { $0 + $1 / Double(range.count) }
        }
        let levels = Array(isPlain ? "_.,-=+*#" : "▁▂▃▄▅▆▇█")
        let (low, high) = (means.min()!, means.max()!)
        return String(
            means.map { mean -> Character in
                guard high > low else { return levels[0] }
                return levels[min(levels.count - 1, max(0, Int((mean - low) / (high - low) * Double(levels.count))))]
            })
    }
}

/// A curve of bounded length: when it is full, neighbours become their mean.
package struct BoundedCurve {
    package private(set) var values: [Double] = []
    private var stride = 1
    private var (sum, count) = (0.0, 0)
    private let most: Int

    package init(most: Int = 512) { self.most = max(2, most) }

    package mutating func append(_ value: Double) {
        guard value.isFinite else { return }
        sum += value
        count += 1
        guard count == stride else { return }
        values.append(sum / Double(stride))
        (sum, count) = (0, 0)
        guard values.count == most else { return }
        values = Swift.stride(from: 0, to: most - 1, by: 2).map { (values[$0] + values[$0 + 1]) / 2 }
        stride *= 2
    }
}
