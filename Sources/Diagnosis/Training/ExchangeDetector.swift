import Telemetry

/// Steps that wait for the exchange between ranks.
struct ExchangeDetector: TrainingDetector {
    private var windows = 0

    mutating func look(_ facts: TrainingFacts, _ run: RunFacts) -> String? {
        guard run.ranks > 1, let pace = facts.pace, pace.first > 10 else { return nil }
        // Of the rank that waits least: the others may wait for it.
        let share = PaceShares(pace.ranks).least(\.exchanging)
        windows = share > 0.5 ? windows + 1 : 0
        guard windows >= 2 else { return nil }
        let found = "\(percent(share)) of the time is waiting for --exchange \(run.exchange)"
        guard let best = run.bestExchange, best.name != run.exchange else {
            return "\(found), the fastest that there is here; hint: fewer ranks, a larger --batch-size, or --wire bf16"
        }
        return "\(found); hint: --exchange auto takes \(best.name), " + format("%.0f ms", best.milliseconds) + " a step predicted"
    }
}
