/// Messages of one exchange between simulated ranks, taken as they come.
final class SimulatedExchange: PendingExchange {
    private let rank: Int
    private let number: Int
    private let received: UnsafeMutableRawBufferPointer
    private let counts: [Int]
    private let rendezvous: Rendezvous
    private let completion: () -> Void
    private var missing: [Int]

    /// - Parameter completion: run once, when all is there.
    init(
        rank: Int, number: Int, into received: UnsafeMutableRawBufferPointer, counts: [Int], rendezvous: Rendezvous,
        completion: @escaping () -> Void = {}
    ) {
        self.rank = rank
        self.number = number
        self.received = received
        self.counts = counts
        self.rendezvous = rendezvous
        self.completion = completion
        missing = Array(counts.indices)
    }

    func poll() throws(CollectiveError) -> Bool {
        for source in missing where try rendezvous.has(from: source, to: rank, exchange: number) { try take(from: source) }
        return missing.isEmpty
    }

    func finish() throws(CollectiveError) {
        for source in missing { try take(from: source) }
    }

    private func take(from source: Int) throws(CollectiveError) {
        let message = try rendezvous.take(from: source, to: rank, exchange: number)
        guard message.count == counts[source] else {
            throw .wrongLength(source: source, expected: counts[source], received: message.count)
        }
        received[counts[..<source].reduce(0, +)...].copyBytes(from: message)
        missing.removeAll { $0 == source }
        if missing.isEmpty { completion() }
    }
}

extension NodeMap {
    /// The sum over all ranks of one value each, rounded where the ranks of real nodes round.
    /// - Parameter isJoined: whether the sum itself travels to the other ranks.
    func sum(_ terms: [Float], wire: WireFormat, isJoined: Bool) -> Float {
        // Ranks in order within a node, then nodes in order; on nodes of different sizes parts are not summed in two levels.
        let groups = isUniform || isJoined ? nodes : [Array(terms.indices)]
        let sums = groups.map { ranks in ranks.dropFirst().reduce(wire.rounded(terms[ranks[0]])) { $0 + wire.rounded(terms[$1]) } }
        let total = sums.count == 1 ? sums[0] : sums.dropFirst().reduce(wire.rounded(sums[0])) { $0 + wire.rounded($1) }
        return isJoined ? wire.rounded(total) : total
    }
}

extension WireFormat {
    /// The value as the other side gets it.
    func rounded(_ value: Float) -> Float { self == .fp32 ? value : BFloat16.value(BFloat16.bits(value)) }
}
