/// What `metrics.jsonl` says, column by column. It can be fed with further lines of a run that goes on.
package struct RunMetrics {
    /// A validation's line.
    package struct Validation: Equatable {
        package let step: Int
        package let values: [String: Double]
        /// The part of the data, and what the crops' centres are; nil where the line does not say.
        package var split: String?
        package var centre: String?
        package var frames: Int? { values["frames"].flatMap { Int(exactly: $0.rounded()) } }
        package var jointError: Double? { values["joint_error_mm"] }
        package var loss: Double? { values["loss"] }

        /// ` (validation split, centre com)`, or nothing: what an error is worth depends on both. The test split is in `name`.
        package var words: String {
            let part = split.flatMap { $0 == "test" ? nil : "\($0) split" }
            let words = [part, centre.flatMap { $0 == "none" ? nil : "centre \($0)" }].compactMap { $0 }
            return words.isEmpty ? "" : " (\(words.joined(separator: ", ")))"
        }

        /// `held-out`, or `test` where the best is chosen by the test frames.
        package var name: String { split == "test" ? "test" : "held-out" }
    }

    /// A checkpoint's line: milliseconds that the step waited for it.
    package struct Pause {
        package let step: Int
        package let milliseconds: Double
        package let writing: String
    }

    /// Of the lines of steps; with `column`.
    package private(set) var steps: [Double] = []
    /// Seconds of training up to each line of a step: the sum of `step_ms`, without validations and checkpoints.
    package private(set) var seconds: [Double] = []
    package private(set) var validations: [Validation] = []
    /// The test frames, evaluated at the end of the run.
    package private(set) var test: Validation?
    package private(set) var pauses: [Pause] = []
    /// Of always predicting the mean label.
    package private(set) var baseline: [String: Double] = [:]
    /// The exchange that runs, and the cost model's predictions: `allreduce.step_ms` and the like.
    package private(set) var exchange: String?
    package private(set) var predicted: [String: Double] = [:]
    /// Lines that are no JSON objects, or that name no step.
    package private(set) var unreadableLines = 0
    package private(set) var lineCount = 0

    private var scanner = FieldScanner()
    private var columns: [Int: [Double]] = [:]
    private let keys: (step: Int, loss: Int, stepMilliseconds: Int)

    package init() {
        keys = (scanner.number(of: "step"), scanner.number(of: "loss"), scanner.number(of: "step_ms"))
    }

    package var isEmpty: Bool { steps.isEmpty && validations.isEmpty }

    /// The step of the last line of any kind.
    package private(set) var lastStep = 0

    /// A member of the steps' lines, one value a line of `steps`; NaN where a line has none; nil where no line has it.
    package func column(_ name: String) -> [Double]? {
        guard let key = scanner.names.firstIndex(of: name), var values = columns[key] else { return nil }
        values += [Double](repeating: .nan, count: steps.count - values.count)
        return values
    }

    /// The last value of a column that is a number.
    package func last(_ name: String) -> Double? {
        guard let key = scanner.names.firstIndex(of: name) else { return nil }
        return columns[key]?.last { !$0.isNaN }
    }

    /// Takes a line in.
    package mutating func add(_ line: UnsafeBufferPointer<UInt8>) {
        if line.isEmpty { return }
        lineCount += 1
        guard scanner.scan(line), let step = scanner.numbers.first(where: { $0.path == keys.step })?.value, step >= 0, step < 1e15 else {
            unreadableLines += 1
            return
        }
        lastStep = Int(step)
        if scanner.numbers.contains(where: { $0.path == keys.loss }) { return addStep(step) }
        let fields = Dictionary(scanner.numbers.map { (scanner.names[$0.path], $0.value) }) { $1 }
        func members(_ prefix: String) -> [String: Double] {
            Dictionary(
                uniqueKeysWithValues: fields.compactMap { $0.key.hasPrefix(prefix) ? (String($0.key.dropFirst(prefix.count)), $0.value) : nil })
        }
        func text(_ name: String) -> String? { scanner.texts.first { scanner.names[$0.path] == name }?.value }
        func result(_ name: String, step: Int, _ values: [String: Double]) -> Validation {
            Validation(step: step, values: values, split: text("\(name).split"), centre: text("\(name).centre"))
        }
        let validation = members("validation.")
        if !validation.isEmpty { validations.append(result("validation", step: Int(step), validation)) }
        let test = members("test.")
        if !test.isEmpty {
            self.test = result("test", step: test["weights_of_step"].flatMap { Int(exactly: $0) } ?? Int(step), test)
        }
        if let pause = fields["checkpoint.pause_ms"] {
            pauses.append(Pause(step: Int(step), milliseconds: pause, writing: text("checkpoint.writing") ?? ""))
        }
        let mean = members("mean_label_baseline.")
        if !mean.isEmpty { baseline = mean }
        let predictions = members("predicted.")
        if !predictions.isEmpty { predicted = predictions }
        if let kind = text("exchange") { exchange = kind }
    }

    private mutating func addStep(_ step: Double) {
        let row = steps.count
        for (key, value) in scanner.numbers {
            let missing = row - (columns[key]?.count ?? 0)
            if missing > 0 { columns[key, default: []] += [Double](repeating: .nan, count: missing) }
            // A member that stands twice in a line counts once.
            if missing >= 0 { columns[key, default: []].append(value) }
        }
        let milliseconds = columns[keys.stepMilliseconds].flatMap { $0.count == row + 1 ? $0[row] : nil } ?? .nan
        let since = max(0, step - (steps.last ?? 0))
        let spent = milliseconds.isFinite ? since * milliseconds / 1000 : 0
        seconds.append((seconds.last ?? 0) + spent)
        steps.append(step)
    }

    /// Seconds of training at a step, between the lines that are there.
    package func seconds(atStep step: Double) -> Double {
        var (low, high) = (0, steps.count)
        while low < high {
            let middle = (low + high) / 2
            if steps[middle] < step { low = middle + 1 } else { high = middle }
        }
        guard low < steps.count else { return seconds.last ?? 0 }
        return seconds[low]
    }
}
