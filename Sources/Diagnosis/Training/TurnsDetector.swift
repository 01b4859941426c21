/// Threads that wait for a processor, as others have it: more threads or runs than processors, or a limit of the container.
struct TurnsDetector: TrainingDetector {
    /// Shorter windows say little.
    private static let seconds = 3.0
    /// A process that has so much of its processors' time waits for its own threads, such as the loader's, if for any.
    private static let full = 0.75
    private var windows = 0

    mutating func look(_ facts: TrainingFacts, _ run: RunFacts) -> String? {
        guard !run.takesTurns, let pace = facts.pace, pace.first > 10, pace.ranks.first?.elapsed ?? 0 > Self.seconds else { return nil }
        let share = PaceShares(pace.ranks).typical(\.withoutProcessor)
        let used = PaceShares(pace.ranks).typical(\.onProcessors) / run.processors
        windows = share > 0.25 && used < Self.full ? windows + 1 : 0
        guard windows >= 2 else { return nil }
        return "\(percent(share)) of the time is waiting for a processor, which another program has: they take turns; hint: look what else runs "
            + "on the node (top), or a smaller --threads than \(run.threads)"
    }
}
