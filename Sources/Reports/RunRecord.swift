import Checkpoints
import Glibc
import Yams

/// What this module throws: one line that says where, what, and what to do.
package struct ReportError: Error, CustomStringConvertible {
    package let description: String
}

/// A run directory as it lies there: finished, stopped, or still being written. Nothing in it is changed.
package struct RunRecord {
    /// A checkpoint on disk, or what is wrong with it.
    package struct SavedCheckpoint {
        package let name: String
        package let step: Int?
        package let score: Double?
        package let bytes: Int
        package let isBest: Bool
        package let problem: String?
    }

    /// A start of the run, as `events.jsonl` has it.
    package struct Start {
        package let step: Int
        package let texts: [String: String]
        package let numbers: [String: Double]
    }

    package let path: String
    package internal(set) var name: String
    package let metrics: RunMetrics
    /// The settings of `config.yaml`, in its order.
    package let settings: [(name: String, value: String)]
    package let checkpoints: [SavedCheckpoint]
    package let starts: [Start]
    /// Warnings that were given, each once.
    package let warnings: [String]
    /// How the last start ended, in words; nil: not told.
    package let ending: String?
    /// Whether a process holds the run.
    package let isHeld: Bool
    /// A PNG of predictions.
    package let contactSheet: [UInt8]?
    /// A step of `trace.json`.
    package let trace: StepTrace?
    /// What could not be read, in words.
    package let missing: [String]

    package func setting(_ name: String) -> String? { settings.first { $0.name == name }?.value }

    /// The step to train to.
    package var totalSteps: Int? {
        if let told = starts.last?.numbers["steps"], told >= 1, told < 1e15 { return Int(told) }
        if let epochs = setting("epochs"), epochs != "null" { return nil }
        return setting("steps").flatMap { Int($0) }
    }

    /// Reads a run directory.
    /// - Throws: `ReportError` where the directory is none of a run.
    package init(_ given: String) throws(ReportError) {
        let path = given.count > 1 && given.hasSuffix("/") ? String(given.dropLast()) : given
        try Self.requireRun(path)
        self.path = path
        name = String(path.split(separator: "/").last ?? Substring(path))
        var missing: [String] = []
        var metrics = RunMetrics()
        let file = LineFile(path: "\(path)/metrics.jsonl")
        if file.forEachNewLine({ metrics.add($0) }) == nil { missing.append("metrics.jsonl is missing or cannot be read: no curves") }
        if file.endsWithinLine { missing.append("the last line of metrics.jsonl is only half written; it was left out") }
        if metrics.unreadableLines > 0 {
            let count = metrics.unreadableLines
            missing.append("\(count) line\(count == 1 ? "" : "s") of metrics.jsonl could not be read and \(count == 1 ? "was" : "were") left out")
        }
        if missing.isEmpty && metrics.isEmpty { missing.append("metrics.jsonl has no step yet") }
        self.metrics = metrics
        (settings, checkpoints, contactSheet) = (
            Self.readSettings(path, &missing), Self.readCheckpoints(path, &missing), Self.readSheet(path, &missing)
        )
        trace = Self.readTrace(path, &missing)
        let events = RunEvents(path: "\(path)/events.jsonl")
        (starts, warnings, ending) = (events.starts, events.warnings, events.ending)
        if events.starts.isEmpty { missing.append("events.jsonl is missing: machine, version and warnings are not known (an older dtrain)") }
        isHeld = RunLock.isHeld("\(path)/lock")
        self.missing = missing
    }

    /// - Throws: `ReportError` where a path is no run directory.
    package static func requireRun(_ path: String) throws(ReportError) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw ReportError(
                description: "\(path): \(String(cString: strerror(errno))); hint: name a run directory, as dtrain train wrote it (runs/...)")
        }
        let isDirectory = status.st_mode & S_IFMT == S_IFDIR
        let files = ["metrics.jsonl", "config.yaml", "checkpoints"]
        guard isDirectory, files.contains(where: { access("\(path)/\($0)", F_OK) == 0 }) else {
            throw ReportError(
                description: "\(path): is no run directory (no metrics.jsonl, config.yaml or checkpoints in it); hint: name the "
                    + "directory that 'run directory:' said when the training began")
        }
    }

    private static func readSettings(_ path: String, _ missing: inout [String]) -> [(name: String, value: String)] {
        guard let bytes = contents("\(path)/config.yaml", limit: 1 << 20) else {
            missing.append("config.yaml is missing: the settings are not known")
            return []
        }
        guard let node = try? Yams.compose(yaml: String(decoding: bytes, as: UTF8.self)), case .mapping(let mapping) = node else {
            missing.append("config.yaml cannot be read: the settings are not known")
            return []
        }
        return mapping.compactMap { key, value in
            guard case .scalar(let name) = key, case .scalar(let text) = value else { return nil }
            return (name.string, text.string)
        }
    }

    private static func readCheckpoints(_ path: String, _ missing: inout [String]) -> [SavedCheckpoint] {
        let folder = "\(path)/checkpoints"
        guard let names = try? Directories.names(in: folder) else { return [] }
        var target = [CChar](repeating: 0, count: 4096)
        let length = readlink("\(folder)/best", &target, target.count)
        let best = length > 0 ? String(decoding: target.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self) : ""
        return names.filter { $0.hasPrefix("step-") }.map { name in
            let isBest = best == name || best.hasSuffix("/\(name)")
            do throws(CheckpointError) {
                let opened = try Checkpoint.open("\(folder)/\(name)", verifying: .sizes)
                return SavedCheckpoint(
                    name: name, step: opened.step, score: opened.state.score, bytes: opened.state.files.values.reduce(0) { $0 + $1.bytes },
                    isBest: isBest, problem: nil)
            } catch {
                return SavedCheckpoint(name: name, step: nil, score: nil, bytes: 0, isBest: isBest, problem: error.reason)
            }
        }
    }

    /// Larger than this, the page would be too large to send around.
    private static let largestSheet = 3 << 19

    private static func readSheet(_ path: String, _ missing: inout [String]) -> [UInt8]? {
        let file = "\(path)/contact-sheet.png"
        var status = stat()
        guard stat(file, &status) == 0 else { return nil }
        guard Int(status.st_size) <= largestSheet, let bytes = contents(file, limit: largestSheet),
            bytes.starts(with: [0x89, 0x50, 0x4E, 0x47])
        else {
            missing.append("contact-sheet.png is not shown: it is no PNG, or larger than 1.5 MB")
            return nil
        }
        return bytes
    }

    private static func readTrace(_ path: String, _ missing: inout [String]) -> StepTrace? {
        let file = "\(path)/trace.json"
        guard access(file, F_OK) == 0 else { return nil }
        let trace = StepTrace(path: file)
        if trace == nil { missing.append("trace.json is not shown: it cannot be read, or has no whole step of rank 0") }
        return trace
    }

    private static func contents(_ path: String, limit: Int) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size <= limit else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        let count = read(descriptor, &bytes, bytes.count)
        return count < 0 ? nil : Array(bytes.prefix(count))
    }
}

/// What `events.jsonl` says: starts, warnings and ends of a run.
struct RunEvents {
    private(set) var starts: [RunRecord.Start] = []
    private(set) var warnings: [String] = []
    private(set) var ending: String?

    init(path: String) {
        var scanner = FieldScanner()
        let file = LineFile(path: path)
        _ = file.forEachNewLine { line in
            guard scanner.scan(line) else { return }
            let texts = Dictionary(scanner.texts.map { (scanner.names[$0.path], $0.value) }) { $1 }
            let numbers = Dictionary(scanner.numbers.map { (scanner.names[$0.path], $0.value) }) { $1 }
            if let warning = texts["warning"], !warnings.contains(warning) { warnings.append(warning) }
            if let end = texts["end"] { ending = end }
            guard texts["start.version"] != nil else { return }
            ending = nil
            func members<Value>(_ fields: [String: Value]) -> [String: Value] {
                Dictionary(uniqueKeysWithValues: fields.compactMap { $0.key.hasPrefix("start.") ? (String($0.key.dropFirst(6)), $0.value) : nil })
            }
            starts.append(RunRecord.Start(step: Int(numbers["step"] ?? 0), texts: members(texts), numbers: members(numbers)))
        }
    }
}
