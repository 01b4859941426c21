import Diagnosis

/// Where this rank's time goes, for comparison with the others: told to all with a step's statistics every `every` steps, whatever is logged.
struct PaceMeter {
    /// Steps of a window.
    static let every = 10

    private var sums = RankPace()
    /// What of the timer is in the sums already.
    private var counted = RankPace()
    private var withoutProcessor = ProcessorTime.waited()
    private var onProcessors = ProcessorTime.used()

    /// Whether ranks tell their pace in the step after this many.
    static func isDue(after step: Int) -> Bool { step > 0 && step % every == 0 }

    /// Takes over what the timer has measured: before it restarts, and before `take`.
    mutating func add(_ timer: StepTimer, restarts: Bool) {
        var measured = RankPace()
        measured.elapsed = timer.elapsed
        measured.loading = timer.waiting
        measured.exchanging = timer.exchangeWaiting - timer.layerWaiting
        measured.computing = timer.forward + timer.backward - timer.exchangeWaiting
        for member in RankPace.members { sums[keyPath: member] += measured[keyPath: member] - counted[keyPath: member] }
        counted = restarts ? RankPace() : measured
    }

    /// The pace since the last call.
    mutating func take() -> RankPace {
        defer { sums = RankPace() }
        let now = ProcessorTime.waited()
        var pace = sums
        if let now, let before = withoutProcessor { pace.withoutProcessor = now - before }
        withoutProcessor = now
        let used = ProcessorTime.used()
        pace.onProcessors = used - onProcessors
        onProcessors = used
        return pace
    }
}

extension RankPace {
    var values: [Double] { Self.members.map { self[keyPath: $0] } }

    /// Of all ranks, from what `values` of each gave, one after the other.
    static func all(_ values: [Double]) -> [RankPace] {
        stride(from: 0, to: values.count, by: members.count).map { start in
            var pace = RankPace()
            for (index, member) in members.enumerated() { pace[keyPath: member] = values[start + index] }
            return pace
        }
    }
}
