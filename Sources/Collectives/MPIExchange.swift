/// An alltoall of messages that MPI has under way.
final class MPIExchange: PendingExchange {
    private let messages: MPIMessages
    /// Sums that others may wait for meanwhile.
    private let sums: [NodeRanks]

    init(_ messages: MPIMessages, beside sums: [NodeRanks]) {
        self.messages = messages
        self.sums = sums
    }

    func poll() throws(CollectiveError) -> Bool {
        for sum in sums { try sum.poll() }
        let isDone = try messages.poll()
        try messages.doMeanwhile()
        return isDone
    }

    func finish() throws(CollectiveError) {
        while !sums.allSatisfy(\.isIdle) { if try poll() { return } }
        try messages.wait()
    }
}

/// One whose messages to other nodes are packed.
final class PackedExchange: PendingExchange {
    private let far: NodePacking.Exchange
    private let near: MPIExchange
    private let arrivals: Arrivals

    init(_ far: NodePacking.Exchange, near: MPIExchange, arrivals: Arrivals) {
        self.far = far
        self.near = near
        self.arrivals = arrivals
    }

    func poll() throws(CollectiveError) -> Bool {
        // It moves the packed ones too.
        let isNearDone = try near.poll()
        return isNearDone && far.isDone
    }

    func finish() throws(CollectiveError) {
        let patience = Patience(arrivals)
        while try !poll() { patience.wait() }
    }
}
