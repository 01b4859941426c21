/// Steps that wait for frames.
struct StarvingDetector: TrainingDetector {
    private var lines = 0

    mutating func look(_ facts: TimeFacts, _ run: RunFacts) -> String? {
        // The first steps wait for the first frames, and times of a few steps say little.
        guard run.readsFiles, facts.step > 10, facts.steps >= 5 else { return nil }
        lines = facts.loading > 0.4 ? lines + 1 : 0
        guard lines >= 2 else { return nil }
        return "\(percent(facts.loading)) of the time is waiting for frames; hint: a larger --cache (MiB) keeps frames in memory, or a local disk"
    }
}
