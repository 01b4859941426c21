import Telemetry

/// Steps that wait for the exchange between ranks.
struct ExchangeDetector: TrainingDetector {
    private var lines = 0

    mutating func look(_ facts: TimeFacts, _ run: RunFacts) -> String? {
        guard run.ranks > 1, facts.step > 5, facts.steps >= 5 else { return nil }
        lines = facts.exchanging > 0.5 ? lines + 1 : 0
        guard lines >= 2 else { return nil }
        let found = "\(percent(facts.exchanging)) of the time is waiting for --exchange \(run.exchange)"
        guard let best = run.bestExchange, best.name != run.exchange else {
            return "\(found), the fastest that there is here; hint: fewer ranks, a larger --batch-size, or --wire bf16"
        }
        return "\(found); hint: --exchange auto takes \(best.name), " + format("%.0f ms", best.milliseconds) + " a step predicted"
    }
}
