/// A soft-argmax whose maps have all weight at one position: its scores get no gradient, so joints stay where they are.
struct SaturationDetector: TrainingDetector {
    static let isConsequence = true
    private static let most = 0.5
    /// A network that was trained for long may be as sure as that.
    private static let lastStep = 1000
    private var suspects: Set<String> = []

    mutating func look(_ facts: TrainingFacts, _ run: RunFacts) -> String? {
        guard let maps = facts.maps, facts.step <= Self.lastStep else { return nil }
        let saturated = maps.filter { $0.saturated >= Self.most }
        defer { suspects = Set(saturated.map(\.layer)) }
        guard let first = saturated.first(where: { suspects.contains($0.layer) }) else { return nil }
        return "the soft-argmax of layer \(first.layer) is saturated: in \(percent(first.saturated)) of its maps one position has 99% of the weight, "
            + "so the scores get no gradient; hint: initial: small for the convolution that gives the scores, or a smaller --learning-rate"
    }
}
