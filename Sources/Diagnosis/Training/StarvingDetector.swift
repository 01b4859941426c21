/// Steps that wait for frames.
struct StarvingDetector: TrainingDetector {
    private var windows = 0

    mutating func look(_ facts: TrainingFacts, _ run: RunFacts) -> String? {
        // The first steps wait for the first frames.
        guard run.readsFiles, let pace = facts.pace, pace.first > 10 else { return nil }
        let share = PaceShares(pace.ranks).typical(\.loading)
        windows = share > 0.4 ? windows + 1 : 0
        guard windows >= 2 else { return nil }
        return "\(percent(share)) of the time is waiting for frames; hint: a larger --cache (MiB) keeps frames in memory, or a local disk"
    }
}
