import Telemetry

/// Two plain sentences about a run: what came out, and what that means for what to do next.
package enum Verdict {
    package static func sentences(_ run: RunRecord) -> [String] { [outcome(run), advice(run)] }

    private static func millimetres(_ value: Double) -> String { format("%.2f mm", value) }

    /// A batch whose outputs are all exactly 0: the network of the ReLU output that died.
    static func hasCollapsed(_ run: RunRecord) -> Bool { (run.metrics.last("zero_output_share") ?? 0) > 0.99 }

    private static func outcome(_ run: RunRecord) -> String {
        let metrics = run.metrics
        if metrics.isEmpty { return "This run has not logged a step yet, so nothing can be said about its result." }
        if let losses = metrics.column("loss"), let row = losses.lastIndex(where: { _ in true }), losses[row].isNaN {
            return "The loss is no longer a number at step \(Int(metrics.steps[row])): the training has diverged."
        }
        if hasCollapsed(run) {
            return "The network has collapsed: all of its outputs are exactly 0, whatever the frame shows, and no step can change that."
        }
        guard let last = metrics.validations.last, let error = last.jointError else {
            let error = metrics.last("joint_error_mm").map { ", where a joint is \(millimetres($0)) off on average" } ?? ""
            return "No held-out frame was looked at yet; the training loss is \(figure(metrics.last("loss"))) at step \(metrics.lastStep)\(error)."
        }
        let base = "On \(last.frames.map { "\($0) " } ?? "")\(last.name) frames\(last.words), a joint is \(millimetres(error)) off on average"
        guard let mean = metrics.baseline["joint_error_mm"], mean > 0 else { return base + " at step \(last.step)." }
        let share = format("%.0f%%", error / mean * 100) + " of what always answering the mean label gives (\(millimetres(mean)))"
        switch error / mean {
        case ..<0.85: return "\(base): \(share), so the network has learned to read hands."
        case ..<1: return "\(base): \(share), so the network is hardly better than a constant answer."
        default: return "\(base): \(share), so the network is worse than a constant answer."
        }
    }

    private static func advice(_ run: RunRecord) -> String {
        let metrics = run.metrics
        let total = run.totalSteps
        let goOn = "--resume auto"
        if run.isHeld { return "The run is at step \(metrics.lastStep)\(total.map { " of \($0)" } ?? "") and goes on." }
        if metrics.isEmpty { return "Start it again, or look at what it said on standard error." }
        if hasCollapsed(run) { return "Train anew with --output linear, which is the default of --preset seed." }
        if let losses = metrics.column("loss"), losses.last?.isNaN == true {
            return "Train anew with a smaller --learning-rate, or with --clip norm:1."
        }
        if let total, metrics.lastStep < total {
            return
                "It stopped at step \(metrics.lastStep) of \(total)\(run.ending.map { " (\($0))" } ?? ""); \(goOn) goes on from its newest checkpoint."
        }
        let errors = metrics.validations.compactMap { validation in validation.jointError.map { (validation.step, $0) } }
        guard errors.count > 2, let last = errors.last, let best = errors.min(by: { $0.1 < $1.1 }) else {
            return "There are too few validations to see whether more steps would help; a smaller --validate-every shows it."
        }
        if last.1 > best.1 * 1.05, Double(best.0) < 0.8 * Double(last.0) {
            return "The held-out error was lowest at step \(best.0) (\(millimetres(best.1))) and has risen since, as when a network learns its "
                + "training frames by heart: use checkpoints/best, and give it more frames or --augment."
        }
        let before = errors[errors.count * 2 / 3 - 1].1
        if last.1 < before * 0.97 {
            return
                "The error still fell at the end (\(millimetres(before)) at two thirds of the run), so more steps should help (\(goOn) with a larger --steps)."
        }
        return "The error has levelled off (\(millimetres(before)) at two thirds of the run), so more steps alone will hardly help."
    }
}
