import Glibc
import System

/// Event files that TensorBoard reads, beside `metrics.jsonl` and with the same figures.
///
/// Each start of a run has a file of its own. That of a run that goes on begins with a START of the step that comes next: readers
/// then forget what the start before wrote of it and of later steps, so no point is there twice.
package final class TensorBoardWriter {
    private let file: AppendingFile
    /// The first step whose figures this start writes.
    private let first: Int
    private let group: String

    /// - Parameters:
    ///   - directory: made if it is not there.
    ///   - step: the step that the run goes on from; 0: it begins.
    ///   - group: the run's name.
    /// - Throws: `WriteError`.
    package init(directory: String, step: Int, group: String) throws(MetricsWriter.WriteError) {
        _ = mkdir(directory, 0o777)
        let before = Self.latest(in: directory)
        // Readers take files in the order of their names, which begin with the time.
        let now = max(time(nil), (before ?? 0) + 1)
        file = try AppendingFile(path: "\(directory)/\(Self.prefix)\(format("%010ld", now)).\(hostName()).\(getpid())")
        first = step == 0 ? 0 : step + 1
        self.group = group
        try write(EventMessages.version(seconds: Stopwatch.wall))
        if before != nil { try write(EventMessages.start(step: first, seconds: Stopwatch.wall)) }
    }

    /// The figures of a line of `metrics.jsonl`: those of a step as `train/NAME`, those of an object as `OBJECT/NAME`.
    /// - Throws: `WriteError`; what could not be written is kept for the next time.
    package func add(_ fields: [(String, MetricValue)]) throws(MetricsWriter.WriteError) {
        guard case .integer(let step)? = fields.first(where: { $0.0 == "step" })?.1 else { return }
        var values: [(tag: String, value: Float)] = []
        func collect(_ fields: [(String, MetricValue)], _ group: String) {
            for (name, value) in fields {
                switch value {
                case .integer(let number): values.append(("\(group)/\(name)", Float(number)))
                case .number(let number): values.append(("\(group)/\(name)", Float(number)))
                case .text: break
                case .object(let members): collect(members, group == "train" ? name : "\(group)/\(name)")
                }
            }
        }
        collect(fields.filter { $0.0 != "step" }, "train")
        guard !values.isEmpty else { return }
        try write(EventMessages.scalars(values, step: step, seconds: Stopwatch.wall))
    }

    /// A picture; `png` is its file.
    package func image(_ tag: String, png: [UInt8], width: Int, height: Int, step: Int) throws(MetricsWriter.WriteError) {
        try write(EventMessages.image(tag, png: png, width: width, height: height, step: step, seconds: Stopwatch.wall))
    }

    /// Markdown, as of the first step of this start.
    package func text(_ tag: String, _ markdown: String) throws(MetricsWriter.WriteError) {
        try write(EventMessages.text(tag, markdown, step: first, seconds: Stopwatch.wall))
    }

    /// The run's settings, for the table of runs.
    package func hyperparameters(_ values: [(name: String, value: MetricValue)]) throws(MetricsWriter.WriteError) {
        try write(EventMessages.hyperparameters(values, group: group, step: first, seconds: Stopwatch.wall))
    }

    private func write(_ event: [UInt8]) throws(MetricsWriter.WriteError) { try file.append(EventMessages.record(event)) }

    private static let prefix = "events.out.tfevents."

    /// The time in the name of the latest file; nil where there is none.
    private static func latest(in directory: String) -> Int? {
        ((try? directoryNames(directory)) ?? []).filter { $0.hasPrefix(prefix) }
            .compactMap { Int($0.dropFirst(prefix.count).prefix { $0.isNumber }) }.max()
    }
}
