/// What a step or a line of the metrics says, as far as mistakes can be told by it. The same on all ranks but for the times.
package struct StepFacts: Sendable {
    package var step: Int
    /// Mean distance between predicted and true joints of the batch, mm.
    package var jointError: Double
    /// Mean square of the outputs, and of the labels, in the network's units.
    package var meanSquaredOutput: Double
    package var meanSquaredLabel: Double

    package init(step: Int, jointError: Double, meanSquaredOutput: Double, meanSquaredLabel: Double) {
        self.step = step
        self.jointError = jointError
        self.meanSquaredOutput = meanSquaredOutput
        self.meanSquaredLabel = meanSquaredLabel
    }
}

/// Where the time of some steps went, as shares of it, on rank 0.
package struct TimeFacts: Sendable {
    package var step: Int
    package var steps: Int
    /// Waiting for frames.
    package var loading: Double
    /// In the exchange, with nothing left to compute.
    package var exchanging: Double

    package init(step: Int, steps: Int, loading: Double, exchanging: Double) {
        self.step = step
        self.steps = steps
        self.loading = loading
        self.exchanging = exchanging
    }
}

/// What a run was asked to do, as far as causes and cures depend on it.
package struct RunFacts: Sendable {
    package var readsRawDepth = false
    package var hasLargeInitialValues = false
    /// Base learning rate, and whether the optimiser's steps are as large as it, whatever the gradient (Adam and the like).
    package var learningRate = 1e-4
    package var isAdaptive = true
    package var ranks = 1
    package var exchange = "none"
    /// What `--exchange auto` would have taken, and its predicted ms a step.
    package var bestExchange: (name: String, milliseconds: Double)?
    /// Frames come from a disk.
    package var readsFiles = false

    package init() {}
}

/// One kind of mistake in a training; a file each. It says its line when it is sure, and `TrainingDiagnosis` says it once.
protocol TrainingDetector: Sendable {
    /// - Returns: what is wrong, and after `; hint: ` the cure; nil: nothing that this one knows.
    mutating func look(_ facts: StepFacts, _ run: RunFacts) -> String?
    mutating func look(_ facts: TimeFacts, _ run: RunFacts) -> String?
    /// After a validation: the held-out error, and that of the steps just before, mm.
    mutating func look(heldOut: Double, training: Double, step: Int) -> String?
}

extension TrainingDetector {
    mutating func look(_ facts: StepFacts, _ run: RunFacts) -> String? { nil }
    mutating func look(_ facts: TimeFacts, _ run: RunFacts) -> String? { nil }
    mutating func look(heldOut: Double, training: Double, step: Int) -> String? { nil }
}

/// Watches a training for mistakes that beginners make: what is found is said once, with its cure.
package struct TrainingDiagnosis: Sendable {
    private let run: RunFacts
    private var detectors: [any TrainingDetector] = [
        ScaleDetector(), HighRateDetector(), LowRateDetector(), OverfittingDetector(), StarvingDetector(), ExchangeDetector(),
    ]
    private var recentErrors: [Double] = []
    /// Whether a cause was told that dead units and constant outputs follow from.
    package private(set) var hasToldCause = false

    package init(_ run: RunFacts) { self.run = run }

    /// Lines for a step.
    package mutating func lines(_ facts: StepFacts) -> [String] {
        recentErrors.append(facts.jointError)
        if recentErrors.count > 10 { recentErrors.removeFirst() }
        let run = run
        let lines = told(facts.step) { $0.look(facts, run) }
        if !lines.isEmpty { hasToldCause = true }
        return lines
    }

    /// Lines for the steps since the last logged one.
    package mutating func lines(_ facts: TimeFacts) -> [String] {
        let run = run
        return told(facts.step) { $0.look(facts, run) }
    }

    /// Lines for a validation.
    package mutating func lines(heldOut: Double, step: Int) -> [String] {
        guard recentErrors.count == 10 else { return [] }
        let training = recentErrors.reduce(0, +) / 10
        return told(step) { $0.look(heldOut: heldOut, training: training, step: step) }
    }

    /// A detector that has spoken is done.
    private mutating func told(_ step: Int, _ ask: (inout any TrainingDetector) -> String?) -> [String] {
        var lines: [String] = []
        var remaining: [any TrainingDetector] = []
        for var detector in detectors {
            if let line = ask(&detector) { lines.append("step \(step): \(line)") } else { remaining.append(detector) }
        }
        detectors = remaining
        return lines
    }
}
