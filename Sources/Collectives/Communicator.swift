/// The ranks of one training, as seen by one of them.
///
/// Every collective must be entered by all ranks, in the same order, with matching counts. Results of `sum`, `maximum`,
/// `broadcast` and `allgather` have the same bits on all ranks, and the same bits in every run with the same number of
/// ranks. Calls block; they are made by one thread only (with MPI: the main thread). Buffers of one call do not
/// overlap. Counts have no upper limit: what MPI cannot take at once is sent in pieces.
package protocol Communicator: AnyObject {
    /// This rank's number, `0 ..< size`.
    var rank: Int { get }

    /// The number of ranks.
    var size: Int { get }

    /// Where this rank runs among the nodes.
    var place: NodePlace { get }

    /// Bytes this rank has sent so far, counted by the formulas in `Traffic`, not measured on the wire.
    var traffic: TrafficCount { get }

    /// A line for the user about how the ranks are connected, where that is not as it should be; the same on all ranks.
    var notice: String? { get }

    /// Replaces each element by its sum over all ranks. `values` has the same count on all ranks.
    ///
    /// Within a node the sum is taken in rank order, then over the nodes in their order.
    func sum(_ values: UnsafeMutableBufferPointer<Float>, wire: WireFormat) throws(CollectiveError)

    /// Starts what `sum` does. All ranks start the same exchanges in the same order, and finish them in any.
    func startSum(
        _ values: UnsafeMutableBufferPointer<Float>, wire: WireFormat
    ) throws(CollectiveError) -> any PendingExchange

    /// Memory for `count` floats which the other ranks of the node can read, until it is given back or the communicator ends: a
    /// sum or reduce-scatter of what lies there, in fp32, needs no copy to where the others see it. Its pages are this rank's.
    ///
    /// All ranks call it, with the same count, and sum the same part of it at the same time. Nil, on all ranks of a node,
    /// where no memory is shared.
    func sharedBuffer(count: Int) throws(CollectiveError) -> UnsafeMutableBufferPointer<Float>?

    /// Gives back what `sharedBuffer` gave, nil too: all ranks call it, and a node of one rank got nothing.
    func giveBack(_ buffer: UnsafeMutableBufferPointer<Float>?) throws(CollectiveError)

    /// Replaces each element by its sum over all ranks. `values` has the same count on all ranks.
    func sum(_ values: UnsafeMutableBufferPointer<Double>) throws(CollectiveError)

    /// Replaces each element by its largest value over all ranks. What a NaN gives is unspecified.
    func maximum(_ values: UnsafeMutableBufferPointer<Double>) throws(CollectiveError)

    /// Overwrites `bytes` on all ranks by those of rank `root`. The same count on all ranks.
    func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws(CollectiveError)

    /// Every rank's bytes, in rank order, on every rank. Lengths may differ and may be 0.
    func allgather(_ bytes: [UInt8]) throws(CollectiveError) -> [[UInt8]]

    /// Every rank's bytes, in rank order, on rank `root`; nil on the others. Lengths may differ and may be 0.
    func gather(_ bytes: [UInt8], to root: Int) throws(CollectiveError) -> [[UInt8]]?

    /// Sums `values` over the ranks and leaves part `rank` of the sum in `sums`.
    ///
    /// `values` is divided into `counts[0]`, `counts[1]`, ... elements in rank order; `sums` has `counts[rank]`
    /// elements; `counts` is the same on all ranks and may contain zeros.
    /// In bf16 contributions are rounded, the sums are not.
    func reduceScatterSum(
        _ values: UnsafeBufferPointer<Float>, counts: [Int], into sums: UnsafeMutableBufferPointer<Float>,
        wire: WireFormat
    ) throws(CollectiveError)

    /// Starts what `reduceScatterSum` does. Until it is done `values` stay as they are, and `sums` are the communicator's. All ranks
    /// start the same exchanges in the same order, and finish them in any.
    func startReduceScatterSum(
        _ values: UnsafeBufferPointer<Float>, counts: [Int], into sums: UnsafeMutableBufferPointer<Float>
    ) throws(CollectiveError) -> any PendingExchange

    /// Joins every rank's `part` in rank order.
    ///
    /// `part` has `counts[rank]` elements; `whole` the sum of `counts`; `counts` is the same on all ranks. `part` may lie in its
    /// place in `whole`. In bf16 all parts are rounded on all ranks, the own part too.
    func allgather(
        _ part: UnsafeBufferPointer<Float>, counts: [Int], into whole: UnsafeMutableBufferPointer<Float>,
        wire: WireFormat
    ) throws(CollectiveError)

    /// Starts what `allgather` does, on the terms of `startReduceScatterSum`.
    func startAllgather(
        _ part: UnsafeBufferPointer<Float>, counts: [Int], into whole: UnsafeMutableBufferPointer<Float>
    ) throws(CollectiveError) -> any PendingExchange

    /// Starts to send `sendCounts[r]` bytes to each rank r and to receive `receiveCounts[r]` from it; both lie in rank
    /// order.
    ///
    /// `sendCounts[r]` here is `receiveCounts[rank]` on rank r. Several may be under way, beside other collectives; all
    /// ranks start them in the same order, and finish them in any.
    func startAlltoall(
        _ bytes: UnsafeRawBufferPointer, sendCounts: [Int],
        into received: UnsafeMutableRawBufferPointer, receiveCounts: [Int]
    ) throws(CollectiveError) -> any PendingExchange

    /// Whether `startPackedAlltoall` has messages to save: of several nodes some have several ranks, which share memory.
    var packsByNode: Bool { get }

    /// Makes room for `startPackedAlltoall`; all ranks call it, with the same number. Where memory is short nothing is packed.
    /// - Parameter room: bytes that a rank sends to other nodes, or receives from them, at once at the most. Each rank's memory for it
    ///   is `AlltoallPacking.bytes`.
    func reservePacking(room: Int) throws(CollectiveError)

    /// What `startAlltoall` does, with the same outcome: all that the ranks of a node have for those of another travels as one
    /// message, for which there must be room (`reservePacking`). May wait for exchanges under way that leave none.
    func startPackedAlltoall(
        _ bytes: UnsafeRawBufferPointer, sendCounts: [Int],
        into received: UnsafeMutableRawBufferPointer, receiveCounts: [Int]
    ) throws(CollectiveError) -> any PendingExchange

    /// Sends `bytes` to rank `destination`, which must call `receive` with the same count. May return only after that.
    func send(_ bytes: UnsafeRawBufferPointer, to destination: Int) throws(CollectiveError)

    /// Fills `bytes` with what rank `source` sends. Messages of one pair of ranks arrive in the order they were sent.
    func receive(_ bytes: UnsafeMutableRawBufferPointer, from source: Int) throws(CollectiveError)

    /// Waits until all ranks are here. A long wait sleeps rather than burns a core.
    func barrier() throws(CollectiveError)

    /// A message space of its own for what travels beside the collectives. All ranks call it.
    func sideMessages() throws(CollectiveError) -> any SideMessages

    /// What this rank does each time that it waits for others, or looks at what is under way: it moves messages along, never waits
    /// and enters no collective. Simulated ranks do without.
    var meanwhile: (() throws(CollectiveError) -> Void)? { get set }

    /// Ends the use of the library on this rank. All ranks call it, once, before a normal end and before an agreed
    /// error exit.
    func finish()

    /// Ends all ranks at once, with this exit code, when they cannot be asked to agree.
    func abort(exitCode: Int32) -> Never
}

extension Communicator {
    /// All bytes this rank has sent so far.
    package var bytesSent: UInt64 { traffic.total }

    /// In fp32.
    package func sum(_ values: UnsafeMutableBufferPointer<Float>) throws(CollectiveError) {
        try sum(values, wire: .fp32)
    }

    /// In fp32.
    package func startSum(
        _ values: UnsafeMutableBufferPointer<Float>
    ) throws(CollectiveError) -> any PendingExchange { try startSum(values, wire: .fp32) }

    /// In fp32.
    package func reduceScatterSum(
        _ values: UnsafeBufferPointer<Float>, counts: [Int], into sums: UnsafeMutableBufferPointer<Float>
    ) throws(CollectiveError) { try reduceScatterSum(values, counts: counts, into: sums, wire: .fp32) }

    /// In fp32.
    package func allgather(
        _ part: UnsafeBufferPointer<Float>, counts: [Int], into whole: UnsafeMutableBufferPointer<Float>
    ) throws(CollectiveError) { try allgather(part, counts: counts, into: whole, wire: .fp32) }
}

extension Communicator {
    // Of ranks that send no messages.

    package var packsByNode: Bool { false }

    package func reservePacking(room: Int) throws(CollectiveError) {}

    package func startReduceScatterSum(
        _ values: UnsafeBufferPointer<Float>, counts: [Int], into sums: UnsafeMutableBufferPointer<Float>
    ) throws(CollectiveError) -> any PendingExchange {
        try reduceScatterSum(values, counts: counts, into: sums)
        return DoneExchange()
    }

    package func startAllgather(
        _ part: UnsafeBufferPointer<Float>, counts: [Int], into whole: UnsafeMutableBufferPointer<Float>
    ) throws(CollectiveError) -> any PendingExchange {
        try allgather(part, counts: counts, into: whole)
        return DoneExchange()
    }

    package func startPackedAlltoall(
        _ bytes: UnsafeRawBufferPointer, sendCounts: [Int],
        into received: UnsafeMutableRawBufferPointer, receiveCounts: [Int]
    ) throws(CollectiveError) -> any PendingExchange {
        try startAlltoall(bytes, sendCounts: sendCounts, into: received, receiveCounts: receiveCounts)
    }
}

/// One rank's reason to stop.
package struct RankFailure: Equatable, Sendable {
    package let rank: Int
    package let message: String

    package init(rank: Int, message: String) {
        self.rank = rank
        self.message = message
    }
}

extension Communicator {
    /// Lets all ranks learn of all failures, so that rank 0 can print them and all exit alike.
    ///
    /// Every rank calls it, with nil where nothing is wrong. The result is the same on all ranks, in rank order, and
    /// empty when all is well, which costs one allreduce of a single number.
    package func agree(_ failure: String?) throws(CollectiveError) -> [RankFailure] {
        guard try maximum(failure == nil ? 0 : 1) > 0 else { return [] }
        // The first byte tells "no failure" from a failure with an empty text.
        let texts = try allgather(failure.map { [1] + Array($0.utf8) } ?? [0])
        return texts.enumerated().compactMap { rank, text in
            text[0] == 1 ? RankFailure(rank: rank, message: String(decoding: text.dropFirst(), as: UTF8.self)) : nil
        }
    }

    /// The sum over all ranks of one number.
    package func sum(_ value: Double) throws(CollectiveError) -> Double {
        try reduced(value) { (buffer) throws(CollectiveError) in try self.sum(buffer) }
    }

    /// The largest over all ranks of one number.
    package func maximum(_ value: Double) throws(CollectiveError) -> Double {
        try reduced(value) { (buffer) throws(CollectiveError) in try self.maximum(buffer) }
    }

    private func reduced(
        _ value: Double, _ reduce: (UnsafeMutableBufferPointer<Double>) throws(CollectiveError) -> Void
    ) throws(CollectiveError) -> Double {
        var value = value
        try withUnsafeMutablePointer(to: &value) { (pointer) throws(CollectiveError) in
            try reduce(UnsafeMutableBufferPointer(start: pointer, count: 1))
        }
        return value
    }
}
