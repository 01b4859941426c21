import Telemetry

/// Steps that wait for the exchange between ranks.
struct ExchangeDetector: TrainingDetector {
    /// Seconds a step; what is shorter is mostly the scheduler's.
    private static let shortest = 0.005
    /// Where a rank lacks a processor for so much of the time, the others wait for other programs.
    private static let disturbed = 0.2
    private var windows = 0

    mutating func look(_ facts: TrainingFacts, _ run: RunFacts) -> String? {
        guard run.ranks > 1, let pace = facts.pace, pace.first > 10 else { return nil }
        // Of the rank that waits least: the others may wait for it.
        let share = PaceShares(pace.ranks).least(\.exchanging)
        let wait = (pace.ranks.map(\.exchanging).min() ?? 0) / Double(max(1, pace.last - pace.first + 1))
        let isDisturbed = pace.ranks.contains { $0.withoutProcessor > Self.disturbed * $0.elapsed }
        windows = share > 0.5 && wait > Self.shortest && !isDisturbed ? windows + 1 : 0
        guard windows >= 2 else { return nil }
        let found = "\(percent(share)) of the time is waiting for --exchange \(run.exchange)"
        guard let best = run.bestExchange, best.name != run.exchange else {
            return "\(found), the fastest that there is here; hint: fewer ranks, a larger --batch-size, or --wire bf16"
        }
        return "\(found); hint: --exchange auto takes \(best.name), " + format("%.0f ms", best.milliseconds) + " a step predicted"
    }
}
