import Telemetry

/// What the view on a terminal shows of the steps before, since the process started; on rank 0.
final class LiveHistory {
    var losses = BoundedCurve()
    var errors = BoundedCurve()
    var warning: String?

    /// - Parameters:
    ///   - parts: the first line's.
    ///   - progress: from 0 to 1.
    ///   - timer: where the time of the steps since the last logged one went.
    func figures(_ parts: [String], progress: Double, _ timer: StepTimer) -> LiveFigures {
        var figures = LiveFigures(parts: parts)
        figures.progress = progress
        (figures.losses, figures.errors, figures.warning) = (losses.values, errors.values, warning)
        let milliseconds = 1000 / Double(max(1, timer.steps))
        figures.split = [
            ("wait", timer.waiting * milliseconds), ("forward", (timer.forward - timer.forwardWaiting) * milliseconds),
            ("backward", (timer.backward - timer.exchangeWaiting + timer.forwardWaiting) * milliseconds),
            ("exchange", timer.exchangeWaiting * milliseconds), ("checks", timer.checks * milliseconds),
        ]
        return figures
    }
}
