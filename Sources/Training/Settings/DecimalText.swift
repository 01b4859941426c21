/// Ways to write a number that read back as the same bits. The texts are those of `Double.description`: shortest digits.
package enum DecimalText {
    /// A number to every reader of YAML 1.1 and 1.2: `1e-05` is a text to some, `1.0e-5` is not.
    package static func portable(_ text: String) -> String { small(text, wholeDigit: ".0") }

    /// As people write it: `1e-4`, `0.5`, `10`.
    package static func short(_ text: String) -> String {
        text.hasSuffix(".0") ? String(text.dropLast(2)) : small(text, wholeDigit: "")
    }

    /// Numbers below 0.01 and those with an exponent as one digit, a fraction and an exponent; others as they are.
    private static func small(_ text: String, wholeDigit: String) -> String {
        guard let value = Double(text), value.isFinite, value != 0, abs(value) < 0.01 || text.contains("e") else { return text }
        let halves = text.split(separator: "e", omittingEmptySubsequences: false)
        let digits = halves[0].drop { $0 == "-" }
        let places = digits.split(separator: ".", omittingEmptySubsequences: false)
        var exponent = (halves.count > 1 ? Int(halves[1]) ?? 0 : 0) + places[0].count - 1
        var significant = digits.filter { $0 != "." }.drop { character in
            guard character == "0" else { return false }
            return true
        }
        exponent -= digits.filter { $0 != "." }.count - significant.count
        while significant.count > 1, significant.last == "0" { significant = significant.dropLast() }
        let fraction = significant.dropFirst()
        return (value < 0 ? "-" : "") + "\(significant.prefix(1))" + (fraction.isEmpty ? wholeDigit : ".\(fraction)")
            + "e\(exponent < 0 ? "" : "+")\(exponent)"
    }
}
