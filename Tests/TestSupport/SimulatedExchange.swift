import Collectives

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
    /// The sums over all ranks, element by element, rounded where the ranks of real nodes round.
    /// - Parameters:
    ///   - inputs: of each rank, `count` values.
    ///   - isJoined: whether the sums themselves travel to the other ranks.
    func sums(_ inputs: [UnsafePointer<Float>], count: Int, wire: WireFormat, isJoined: Bool) -> [Float] {
        // Ranks in order within a node, then nodes in order; on nodes of different sizes parts are not summed in two levels.
        let groups = isUniform || isJoined ? nodes : [Array(inputs.indices)]
        let ofGroups = groups.map { ranks in
            var sums = [Float](repeating: 0, count: count)
            for rank in ranks { wire.add(inputs[rank], to: &sums, isFirst: rank == ranks[0]) }
            return sums
        }
        var totals = ofGroups[0]
        if groups.count > 1 {
            for (group, sums) in ofGroups.enumerated() { wire.add(sums, to: &totals, isFirst: group == 0) }
        }
        return isJoined ? totals.map(wire.rounded) : totals
    }
}

extension WireFormat {
    /// The value as the other side gets it.
    func rounded(_ value: Float) -> Float { self == .fp32 ? value : BFloat16.value(BFloat16.bits(value)) }

    /// Adds to the sums what the other side gets of the values; the first are the sums so far.
    fileprivate func add(_ values: UnsafePointer<Float>, to sums: inout [Float], isFirst: Bool) {
        for index in sums.indices {
            let value = rounded(values[index])
            sums[index] = isFirst ? value : sums[index] + value
        }
    }
}
