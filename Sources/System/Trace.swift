import Synchronization

/// Spans of time of this process's threads, kept while a trace is on. Off, a place that is traced costs the look at one flag.
package enum Trace {
    package struct Span: Sendable, Equatable {
        package let name: String
        /// 0: the thread that trains; from 1: its workers; from `loader`: those that read samples.
        package let thread: Int
        /// `Stopwatch.now`.
        package let start: Double
        package let end: Double
    }

    package static let loader = 1000
    /// Spans at most; what comes after is left out.
    package static let most = 1_000_000

    private static let isRunning = Atomic<Bool>(false)
    private static let spans = Mutex<[Span]>([])
    /// What the training thread gave its workers to do.
    private static let work = Mutex<String>("work")

    package static var isOn: Bool { isRunning.load(ordering: .relaxed) }

    package static func begin() {
        spans.withLock {
            $0 = []
            $0.reserveCapacity(1 << 14)
        }
        isRunning.store(true, ordering: .relaxed)
    }

    /// Ends the trace.
    /// - Returns: the spans, in the order in which they ended.
    package static func end() -> [Span] {
        isRunning.store(false, ordering: .relaxed)
        return spans.withLock { kept in
            defer { kept = [] }
            return kept
        }
    }

    package static func add(_ name: String, thread: Int = 0, from start: Double, to end: Double) {
        let span = Span(name: name, thread: thread, start: start, end: end)
        spans.withLock { if $0.count < most { $0.append(span) } }
    }

    /// Runs `body`; a span of it, when a trace is on from its start to its end.
    package static func span<Value>(_ name: @autoclosure () -> String, thread: Int = 0, _ body: () throws -> Value) rethrows -> Value {
        guard isOn else { return try body() }
        let start = Stopwatch.now
        defer { if isOn { add(name(), thread: thread, from: start, to: Stopwatch.now) } }
        return try body()
    }

    /// The same for a layer, whose name its workers' spans have too.
    package static func layer<Value>(_ name: @autoclosure () -> String, _ body: () throws -> Value) rethrows -> Value {
        guard isOn else { return try body() }
        let label = name()
        let before = work.withLock { work in
            defer { work = label }
            return work
        }
        defer { work.withLock { $0 = before } }
        return try span(label, body)
    }

    /// A sample that a thread of the loader reads.
    package static func read<Failure: Error>(_ thread: Int, _ body: () throws(Failure) -> Void) throws(Failure) {
        guard isOn else { return try body() }
        let start = Stopwatch.now
        try body()
        if isOn { add("read sample", thread: loader + thread, from: start, to: Stopwatch.now) }
    }

    /// A worker's part of a job.
    package static func worker(_ thread: Int, _ body: () -> Void) {
        guard isOn else { return body() }
        let (name, start) = (work.withLock { $0 }, Stopwatch.now)
        body()
        if isOn { add(name, thread: thread, from: start, to: Stopwatch.now) }
    }
}
