/// One kind of mistake in a training; a file each, and a row in `TrainingDiagnosis.detectors`. It says its line when it is sure, and is not
/// asked again.
protocol TrainingDetector: Sendable {
    /// Whether dead units, constant outputs and the like follow from what it finds: they need no line of their own then.
    static var isCause: Bool { get }
    /// Whether what it finds may follow from another's finding.
    static var isConsequence: Bool { get }

    /// - Returns: what is wrong, and after `; hint: ` the cure; nil: nothing that this one knows.
    mutating func look(_ facts: TrainingFacts, _ run: RunFacts) -> String?
}

extension TrainingDetector {
    static var isCause: Bool { false }
    static var isConsequence: Bool { false }
}

/// Watches a training for mistakes that beginners make: what is found is said once, with its cure.
package struct TrainingDiagnosis: Sendable {
    /// Causes come before what follows from them.
    private var detectors: [any TrainingDetector] = [
        ScaleDetector(),
        HighRateDetector(),
        LowRateDetector(),
        DeadLayerDetector(),
        SaturationDetector(),
        OverfittingDetector(),
        SlowRankDetector(),
        StarvingDetector(),
        TurnsDetector(),
        ExchangeDetector(),
    ]
    private let run: RunFacts
    private var recentErrors: [Double] = []
    /// Whether a cause was told that dead units and constant outputs follow from.
    package private(set) var hasToldCause = false

    package init(_ run: RunFacts) { self.run = run }

    /// What these facts tell that was not told before.
    package mutating func lines(_ facts: TrainingFacts) -> [String] {
        var facts = facts
        if let outputs = facts.outputs {
            recentErrors.append(outputs.jointError)
            if recentErrors.count > 10 { recentErrors.removeFirst() }
        }
        if recentErrors.count == 10 { facts.recentError = recentErrors.reduce(0, +) / 10 }
        var lines: [String] = []
        var remaining: [any TrainingDetector] = []
        for var detector in detectors {
            let kind = type(of: detector)
            if kind.isConsequence && hasToldCause { continue }
            guard let line = detector.look(facts, run) else {
                remaining.append(detector)
                continue
            }
            lines.append("step \(facts.step): \(line)")
            if kind.isCause { hasToldCause = true }
        }
        detectors = remaining
        return lines
    }
}
