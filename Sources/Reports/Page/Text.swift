import Telemetry

/// Text as HTML.
func escape(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "&": result += "&amp;"
        case "<": result += "&lt;"
        case ">": result += "&gt;"
        case "\"": result += "&quot;"
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result
}

/// Text as JSON within a script element, which `</` would end.
func json(_ text: String) -> String { MetricValue.text(text).json.replacing("<", with: "\\u003c") }

/// A number with up to six digits, as short as it can be: also a JSON number.
func short(_ value: Double) -> String {
    guard value.isFinite else { return "null" }
    let magnitude = abs(value)
    if magnitude < 1e6 && magnitude >= 1e-3 || value == 0 {
        var text = format(magnitude >= 1000 ? "%.1f" : magnitude >= 10 ? "%.3f" : "%.5f", value)
        while text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
        return text == "-0" ? "0" : text
    }
    if magnitude < 1e15 && value == value.rounded() { return format("%.0f", value) }
    return format("%.6g", value)
}

/// For people: four significant digits.
func figure(_ value: Double?) -> String {
    guard let value, value.isFinite else { return "–" }
    let magnitude = abs(value)
    if magnitude >= 1e7 || magnitude < 1e-3 && value != 0 { return format("%.3g", value) }
    return format(magnitude >= 100 ? "%.0f" : magnitude >= 10 ? "%.1f" : magnitude >= 1 ? "%.2f" : "%.3f", value)
}

/// A number at an axis: 20k, 3M.
func tickText(_ value: Double) -> String {
    let magnitude = abs(value)
    if magnitude >= 1e12 { return format("%.0e", value) }
    for (unit, letter) in [(1e9, "G"), (1e6, "M"), (1e4, "k")] where magnitude >= unit {
        return short(value / (letter == "k" ? 1000 : unit)) + letter
    }
    return magnitude < 1e-3 && value != 0 ? format("%.0e", value) : short(value)
}

func percent(_ share: Double?) -> String { share.map { $0.isFinite ? format("%.0f%%", $0 * 100) : "–" } ?? "–" }

func megabytes(_ bytes: Double) -> String {
    bytes >= 1e9 ? format("%.2f GB", bytes / 1e9) : bytes >= 1e6 ? format("%.1f MB", bytes / 1e6) : format("%.0f kB", bytes / 1e3)
}

func spell(seconds: Double) -> String {
    if seconds < 60 { return format("%.1f s", seconds) }
    let whole = Int(min(seconds, 1e12))
    return whole < 3600 ? "\(whole / 60) min \(whole % 60) s" : "\(whole / 3600) h \(whole % 3600 / 60) min"
}

/// A table; texts are HTML already. The first column is words, the others are numbers.
func table(_ header: [String], _ rows: [[String]], numeric: Bool = true) -> String {
    let head = header.map { "<th>\(escape($0))</th>" }.joined()
    let body = rows.map { row in "<tr>" + row.map { "<td>\($0)</td>" }.joined() + "</tr>" }.joined(separator: "\n")
    return "<div class=\"scroll\"><table\(numeric ? " class=\"n\"" : "")><thead><tr>\(head)</tr></thead>\n<tbody>\(body)</tbody></table></div>\n"
}

func section(_ title: String, _ content: String) -> String {
    content.isEmpty ? "" : "<section><h2>\(escape(title))</h2>\n\(content)</section>\n"
}
