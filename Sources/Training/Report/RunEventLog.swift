import Collectives
import Glibc
import Reports
import Telemetry

/// `events.jsonl` of a run directory: its starts with machine and version, warnings, and how it ended, each with the time of day.
///
/// It is for who looks at the run later. So a line that cannot be written is lost without a word: the run matters more.
final class RunEventLog {
    /// What is known of this start, before the run directory is this run's.
    var start: [(String, MetricValue)] = []
    private var warnings: [String] = []
    private var writer: MetricsWriter?
    private var step = 0

    /// Opens the file and writes the start, and what was warned of before.
    func begin(path: String, step: Int) {
        self.step = step
        // A link is not followed: it may lead out of the run directory.
        var status = stat()
        if lstat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG { return }
        writer = try? MetricsWriter(path: path)
        write("start", .object([("version", .text(Version.text)), ("time", .text(Self.timeOfDay()))] + start))
        for warning in warnings { write("warning", .text(warning)) }
        warnings = []
    }

    func warn(_ text: String) {
        if writer == nil { warnings.append(text) } else { write("warning", .text(text)) }
    }

    func end(_ text: String, step: Int) {
        self.step = step
        write("end", .text(text))
    }

    private func write(_ name: String, _ value: MetricValue) {
        try? writer?.write([("step", .integer(step)), ("seconds", .integer(time(nil))), (name, value)])
    }

    private static func timeOfDay() -> String {
        var (now, local) = (time(nil), tm())
        localtime_r(&now, &local)
        var buffer = [CChar](repeating: 0, count: 64)
        let length = strftime(&buffer, buffer.count, "%Y-%m-%d %H:%M:%S %z", &local)
        return String(decoding: buffer.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

extension Trainer {
    /// Notes how the run ended, and writes its page where that was asked for. A page that cannot be written fails no run.
    func tellEnd(_ text: String) {
        guard communicator.rank == 0 else { return }
        events.end(text, step: step)
        guard configuration.report else { return }
        do {
            let page = try Report.write([directory.path])
            console.line("report: \(page.path)")
        } catch {
            console.warning("\(error)")
        }
    }
}
