import Testing

/// A terminal's screen: what stays on it of what a program wrote, as a VT100 shows it. A line that is too long wraps.
struct Screen {
    let columns: Int
    private(set) var lines: [[Character]] = [[]]
    private var (row, column) = (0, 0)
    /// Lines that were wrapped.
    private(set) var wraps = 0

    init(columns: Int) { self.columns = columns }

    var texts: [String] { lines.map { String($0) } }

    mutating func show(_ text: String) {
        // Carriage return and line feed are one Character of Swift's, so scalars are taken.
        var rest = text.unicodeScalars[...]
        while let next = rest.popFirst() {
            switch next {
            case "\r": column = 0
            case "\n": down()
            case "\u{1B}":
                rest = rest.dropFirst()
                let number = Int(String(String.UnicodeScalarView(rest.prefix { ("0"..."9").contains($0) })))
                rest = rest.drop { ("0"..."9").contains($0) }
                control(rest.popFirst() ?? " ", number)
            default:
                if column == columns {
                    wraps += 1
                    column = 0
                    down()
                }
                while lines[row].count <= column { lines[row].append(" ") }
                lines[row][column] = Character(next)
                column += 1
            }
        }
    }

    private mutating func down() {
        row += 1
        if row == lines.count { lines.append([]) }
    }

    private mutating func control(_ kind: Unicode.Scalar, _ number: Int?) {
        switch kind {
        case "A": row = max(0, row - (number ?? 1))
        case "J":
            lines[row] = Array(lines[row].prefix(column))
            lines.removeLast(lines.count - row - 1)
        default: Issue.record("unknown control sequence \(kind)")
        }
    }
}
