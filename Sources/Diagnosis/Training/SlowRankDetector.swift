import Telemetry

/// One rank whose own work takes longer than that of the others, which wait for it in every step.
struct SlowRankDetector: TrainingDetector {
    /// Windows in a row in which the same rank must be slow.
    private static let windows = 3
    /// What a rank takes more than the others' median to be called slow; and seconds in a window below which it is noise.
    private static let (ratio, noise) = (1.5, 0.2)

    private var slow: (rank: Int, since: Int, count: Int)?

    mutating func look(_ facts: TrainingFacts, _ run: RunFacts) -> String? {
        guard let pace = facts.pace, pace.first > 10, pace.ranks.count > 1,
            let rank = pace.ranks.indices.max(by: { pace.ranks[$0].own < pace.ranks[$1].own })
        else { return nil }
        let own = pace.ranks[rank].own
        let others = pace.ranks.indices.filter { $0 != rank }.map { pace.ranks[$0].own }.sorted()
        let usual = others[(others.count - 1) / 2]
        // A rank with 3 samples of a batch, where others have 2, is not slow.
        let uneven = Double(run.shard.most) / Double(max(1, run.shard.fewest))
        guard own > Self.ratio * uneven * usual, own - usual > Self.noise else {
            slow = nil
            return nil
        }
        let (since, before) = slow?.rank == rank ? (slow!.since, slow!.count) : (pace.first, 0)
        slow = (rank, since, before + 1)
        guard before + 1 >= Self.windows else { return nil }
        let steps = Double(pace.last - pace.first + 1)
        let host = run.hosts.indices.contains(rank) ? run.hosts[rank] : ""
        let (ownTime, usualTime) = (milliseconds(own / steps), milliseconds(usual / steps))
        return "rank \(rank) on \(host) is slow since step \(since): its own work takes \(ownTime) a step, that of the others \(usualTime), "
            + "and they wait for it; hint: \(cure(pace.ranks[rank], usual: usual, host: host))"
    }

    private func cure(_ pace: RankPace, usual: Double, host: String) -> String {
        if pace.loading > 0.5 * (pace.own - usual) { return "it waits for frames: a larger --cache, or a local disk on \(host)" }
        if pace.withoutProcessor > 0.2 * pace.elapsed {
            return "it waits for a processor: stop what else runs on \(host) (top), or fewer --threads there"
        }
        return "look at \(host): other programs (top), its clock (throttled when hot), its memory; or leave it out"
    }

    private func milliseconds(_ seconds: Double) -> String { format("%.0f ms", seconds * 1000) }
}
