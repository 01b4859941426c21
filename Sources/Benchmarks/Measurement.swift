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
    /// Operations a second of the BLAS in the same run, which set the work's floor; nil: nothing is held against it.
    package let blasRate: Double?

    package enum Unit: String, Sendable {
        case gflops = "GFLOP/s"
        case gigabytes = "GB/s"
        case frames = "frames/s"
        case none = ""
    }

    package init(name: String, seconds: Double, work: Double, unit: Unit, blasRate: Double? = nil) {
        self.name = name
        self.seconds = seconds
        self.work = work
        self.unit = unit
        self.blasRate = blasRate
    }

    /// Work a second, in the unit; 0 where it took no time.
    package var rate: Double { seconds > 0 ? work / seconds / (unit == .frames ? 1 : 1e9) : 0 }

    /// The time, in units of the floor: of what the operations take at the rate of the BLAS. Nil where that is not known, and of
    /// work without multiply-adds.
    package var shareOfFloor: Double? {
        guard let blasRate, unit == .gflops, work > 0 else { return nil }
        return seconds * blasRate / work
    }
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
        let parts = rows.map { row -> (String, MetricValue) in
            var fields: [(String, MetricValue)] = [
                ("seconds", .number(row.seconds)), ("rate", .number(row.rate)), ("unit", .text(row.unit.rawValue)),
            ]
            if let share = row.shareOfFloor { fields.append(("share_of_floor", .number(share))) }
            return (row.name, .object(fields))
        }
        return MetricValue.object(facts + [("parts", .object(parts))]).json
    }

    /// - Parameter total: seconds that shares are of; nil: no column of shares.
    package func table(total: Double?) -> [String] {
        let hasFloors = rows.contains { $0.blasRate != nil }
        let nameWidth = rows.map(\.name.count).max() ?? 0
        // The last column needs no padding.
        let unitWidth = total != nil || hasFloors ? rows.map(\.unit.rawValue.count).max() ?? 0 : 0
        let lines = rows.map { row -> String in
            var line = "  " + Self.padded(row.name, to: nameWidth) + format("  %9.2f ms", row.seconds * 1000)
            if row.unit != .none {
                let rate = row.work > 0 ? format("%9.1f ", row.rate) : "        - "
                line += "  " + rate + Self.padded(row.unit.rawValue, to: unitWidth)
            }
            if let total, row.unit != .frames { line += format("  %5.1f%%", row.seconds / total * 100) }
            if hasFloors { line += row.shareOfFloor.map { format("  %7.2f x floor", $0) } ?? "        -" }
            return line
        }
        return [title] + lines + notes
    }

    private static func padded(_ text: String, to width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
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
