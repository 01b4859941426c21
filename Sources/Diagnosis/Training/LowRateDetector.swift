import Telemetry

/// A learning rate so low that nothing moves.
struct LowRateDetector: TrainingDetector {
    static let isCause = true
    private static let steps = 40
    private var errors: [Double] = []

    mutating func look(_ facts: TrainingFacts, _ run: RunFacts) -> String? {
        guard errors.count < Self.steps, let jointError = facts.outputs?.jointError else { return nil }
        errors.append(jointError)
        // Rates of recipes are 1e-5 and more; SGD's are of another size.
        guard errors.count == Self.steps, run.learningRate < (run.isAdaptive ? 2e-6 : 1e-5) else { return nil }
        let (first, last) = (errors.prefix(10).reduce(0, +) / 10, errors.suffix(10).reduce(0, +) / 10)
        guard last > 0.9 * first else { return nil }
        return "the joint error has not moved in \(Self.steps) steps (" + format("%.1f", first) + " and " + format("%.1f mm", last)
            + "): the learning rate of " + format("%g", run.learningRate) + " is too low; hint: --learning-rate "
            + (run.isAdaptive ? "1e-4" : "1e-2")
    }
}
