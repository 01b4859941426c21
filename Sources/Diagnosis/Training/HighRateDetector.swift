import Telemetry

/// A learning rate that is too high: errors grow, or jump to and fro without getting smaller.
struct HighRateDetector: TrainingDetector {
    static let isCause = true
    /// The error of a batch of a few samples jumps by itself.
    private static let fewest = 8
    private var errors: [Double] = []

    mutating func look(_ facts: TrainingFacts, _ run: RunFacts) -> String? {
        guard let jointError = facts.outputs?.jointError else { return nil }
        errors.append(jointError)
        let count = errors.count
        guard count <= 200 else { return nil }
        // The first step was made before any update.
        let start = max(errors[0], 1e-9)
        let last = errors.suffix(5)
        let mean = last.reduce(0, +) / Double(last.count)
        let cure = "hint: a smaller --learning-rate than " + format("%g", run.learningRate) + ", a tenth of it; --schedule with a warm-up helps too"
        if jointError > 8 * start {
            return "the joint error has jumped from " + format("%.0f mm", start) + " at the first step to " + format("%.0f mm", jointError)
                + ": the learning rate is too high; \(cure)"
        }
        guard count >= 8 else { return nil }
        if last.min()! > 3 * start {
            return "the joint error has grown from " + format("%.0f mm", start) + " to " + format("%.0f mm", mean)
                + ": the learning rate is too high; \(cure)"
        }
        guard count >= 30, run.batch >= Self.fewest else { return nil }
        let window = Array(errors.suffix(20))
        let level = window.reduce(0, +) / 20
        let jumps = zip(window, window.dropFirst()).map { abs($1 - $0) }.reduce(0, +) / 19
        if level > 1.2 * start, jumps > 0.3 * level {
            return "the joint error jumps by " + format("%.0f mm", jumps) + " from step to step and does not get smaller: the learning rate is "
                + "too high; \(cure)"
        }
        return nil
    }
}
