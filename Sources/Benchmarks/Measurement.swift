import Glibc
import System
package import Telemetry

/// Durations of repeats of one thing, seconds.
package struct Measurement: Sendable {
    /// In the order they were taken.
    package private(set) var times: [Double] = []

    package init() {}

    /// Adds the duration of one run of `body`.
    package mutating func run(_ body: () throws -> Void) rethrows {
        let start = Stopwatch.now
        try body()
        times.append(Stopwatch.now - start)
    }

    /// Adds a duration measured elsewhere.
    package mutating func add(_ seconds: Double) { times.append(seconds) }

    package var median: Double { quantile(0.5) }
    package var p90: Double { quantile(0.9) }

    /// The smallest time that at least this share of the times do not exceed; the middle of two for the median.
    private func quantile(_ share: Double) -> Double {
        guard !times.isEmpty else { return .nan }
        let sorted = times.sorted()
        if share == 0.5 && sorted.count % 2 == 0 { return (sorted[sorted.count / 2 - 1] + sorted[sorted.count / 2]) / 2 }
        return sorted[min(sorted.count - 1, Int((share * Double(sorted.count)).rounded(.up)) - 1)]
    }
}

/// A line of a benchmark's table.
package struct BenchmarkRow: Sendable {
    package let name: String
    package let seconds: Double
    /// Work done in that time, in the unit: floating-point operations, bytes, or frames.
    package let work: Double
    package let unit: Unit

    package enum Unit: String, Sendable {
        case gflops = "GFLOP/s"
        case gigabytes = "GB/s"
        case frames = "frames/s"
        case none = ""
    }

    package init(name: String, seconds: Double, work: Double, unit: Unit) {
        (self.name, self.seconds, self.work, self.unit) = (name, seconds, work, unit)
    }

    /// Work a second, in the unit; 0 where it took no time.
    package var rate: Double { seconds > 0 ? work / seconds / (unit == .frames ? 1 : 1e9) : 0 }
}

/// What a benchmark found: for people a table, for programs JSON.
package struct BenchmarkReport: Sendable {
    package var title: String
    /// Facts about machine and run, in order.
    package var facts: [(String, MetricValue)]
    package var rows: [BenchmarkRow]
    /// Lines below the table.
    package var notes: [String]

    package init(title: String, facts: [(String, MetricValue)], rows: [BenchmarkRow], notes: [String]) {
        (self.title, self.facts, self.rows, self.notes) = (title, facts, rows, notes)
    }

    /// One line of JSON: the facts, and the rows under `parts`.
    package var json: String {
        let parts: [(String, MetricValue)] = rows.map { row in
            (row.name, .object([("seconds", .number(row.seconds)), ("rate", .number(row.rate)), ("unit", .text(row.unit.rawValue))]))
        }
        return MetricValue.object(facts + [("parts", .object(parts))]).json
    }

    /// - Parameter total: seconds that shares are of; nil: no column of shares.
    package func table(total: Double?) -> [String] {
        var lines = [title]
        let width = rows.map(\.name.count).max() ?? 0
        for row in rows {
            var line =
                "  " + row.name + String(repeating: " ", count: width - row.name.count)
                + format("  %9.2f ms", row.seconds * 1000)
            if row.unit != .none { line += format("  %9.1f ", row.rate) + row.unit.rawValue }
            if let total, row.unit != .frames { line += format("  %5.1f%%", row.seconds / total * 100) }
            lines.append(line)
        }
        return lines + notes
    }
}

/// Facts of this machine and process.
package enum Machine {
    /// Peak resident memory of this process, bytes (getrusage).
    package static var peakMemory: Int { usage.ru_maxrss << 10 }
    /// Page faults that needed no disk, so far.
    package static var minorFaults: Int { usage.ru_minflt }

    private static var usage: rusage {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage
    }

    /// Refuses a debug build, whose figures mean nothing: the reason, or nil.
    package static var debugBuildProblem: String? {
        #if DEBUG
            return "this is a debug build, which measures nothing; hint: swift build -c release"
        #else
            return nil
        #endif
    }
}
