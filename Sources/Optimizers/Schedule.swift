/// How the learning rate goes over a run: a pure function of the step, the same on every rank, and after a resume as before.
///
/// The rate of a step is base · warm-up · shape. As text: `constant`, `steps:every=40000,factor=0.1`,
/// `exponential:factor=0.96,every=1epochs`, `inverse:k=0.2`, `cosine:final=0.01`; each also with `warmup=500` (steps) or
/// `warmup=1epochs`. Spans without a unit are steps.
package struct Schedule: SettingText, Equatable {
    /// A length of training.
    package struct Span: Sendable, Equatable, CustomStringConvertible {
        package enum Unit: String, Sendable { case steps, epochs }
        package var count: Double
        package var unit: Unit

        package static func steps(_ count: Int) -> Span { Span(count: Double(count), unit: .steps) }
        package static func epochs(_ count: Double) -> Span { Span(count: count, unit: .epochs) }

        /// `500`, or `1.5epochs`.
        package var description: String { plain(count) + (unit == .epochs ? "epochs" : "") }

        func steps(stepsPerEpoch: Double) -> Double { unit == .steps ? count : count * stepsPerEpoch }
    }

    package enum Shape: Sendable, Equatable {
        case constant
        /// The rate is multiplied by `factor` after every whole span (PyTorch's StepLR).
        case steps(every: Span, factor: Double)
        /// factor^(step / span), step by step (TensorFlow's exponential_decay; PyTorch's ExponentialLR for spans of one step).
        case exponential(every: Span, factor: Double)
        /// 1 / (1 + k n) after n whole spans (DeepPrior: k = 0.2, an epoch).
        case inverse(k: Double, every: Span)
        /// final + (1 - final) (1 + cos(pi t / T)) / 2 over the run's T steps (PyTorch's CosineAnnealingLR).
        case cosine(final: Double)
    }

    package var shape: Shape
    /// The rate rises linearly over so long: its first step has the fraction 1 / warm-up, its last the whole. The shape goes on
    /// beneath, counted from the run's first step.
    package var warmup: Span

    package static let constant = Schedule(.constant)

    package init(_ shape: Shape, warmup: Span = .steps(0)) {
        self.shape = shape
        self.warmup = warmup
    }

    /// The rate of a step, the same bits on every host (`PortableMath`).
    /// - Parameters:
    ///   - step: steps taken before: 0 for a run's first.
    ///   - stepsPerEpoch: may have a fraction; above 0.
    ///   - totalSteps: the run's; past them the cosine stays at its end.
    ///   - base: the rate that the factors multiply.
    package func rate(step: Int, stepsPerEpoch: Double, totalSteps: Int, base: Double) -> Double {
        let steps = Double(step)
        let length = warmup.steps(stepsPerEpoch: stepsPerEpoch)
        let factor = factor(after: steps, stepsPerEpoch: stepsPerEpoch, totalSteps: Double(totalSteps))
        return steps + 1 < length ? base * factor * ((steps + 1) / length) : base * factor
    }

    private func factor(after steps: Double, stepsPerEpoch: Double, totalSteps: Double) -> Double {
        func spans(_ every: Span) -> Double { steps / every.steps(stepsPerEpoch: stepsPerEpoch) }
        switch shape {
        case .constant: return 1
        case .steps(let every, let factor): return PortableMath.power(factor, spans(every).rounded(.down))
        case .exponential(let every, let factor): return PortableMath.power(factor, fractional: spans(every))
        case .inverse(let k, let every): return 1 / (1 + k * spans(every).rounded(.down))
        case .cosine(let final):
            let progress = totalSteps > 0 ? min(1, steps / totalSteps) : 1
            return final + (1 - final) * PortableMath.cosineSquared(progress)
        }
    }

    /// What is wrong with it in a run of this length, in one line; nil when nothing is.
    package func problem(stepsPerEpoch: Double, totalSteps: Int) -> String? {
        let length = warmup.steps(stepsPerEpoch: stepsPerEpoch)
        guard length > Double(totalSteps) else { return nil }
        return "--schedule is '\(self)': a warm-up of \(plain(length.rounded(.up))) steps does not end in a run of "
            + "\(totalSteps); hint: a shorter warmup, or more steps"
    }
}

extension Schedule {
    private static let flag = "schedule"

    package init(parsing text: String) throws(SettingError) {
        var parts = try SettingParts(text, flag: Self.flag)
        let one = Span.epochs(1)
        switch parts.name {
        case "constant": self.init(.constant)
        case "steps":
            self.init(.steps(every: try Self.span("every", &parts), factor: try Self.factor(&parts, hint: "0.1")))
        case "exponential":
            let factor = try Self.factor(&parts, hint: "0.96")
            self.init(.exponential(every: try Self.span("every", &parts, default: one), factor: factor))
        case "inverse":
            let k = try parts.number("k", isGood: { $0 > 0 && $0 <= 1e9 }, hint: "0.2, a positive number")
            self.init(.inverse(k: k, every: try Self.span("every", &parts, default: one)))
        case "cosine":
            let final = try parts.number(
                "final", default: 0, isGood: { $0 >= 0 && $0 <= 1 }, hint: "0.01, from 0 to 1: the last rate's share of the first")
            self.init(.cosine(final: final))
        default:
            throw parts.problem(
                "there is no such schedule",
                hint: "constant, steps:every=N,factor=F, exponential:factor=F, inverse:k=K or cosine")
        }
        warmup = try Self.span("warmup", &parts, default: .steps(0), allowsZero: true)
        try parts.end(known: known)
    }

    /// The keys that a shape takes.
    private var known: String {
        switch shape {
        case .constant: "warmup"
        case .steps, .exponential: "every, factor, warmup"
        case .inverse: "k, every, warmup"
        case .cosine: "final, warmup"
        }
    }

    /// A factor above 1 would raise the rate without end.
    private static func factor(_ parts: inout SettingParts, hint: String) throws(SettingError) -> Double {
        try parts.number("factor", isGood: { $0 > 0 && $0 <= 1 }, hint: "\(hint), above 0 and at most 1")
    }

    private static func span(
        _ key: String, _ parts: inout SettingParts, default fallback: Span? = nil, allowsZero: Bool = false
    ) throws(SettingError) -> Span {
        let hint = "500 (steps) or 2epochs"
        guard let text = parts.take(key) else {
            guard let fallback else { throw parts.problem("\(key) is missing", hint: "\(key)=\(hint)") }
            return fallback
        }
        var (number, unit) = (text[...], Span.Unit.steps)
        for (suffix, meaning) in [("epochs", Span.Unit.epochs), ("epoch", .epochs), ("steps", .steps), ("step", .steps)]
        where text.hasSuffix(suffix) {
            (number, unit) = (text.dropLast(suffix.count), meaning)
            break
        }
        guard let count = Double(number), count >= (allowsZero ? 0 : .leastNonzeroMagnitude), count <= 1e12,
            unit == .epochs ? count == 0 || count >= 1e-6 : count == count.rounded()
        else { throw parts.problem("\(key) is \(text)", hint: "\(allowsZero ? "0, " : "")\(hint)") }
        return count == 0 ? .steps(0) : Span(count: count, unit: unit)
    }

    /// The text that `init(parsing:)` reads, in one form for each value.
    package var description: String {
        var fields: [String] = []
        let name: String
        switch shape {
        case .constant: name = "constant"
        case .steps(let every, let factor):
            name = "steps"
            fields = ["every=\(every)", "factor=\(plain(factor))"]
        case .exponential(let every, let factor):
            name = "exponential"
            fields = ["factor=\(plain(factor))", "every=\(every)"]
        case .inverse(let k, let every):
            name = "inverse"
            fields = ["k=\(plain(k))"] + (every == .epochs(1) ? [] : ["every=\(every)"])
        case .cosine(let final):
            name = "cosine"
            fields = final == 0 ? [] : ["final=\(plain(final))"]
        }
        if warmup.count > 0 { fields.append("warmup=\(warmup)") }
        return fields.isEmpty ? name : "\(name):\(fields.joined(separator: ","))"
    }
}
