/// One step of a run's `trace.json`: what each thread of each rank did in it.
package struct StepTrace {
    package struct Span {
        package let name: String
        /// Milliseconds since the step began on rank 0.
        package let start: Double
        package let end: Double
        /// Spans of the thread around it.
        package internal(set) var depth: Int
    }

    package struct Track {
        package let rank: Int
        package let thread: Int
        package let name: String
        package let spans: [Span]
    }

    package let step: Int
    /// How many steps the trace has.
    package let steps: Int
    /// Of rank 0, ms.
    package let length: Double
    /// By rank and thread.
    package let tracks: [Track]
    package let ranks: [Int: String]
    /// Spans and ranks that are left out, so that the page stays small: the shortest, the last.
    package let leftOutSpans: Int
    package let leftOutRanks: Int

    private static let mostRanks = 8
    private static let mostSpans = 3000

    /// Reads the step of median length. The file has an event a line, so it is read in pieces, however large it is.
    /// - Returns: nil where it cannot be read or has no whole step.
    package init?(path: String) {
        guard let chosen = Self.chooseStep(path) else { return nil }
        (step, steps, length) = (chosen.step, chosen.count, (chosen.end - chosen.start) / 1000)
        var names: [Key: String] = [:]
        var (ranks, spans, others) = ([Int: String](), [Key: [Span]](), Set<Int>())
        Self.forEachEvent(path) { event in
            guard event.rank < Self.mostRanks else {
                others.insert(event.rank)
                return
            }
            let key = Key(rank: event.rank, thread: event.thread)
            if event.kind == "M" {
                if event.name == "process_name" { ranks[event.rank] = event.label } else { names[key] = event.label }
            } else if event.start < chosen.end && event.start + event.length > chosen.start {
                // What begins before the step or ends after it is cut off.
                let start = (max(event.start, chosen.start) - chosen.start) / 1000
                let end = (min(event.start + event.length, chosen.end) - chosen.start) / 1000
                spans[key, default: []].append(Span(name: event.name, start: start, end: end, depth: 0))
            }
        }
        let all = spans.values.joined().map { $0.end - $0.start }.sorted(by: >)
        let least = all.count > Self.mostSpans ? all[Self.mostSpans - 1] : 0
        tracks = spans.keys.sorted { ($0.rank, $0.thread) < ($1.rank, $1.thread) }.map { key in
            Track(
                rank: key.rank, thread: key.thread, name: names[key] ?? "thread \(key.thread)",
                spans: Self.nested(spans[key]!.filter { $0.end - $0.start >= least }))
        }
        self.ranks = ranks
        leftOutSpans = all.count - tracks.reduce(0) { $0 + $1.spans.count }
        leftOutRanks = others.count
    }

    private struct Key: Hashable {
        let rank, thread: Int
    }

    private static func nested(_ spans: [Span]) -> [Span] {
        var (open, result): ([Double], [Span]) = ([], [])
        for var span in spans.sorted(by: { ($0.start, -$0.end) < ($1.start, -$1.end) }) {
            while let end = open.last, end <= span.start + 1e-5 { open.removeLast() }
            span.depth = open.count
            open.append(span.end)
            result.append(span)
        }
        return result
    }

    // MARK: The file

    private struct Event {
        var name = ""
        var kind = ""
        var label = ""
        /// Microseconds.
        var start = 0.0
        var length = 0.0
        var rank = 0
        var thread = 0
    }

    private static func chooseStep(_ path: String) -> (step: Int, start: Double, end: Double, count: Int)? {
        var steps: [(step: Int, start: Double, length: Double)] = []
        forEachEvent(path, startingWith: "{\"name\":\"step ") { event in
            guard event.rank == 0, event.kind == "X", event.length > 0, let step = Int(event.name.dropFirst("step ".count)) else { return }
            steps.append((step, event.start, event.length))
        }
        guard !steps.isEmpty else { return nil }
        let chosen = steps.sorted { $0.length < $1.length }[steps.count / 2]
        return (chosen.step, chosen.start, chosen.start + chosen.length, steps.count)
    }

    /// - Parameter prefix: only lines that begin so.
    private static func forEachEvent(_ path: String, startingWith prefix: StaticString = "{\"name\":", _ body: (Event) -> Void) {
        var scanner = FieldScanner()
        let members = ["name", "ph", "args.name", "ts", "dur", "pid", "tid"].map { scanner.number(of: $0) }
        _ = LineFile(path: path).forEachNewLine { line in
            let line = line.last == UInt8(ascii: ",") ? UnsafeBufferPointer(rebasing: line.dropLast()) : line
            let length = prefix.utf8CodeUnitCount
            guard line.count > length, (0..<length).allSatisfy({ line[$0] == prefix.utf8Start[$0] }), scanner.scan(line) else { return }
            var event = Event()
            for (path, text) in scanner.texts {
                switch members.firstIndex(of: path) {
                case 0: event.name = text
                case 1: event.kind = text
                case 2: event.label = text
                default: break
                }
            }
            for (path, number) in scanner.numbers where number.isFinite && abs(number) < 1e15 {
                switch members.firstIndex(of: path) {
                case 3: event.start = number
                case 4: event.length = number
                case 5: event.rank = Int(number)
                case 6: event.thread = Int(number)
                default: break
                }
            }
            body(event)
        }
    }
}
