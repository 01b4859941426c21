import Telemetry

/// Outputs that begin far beyond any label: the input or the initial values are not scaled.
struct ScaleDetector: TrainingDetector {
    static let isCause = true
    /// Outputs of so many times the labels' size are no beginning. Healthy presets begin below 10.
    private static let most = 30.0

    mutating func look(_ facts: TrainingFacts, _ run: RunFacts) -> String? {
        // Before any update: what comes later is the learning rate's doing.
        guard facts.step == 1, let outputs = facts.outputs, outputs.labelMeanSquare > 0 else { return nil }
        let ratio = (outputs.meanSquare / outputs.labelMeanSquare).squareRoot()
        guard ratio > Self.most else { return nil }
        let found = "the outputs are " + format("%.0f", ratio) + " times as large as the labels"
        switch (run.readsRawDepth, run.hasLargeInitialValues) {
        case (true, true):
            return "\(found): the input is not scaled, and the initial values are too large; hint: --input normalized --initial-values he"
        case (true, false): return "\(found): the input is not scaled; hint: --input normalized"
        case (false, true): return "\(found): the initial values are too large; hint: --initial-values he"
        case (false, false): return "\(found): the initial values are too large; hint: initial: small for the network's last layer, he elsewhere"
        }
    }
}
