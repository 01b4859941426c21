import Glibc

/// A value of a metrics line.
package enum MetricValue: Sendable, Equatable {
    case integer(Int)
    case number(Double)
    case text(String)
    case object([(String, MetricValue)])

    package static func == (left: MetricValue, right: MetricValue) -> Bool { left.json == right.json }

    /// Its JSON; a number that JSON cannot hold (NaN, infinity) becomes null.
    package var json: String {
        switch self {
        case .integer(let value): return String(value)
        case .number(let value): return value.isFinite ? Self.rounded(value) : "null"
        case .text(let value): return Self.quoted(value)
        case .object(let fields):
            return "{" + fields.map { "\(Self.quoted($0.0)):\($0.1.json)" }.joined(separator: ",") + "}"
        }
    }

    /// Nine significant digits tell any two floats apart.
    private static func rounded(_ value: Double) -> String { format("%.9g", value) }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20: result += format("\\u%04x", Int(scalar.value))
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

/// Appends JSON lines to a file (`AppendingFile`).
package final class MetricsWriter {
    package struct WriteError: Error, CustomStringConvertible {
        package let description: String
    }

    private let file: AppendingFile

    /// - Throws: `WriteError`.
    package init(path: String) throws(WriteError) { file = try AppendingFile(path: path) }

    /// Appends one object as a line.
    /// - Throws: `WriteError` when it could not be written; it is kept then.
    package func write(_ fields: [(String, MetricValue)]) throws(WriteError) {
        try file.append(Array((MetricValue.object(fields).json + "\n").utf8))
    }

    /// Writes the lines that wait.
    /// - Throws: `WriteError` when some still do.
    package func flush() throws(WriteError) { try file.flush() }
}

/// printf's formatting for one number (snprintf). What is not a number has no sign: `nan`, never `-nan`.
package func format(_ pattern: String, _ value: any CVarArg) -> String {
    let isNotNumber = (value as? Double)?.isNaN ?? false
    return withVaList([isNotNumber ? Double.nan : value]) { arguments in
        var buffer = [CChar](repeating: 0, count: 64)
        let length = vsnprintf(&buffer, buffer.count, pattern, arguments)
        return String(decoding: buffer.prefix(max(0, min(Int(length), 63))).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
