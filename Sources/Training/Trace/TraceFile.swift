import Checkpoints
import Collectives
import System
import Telemetry

/// Spans of all ranks as one file of Chrome's Trace Event Format, which ui.perfetto.dev and chrome://tracing open: a process a rank, a
/// track a thread, microseconds since the first traced step began on rank 0.
enum TraceFile {
    /// This rank's events, each on a line of its own that begins with the comma of the line before.
    static func events(_ spans: [Trace.Span], rank: Int, host: String, clock: TraceClock) -> String {
        var text = meta("process_name", "rank \(rank) on \(host)", rank, nil)
        for thread in Set(spans.map(\.thread)).union([0]).sorted() {
            let name = thread == 0 ? "training" : thread >= Trace.loader ? "loader \(thread - Trace.loader + 1)" : "worker \(thread)"
            text += meta("thread_name", name, rank, thread)
        }
        for span in spans {
            let (start, end) = (clock.time(span.start) * 1e6, clock.time(span.end) * 1e6)
            text += ",\n{\"name\":\(MetricValue.text(span.name).json),\"ph\":\"X\",\"ts\":\(format("%.3f", start))"
            text += ",\"dur\":\(format("%.3f", max(0, end - start))),\"pid\":\(rank),\"tid\":\(span.thread)}"
        }
        return text
    }

    private static func meta(_ kind: String, _ name: String, _ rank: Int, _ thread: Int?) -> String {
        ",\n{\"name\":\"\(kind)\",\"ph\":\"M\",\"pid\":\(rank)" + (thread.map { ",\"tid\":\($0)" } ?? "")
            + ",\"args\":{\"name\":\(MetricValue.text(name).json)}}"
    }

    static func document(_ events: [String]) -> String {
        "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[" + events.joined().dropFirst() + "\n]}\n"
    }
}

/// Turns readings of this rank's `Stopwatch` into seconds since the first traced step began on rank 0.
package struct TraceClock: Equatable {
    /// This rank's reading at time 0.
    package let origin: Double
    /// What this rank's clock shows beyond rank 0's, at the start of the trace.
    package let offset: Double
    /// Seconds a second that it runs ahead.
    package private(set) var drift = 0.0

    package init(origin: Double, offset: Double) {
        self.origin = origin
        self.offset = offset
    }

    package func time(_ reading: Double) -> Double { (reading - origin) * (1 - drift) }

    /// Learns how fast the clock runs, from its offset at the trace's end.
    package mutating func end(offset later: Double, at reading: Double) {
        let passed = reading - origin
        // Over less than a second the error of a measured offset would be taken for drift.
        if passed >= 1 { drift = (later - offset) / passed }
    }
}

/// Which steps are traced, and since when.
struct TraceRun {
    let steps: ClosedRange<Int>
    /// Nil: not begun.
    var clock: TraceClock?
}

extension Trainer {
    /// Begins the trace before its first step; all ranks call.
    func beginTrace() throws {
        guard let trace, trace.clock == nil, step + 1 == trace.steps.lowerBound else { return }
        let offset = try communicator.clockOffset()
        var start = [Stopwatch.now]
        try start.withUnsafeMutableBytes { try communicator.broadcast($0, from: 0) }
        self.trace?.clock = TraceClock(origin: start[0] + offset, offset: offset)
        Trace.begin()
    }

    /// Writes the trace after its last step, or when the run ends before; all ranks call. A disk that is full fails no run.
    func endTrace(isLast: Bool = false) throws {
        guard let trace, var clock = trace.clock, isLast || step >= trace.steps.upperBound else { return }
        self.trace = nil
        let spans = Trace.end()
        clock.end(offset: try communicator.clockOffset(), at: Stopwatch.now)
        let events = TraceFile.events(spans, rank: communicator.rank, host: communicator.place.host, clock: clock)
        let isFull = try communicator.maximum(spans.count < Trace.most ? 0 : 1) > 0
        guard let all = try communicator.gather(Array(events.utf8), to: 0) else { return }
        let path = "\(directory.path)/trace.json"
        do {
            try AtomicFile.write(path, Array(TraceFile.document(all.map { String(decoding: $0, as: UTF8.self) }).utf8))
            console.line("trace of steps \(trace.steps.lowerBound) to \(step): \(path), for ui.perfetto.dev")
        } catch {
            console.warning("\(error)")
        }
        if isFull { console.warning("the trace is not whole: a rank had more than \(Trace.most) spans; hint: trace fewer steps") }
    }
}
