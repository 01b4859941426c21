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

/// Appends JSON lines to a file, each in one write, so that a reader never sees half a line of a living run.
///
/// A line that cannot be written waits in memory and is written before the next one: a disk that is full for a while leaves
/// no gap.
package final class MetricsWriter {
    package struct WriteError: Error, CustomStringConvertible {
        package let description: String
    }

    /// Lines that wait at most; beyond, the oldest are lost.
    private static let mostWaiting = 100_000

    private let descriptor: Int32
    private let path: String
    private var waiting: [[UInt8]] = []

    /// Opens for appending (open O_APPEND), creates if needed; a symbolic link is not followed.
    /// - Throws: `WriteError`.
    package init(path: String) throws(WriteError) {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o666)
        guard descriptor >= 0 else { throw Self.failure(path) }
    }

    deinit { close(descriptor) }

    /// Appends one object as a line.
    /// - Throws: `WriteError` when it could not be written; it is kept then.
    package func write(_ fields: [(String, MetricValue)]) throws(WriteError) {
        if waiting.count >= Self.mostWaiting { waiting.removeFirst() }
        waiting.append(Array((MetricValue.object(fields).json + "\n").utf8))
        try flush()
    }

    /// Writes the lines that wait.
    /// - Throws: `WriteError` when some still do.
    package func flush() throws(WriteError) {
        var done = 0
        defer { waiting.removeFirst(done) }
        while done < waiting.count {
            let line = waiting[done]
            var before = stat()
            fstat(descriptor, &before)
            let written = line.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard written == line.count else {
                let failure = written < 0 ? Self.failure(path) : Self.failure(path, code: ENOSPC)
                // Half a line would stay before the whole one.
                if written > 0 { ftruncate(descriptor, before.st_size) }
                throw failure
            }
            done += 1
        }
    }

    private static func failure(_ path: String, code: Int32 = errno) -> WriteError {
        WriteError(
            description: "\(path): cannot write (\(String(cString: strerror(code)))); "
                + "hint: free space or permissions of the run directory")
    }
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
