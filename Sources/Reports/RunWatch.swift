import Checkpoints
import Glibc
package import Telemetry

/// A run as it goes on, seen from its directory: on another terminal, or on another machine with the same files.
package final class RunFollower {
    package let path: String
    package let name: String
    package private(set) var metrics = RunMetrics()
    private var file: LineFile
    private var record: RunEvents
    private let settings: RunRecord

    /// - Throws: `ReportError` where the path is no run directory.
    package init(_ path: String) throws(ReportError) {
        settings = try RunRecord(path)
        (self.path, name) = (settings.path, settings.name)
        file = LineFile(path: "\(settings.path)/metrics.jsonl")
        record = RunEvents(path: "\(settings.path)/events.jsonl")
        poll()
    }

    /// Reads what was written since.
    /// - Returns: how many lines.
    @discardableResult
    package func poll() -> Int {
        let (before, starts) = (metrics.lineCount, record.starts.count)
        record = RunEvents(path: "\(path)/events.jsonl")
        // A resumed run cuts lines off. The file may be as long again before the next look, so its length does not tell.
        if record.starts.count != starts { (file, metrics) = (LineFile(path: "\(path)/metrics.jsonl"), RunMetrics()) }
        _ = file.forEachNewLine({ self.metrics.add($0) }, restart: { self.metrics = RunMetrics() })
        return abs(metrics.lineCount - before)
    }

    package var totalSteps: Int? {
        guard let told = record.starts.last?.numbers["steps"], told >= 1, told < 1e15 else { return settings.totalSteps }
        return Int(told)
    }

    /// Whether nothing more will come: the run said its end, or nobody holds it and it has been silent for a minute.
    package var hasEnded: Bool {
        // A resumed start holds the lock before it says so.
        if record.ending != nil { return !RunLock.isHeld("\(path)/lock") }
        var status = stat()
        if stat("\(path)/metrics.jsonl", &status) == 0, time(nil) - status.st_mtim.tv_sec <= 60 { return false }
        return !RunLock.isHeld("\(path)/lock")
    }

    package var ending: String { record.ending ?? "no process holds it, and it is silent" }

    /// The same figures as the training itself shows.
    package var figures: LiveFigures {
        let step = metrics.lastStep
        var parts = ["step \(step)" + (totalSteps.map { "/\($0)" } ?? "")]
        let hasEnded = hasEnded
        if let loss = metrics.last("loss") { parts.append("loss \(figure(loss))") }
        if let error = metrics.last("joint_error_mm") { parts.append(format("joint error %.1f mm", error)) }
        if let rate = metrics.last("samples_per_second") { parts.append(format("%.0f samples/s", rate)) }
        if let milliseconds = metrics.last("step_ms") {
            parts.append(format("%.0f ms/step", milliseconds))
            if let totalSteps, !hasEnded { parts.append(spell(seconds: Double(max(0, totalSteps - step)) * milliseconds / 1000) + " left") }
        }
        if hasEnded { parts.append(ending) }
        var figures = LiveFigures(parts: parts)
        figures.progress = totalSteps.map { Double(step) / Double(max(1, $0)) }
        figures.losses = metrics.column("loss") ?? []
        figures.errors = metrics.validations.compactMap(\.jointError)
        figures.split = [
            ("wait", "wait_ms"), ("forward", "forward_ms"), ("backward", "backward_ms"), ("exchange", "exchange_wait_ms"), ("checks", "checks_ms"),
        ].compactMap { name, column in metrics.last(column).map { (name, $0) } }
        figures.warning = record.warnings.last
        return figures
    }
}

/// Shows runs until all have ended: rewritten in place on a terminal, elsewhere a line when something new was logged.
package struct RunWatch {
    private let followers: [RunFollower]
    private let terminal: Terminal?
    private let say: (String) -> Void
    private let write: (String) -> Void

    /// - Parameters:
    ///   - terminal: where lines can be rewritten; nil: plain lines.
    ///   - say: prints a line.
    ///   - write: writes to the terminal.
    /// - Throws: `ReportError` where a path is no run directory.
    package init(
        _ paths: [String], terminal: Terminal?, say: @escaping (String) -> Void, write: @escaping (String) -> Void
    ) throws(ReportError) {
        var followers: [RunFollower] = []
        for path in paths { followers.append(try RunFollower(path)) }
        (self.followers, self.terminal, self.say, self.write) = (followers, terminal, say, write)
    }

    /// - Parameters:
    ///   - interval: seconds between looks.
    ///   - once: shows the runs as they are, and ends.
    package func run(interval: Double, once: Bool) {
        var (drawn, columns) = (0, terminal?.columns ?? 0)
        var told = [Bool?](repeating: nil, count: followers.count)
        while true {
            let news = followers.map { $0.poll() }
            let ended = followers.map(\.hasEnded)
            if let terminal, terminal.canMoveCursor {
                // Terminals wrap the lines they have when they become narrower, each in its own way: the screen is cleared then.
                let isNarrower = terminal.columns < columns
                columns = terminal.columns
                let lines = block(terminal)
                let start = drawn == 0 ? "" : isNarrower ? "\u{1B}[H\u{1B}[2J" : "\u{1B}[\(drawn)A"
                write(start + "\r\u{1B}[J" + lines.map { $0 + "\r\n" }.joined())
                drawn = lines.count
            } else {
                for (index, follower) in followers.enumerated() where news[index] > 0 || told[index] != ended[index] { say(plain(follower)) }
            }
            told = ended
            if once || !ended.contains(false) { return }
            usleep(UInt32(interval * 1e6))
        }
    }

    private func plain(_ follower: RunFollower) -> String {
        let error = follower.metrics.validations.last.flatMap { last in
            last.jointError.map { "\(last.name) joint error " + format("%.2f mm", $0) + " (step \(last.step))" }
        }
        let parts = (follower.figures.parts + (error.map { [$0] } ?? [])).map { LiveView.clean($0, isPlain: false) }
        return (followers.count > 1 ? "\(follower.name): " : "") + parts.joined(separator: "  ")
    }

    /// At most a screen: further runs are counted.
    private func block(_ terminal: Terminal) -> [String] {
        let (columns, rows) = (terminal.columns, terminal.rows)
        var lines: [String] = []
        for (index, follower) in followers.enumerated() {
            var own = LiveView.lines(follower.figures, columns: columns, isPlain: terminal.isPlain)
            if followers.count > 1 { own.insert(LiveView.fitted(follower.name, columns: columns - 1, isPlain: terminal.isPlain), at: 0) }
            if !lines.isEmpty, lines.count + own.count > rows - 2 {
                lines.append(String("and \(followers.count - index) more: make the window higher".prefix(columns - 1)))
                break
            }
            lines += own
        }
        return Array(lines.prefix(max(1, rows - 1)))
    }
}
