/// A hidden layer whose ReLU lets nothing through: what lies before it learns nothing more. The first layers of the question's network, which
/// are one, are `CollapseMonitor`'s.
struct DeadLayerDetector: TrainingDetector {
    static let isConsequence = true
    static let isCause = true
    private static let most = 0.9
    /// Layers that were dead the last time.
    private var suspects: Set<String> = []

    mutating func look(_ facts: TrainingFacts, _ run: RunFacts) -> String? {
        guard let units = facts.units else { return nil }
        let dead = units.filter { $0.dead >= Self.most }
        defer { suspects = Set(dead.map(\.layer)) }
        // The first of them is the cause: behind a dead layer others are constant. Most units once may be chance, all are not.
        guard let first = dead.first(where: { $0.dead == 1 || suspects.contains($0.layer) }) else { return nil }
        return "\(percent(first.dead)) of the units of layer \(first.layer) are 0 for every frame of the batch (dead ReLU units pass no gradient, "
            + "and learn no more); hint: a smaller --learning-rate, or in the network's file initial: he and leaky-relu"
    }
}
