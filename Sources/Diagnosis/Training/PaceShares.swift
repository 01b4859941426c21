/// Shares of the ranks' time.
struct PaceShares {
    private let ranks: [RankPace]

    init(_ ranks: [RankPace]) { self.ranks = ranks }

    private func sorted(_ member: KeyPath<RankPace, Double>) -> [Double] {
        ranks.map { $0.elapsed > 0 ? $0[keyPath: member] / $0.elapsed : 0 }.sorted()
    }

    /// The median; of two the smaller.
    func typical(_ member: KeyPath<RankPace, Double>) -> Double {
        let all = sorted(member)
        return all.isEmpty ? 0 : all[(all.count - 1) / 2]
    }

    func least(_ member: KeyPath<RankPace, Double>) -> Double { sorted(member).first ?? 0 }
}
