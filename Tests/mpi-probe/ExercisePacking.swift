import Collectives

extension Exercise {
    /// Exchanges whose messages are packed by node: more at once than there is room for, with a sum among them, finished in another
    /// order on each rank.
    /// - Returns: messages to other nodes of one exchange, straight and packed.
    func packedExchanges(_ tally: inout Tally) throws -> (straight: Int, packed: Int)? {
        let ranks = 0..<size
        func letter(_ source: Int, _ destination: Int, _ number: Int) -> [Float] {
            (0..<share(source, destination)).map { Float(whole(source * 10 + destination + number, $0)) }
        }
        // Of the rank that has most, either way: room for one exchange and a part of the next.
        let most = ranks.reduce(0) { most, rank in
            max(most, ranks.reduce(0) { $0 + share(rank, $1) }, ranks.reduce(0) { $0 + share($1, rank) })
        }
        try communicator.reservePacking(room: most * 6)

        final class Pair {
            let sent, received: Buffer<Float>
            var pending: (any PendingExchange)?
            init(_ values: [Float], count: Int) { (sent, received) = (Buffer(values), Buffer([Float](repeating: -1, count: count))) }
        }
        let receiveCounts = ranks.map { share($0, rank) }
        func start(_ number: Int, isPacked: Bool = true) throws -> Pair {
            let pair = Pair(ranks.flatMap { letter(rank, $0, number) }, count: receiveCounts.reduce(0, +))
            let (values, counts) = (UnsafeBufferPointer(pair.sent.elements), ranks.map { share(rank, $0) })
            pair.pending =
                isPacked
                ? try communicator.startPackedAlltoall(values, sendCounts: counts, into: pair.received.elements, receiveCounts: receiveCounts)
                : try communicator.startAlltoall(values, sendCounts: counts, into: pair.received.elements, receiveCounts: receiveCounts)
            return pair
        }
        // Its memory stays until then.
        func finish(_ pair: Pair) throws { try withExtendedLifetime(pair) { try pair.pending!.finish() } }
        var pairs = try (0..<5).map { try start($0) }
        let values = Buffer([Float](repeating: 1, count: count))
        let sum = try communicator.startSum(values.elements)
        pairs += try (5..<20).map { try start($0) }
        if rank % 2 == 1 { try sum.finish() }
        for number in 0..<pairs.count { try pairs[(number * 7 + rank) % pairs.count].pending!.finish() }
        try sum.finish()
        tally.check(
            "packed exchanges",
            values.elements.allSatisfy { $0 == Float(size) }
                && pairs.enumerated().allSatisfy { number, pair in
                    Array(pair.received.elements) == ranks.flatMap { letter($0, rank, number) }
                })
        guard let counter = communicator as? MPICommunicator else {
            // As many as below, as what is sent is counted.
            for isPacked in [false, true] { try finish(start(0, isPacked: isPacked)) }
            return nil
        }
        func messages(isPacked: Bool) throws -> Int {
            let before = counter.alltoallMessages
            try finish(start(0, isPacked: isPacked))
            return counter.alltoallMessages - before
        }
        return (try messages(isPacked: false), try messages(isPacked: true))
    }
}
