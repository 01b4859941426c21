package import Collectives
import Glibc
import System

/// One of N logical ranks that are threads of this process: the way to test whatever is distributed without MPI.
///
/// Sums are taken in rank order, in the elements' own type. Ranks that enter different calls, or wait for one that has
/// ended, get an error where real MPI would hang. Messages are buffered: `send` never waits.
package final class Simulated: Communicator {
    package let rank: Int
    package let size: Int
    package let place: NodePlace
    package private(set) var traffic = TrafficCount()
    package var notice: String? { nil }

    private let map: NodeMap
    private let rendezvous: Rendezvous
    private var exchangesStarted = 0

    private init(rank: Int, size: Int, ranksPerNode: Int, rendezvous: Rendezvous) {
        self.rank = rank
        self.size = size
        self.rendezvous = rendezvous
        let leaders = (0..<size).map { $0 / ranksPerNode * ranksPerNode }
        map = NodeMap(leaders: leaders)
        place = NodePlace(of: rank, in: map, host: "node\(rank / ranksPerNode)")
    }

    /// Runs `body` on each of `ranks` threads, and returns what they returned, in rank order.
    ///
    /// - Parameter ranksPerNode: how many consecutive ranks count as being on one node; all, if nil.
    /// - Throws: the error of the rank that failed first for a reason of its own. The others do not hang: what they
    ///   wait for throws `CollectiveError.peerEnded`.
    package static func run<Value: Sendable>(
        ranks: Int, ranksPerNode: Int? = nil, _ body: @escaping @Sendable (any Communicator) throws -> Value
    ) throws -> [Value] {
        precondition(ranks > 0)
        let rendezvous = Rendezvous(size: ranks)
        let outcomes = Outcomes<Value>(ranks: ranks)
        // Threads, not tasks: ranks block, and the pool of Swift's tasks must not be blocked.
        let threads = try ThreadGroup(count: ranks) { rank in
            let communicator = Simulated(
                rank: rank, size: ranks, ranksPerNode: ranksPerNode ?? ranks, rendezvous: rendezvous)
            let result = Result { try body(communicator) }
            rendezvous.end(rank: rank, reason: result.failure.map { "\($0)" })
            outcomes.set(rank, result)
        }
        precondition(threads.count == ranks, "no thread for a simulated rank")
        threads.join()
        let results = outcomes.all
        let errors = results.compactMap(\.failure)
        let own = errors.first { error in
            if case .peerEnded = error as? CollectiveError { return false }
            return true
        }
        if let error = own ?? errors.first { throw error }
        return try results.map { try $0.get() }
    }

    // MARK: Reductions and broadcast

    package func sum(_ values: UnsafeMutableBufferPointer<Float>, wire: WireFormat) throws(CollectiveError) {
        let wire = travelling(wire)
        let contribution = Rendezvous.Contribution(receive: UnsafeMutableRawBufferPointer(values))
        try rendezvous.meet(rank: rank, call: "sum of floats [\(values.count)] in \(wire)", contribution) { all in
            let buffers = all.map { $0.receive.assumingMemoryBound(to: Float.self) }
            // An empty buffer has no address.
            guard !values.isEmpty else { return }
            let sums = map.sums(buffers.map { UnsafePointer($0.baseAddress!) }, count: values.count, wire: wire, isJoined: true)
            for buffer in buffers { _ = buffer.update(fromContentsOf: sums) }
        }
        traffic += map.sum(bytes: values.count * wire.stride, rank: rank)
    }

    package func startSum(_ values: UnsafeMutableBufferPointer<Float>, wire: WireFormat) -> any PendingExchange {
        let wire = travelling(wire)
        exchangesStarted += 1
        for destination in 0..<size {
            rendezvous.post([UInt8](UnsafeRawBufferPointer(values)), from: rank, to: destination, exchange: exchangesStarted)
        }
        traffic += map.sum(bytes: values.count * wire.stride, rank: rank)
        let (map, size) = (map, size)
        let contributions = UnsafeMutableBufferPointer<Float>.allocate(capacity: values.count * size)
        return SimulatedExchange(
            rank: rank, number: exchangesStarted, into: UnsafeMutableRawBufferPointer(contributions),
            counts: Array(repeating: values.count * 4, count: size), rendezvous: rendezvous
        ) {
            let inputs = (0..<size).map { UnsafePointer(contributions.baseAddress! + $0 * values.count) }
            _ = values.update(fromContentsOf: map.sums(inputs, count: values.count, wire: wire, isJoined: true))
            contributions.deallocate()
        }
    }

    package func sharedBuffer(count: Int) -> UnsafeMutableBufferPointer<Float>? { nil }

    package func giveBack(_ buffer: UnsafeMutableBufferPointer<Float>?) {}

    /// What a single rank keeps to itself is not rounded.
    private func travelling(_ wire: WireFormat) -> WireFormat { size == 1 ? .fp32 : wire }

    package func sum(_ values: UnsafeMutableBufferPointer<Double>) throws(CollectiveError) {
        try reduce(values, "sum of doubles") { $0 + $1 }
    }

    package func maximum(_ values: UnsafeMutableBufferPointer<Double>) throws(CollectiveError) {
        try reduce(values, "maximum") { max($0, $1) }
    }

    private func reduce<Element: BitwiseCopyable>(
        _ values: UnsafeMutableBufferPointer<Element>, _ name: String, _ combine: (Element, Element) -> Element
    ) throws(CollectiveError) {
        let contribution = Rendezvous.Contribution(receive: UnsafeMutableRawBufferPointer(values))
        try rendezvous.meet(rank: rank, call: "\(name) [\(values.count)]", contribution) { all in
            let buffers = all.map { $0.receive.assumingMemoryBound(to: Element.self) }
            for index in buffers[0].indices {
                var result = buffers[0][index]
                for buffer in buffers.dropFirst() { result = combine(result, buffer[index]) }
                for buffer in buffers { buffer[index] = result }
            }
        }
        traffic += map.sent(
            Traffic.allreduce(bytes: values.count * MemoryLayout<Element>.stride, size: size), from: rank)
    }

    package func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws(CollectiveError) {
        let contribution = Rendezvous.Contribution(receive: bytes)
        try rendezvous.meet(rank: rank, call: "broadcast from \(root) [\(bytes.count)]", contribution) { all in
            for (rank, other) in all.enumerated() where rank != root {
                other.receive.copyMemory(from: UnsafeRawBufferPointer(all[root].receive))
            }
        }
        traffic += map.sent(Traffic.broadcast(bytes: bytes.count, size: size, rank: rank, root: root), from: rank)
    }

    package func reduceScatterSum(
        _ values: UnsafeBufferPointer<Float>, counts: [Int], into sums: UnsafeMutableBufferPointer<Float>,
        wire: WireFormat
    ) throws(CollectiveError) {
        precondition(counts.count == size && counts.reduce(0, +) == values.count && sums.count == counts[rank])
        let wire = travelling(wire)
        let contribution = Rendezvous.Contribution(
            send: UnsafeRawBufferPointer(values), receive: UnsafeMutableRawBufferPointer(sums))
        try rendezvous.meet(rank: rank, call: "reduceScatterSum \(counts) in \(wire)", contribution) { all in
            guard !values.isEmpty else { return }
            let inputs = all.map { $0.send.assumingMemoryBound(to: Float.self).baseAddress! }
            for (owner, offset) in counts.offsets().enumerated() {
                let sums = map.sums(inputs.map { UnsafePointer($0 + offset) }, count: counts[owner], wire: wire, isJoined: false)
                _ = all[owner].receive.assumingMemoryBound(to: Float.self).update(fromContentsOf: sums)
            }
        }
        traffic += map.reduceScatter(parts: counts.map { $0 * wire.stride }, rank: rank)
    }

    // MARK: Joining and exchanging parts

    package func allgather(
        _ part: UnsafeBufferPointer<Float>, counts: [Int], into whole: UnsafeMutableBufferPointer<Float>,
        wire: WireFormat
    ) throws(CollectiveError) {
        precondition(counts.count == size && counts.reduce(0, +) == whole.count && part.count == counts[rank])
        let wire = travelling(wire)
        let contribution = Rendezvous.Contribution(
            send: UnsafeRawBufferPointer(part), receive: UnsafeMutableRawBufferPointer(whole))
        try rendezvous.meet(rank: rank, call: "allgather \(counts) in \(wire)", contribution) { all in
            for destination in all {
                let whole = destination.receive.assumingMemoryBound(to: Float.self)
                for (source, offset) in zip(all, counts.offsets()) {
                    let part = source.send.assumingMemoryBound(to: Float.self)
                    for index in part.indices { whole[offset + index] = wire.rounded(part[index]) }
                }
            }
        }
        traffic += map.allgather(parts: counts.map { $0 * wire.stride }, rank: rank)
    }

    package func allgather(_ bytes: [UInt8]) throws(CollectiveError) -> [[UInt8]] {
        let all = try exchangeBytes("allgather of bytes", bytes)
        traffic += map.sent(
            Traffic.allgather(parts: all.map(\.count), rank: rank) + Traffic.lengths(size: size), from: rank)
        return all
    }

    package func gather(_ bytes: [UInt8], to root: Int) throws(CollectiveError) -> [[UInt8]]? {
        let all = try exchangeBytes("gather to \(root)", bytes)
        traffic += map.sent(Traffic.lengths(size: size), from: rank)
        if rank != root { traffic += map.sent(UInt64(bytes.count), from: rank, to: root) }
        return rank == root ? all : nil
    }

    private func exchangeBytes(_ call: String, _ bytes: [UInt8]) throws(CollectiveError) -> [[UInt8]] {
        // Each rank lends the place for its own result; the last to come fills all of them.
        var result: [[UInt8]] = []
        let outcome = withUnsafeMutablePointer(to: &result) { place in
            Result { () throws(CollectiveError) in
                let contribution = Rendezvous.Contribution(bytes: bytes, joined: place)
                try rendezvous.meet(rank: rank, call: call, contribution) { all in
                    let joined = all.map(\.bytes)
                    for other in all { other.joined!.pointee = joined }
                }
            }
        }
        try outcome.get()
        return result
    }

    package func startAlltoall(
        _ bytes: UnsafeRawBufferPointer, sendCounts: [Int],
        into received: UnsafeMutableRawBufferPointer, receiveCounts: [Int]
    ) -> any PendingExchange {
        precondition(sendCounts.count == size && sendCounts.reduce(0, +) == bytes.count)
        precondition(receiveCounts.count == size && receiveCounts.reduce(0, +) == received.count)
        exchangesStarted += 1
        for (destination, offset) in sendCounts.offsets().enumerated() {
            let message = [UInt8](bytes[offset..<offset + sendCounts[destination]])
            rendezvous.post(message, from: rank, to: destination, exchange: exchangesStarted)
        }
        traffic += map.alltoall(parts: sendCounts, rank: rank)
        return SimulatedExchange(
            rank: rank, number: exchangesStarted, into: received, counts: receiveCounts, rendezvous: rendezvous)
    }

    // MARK: Point to point, waiting and ending

    package func send(_ bytes: UnsafeRawBufferPointer, to destination: Int) {
        rendezvous.post([UInt8](bytes), from: rank, to: destination)
        traffic += map.sent(UInt64(bytes.count), from: rank, to: destination)
    }

    package func receive(_ bytes: UnsafeMutableRawBufferPointer, from source: Int) throws(CollectiveError) {
        let message = try rendezvous.take(from: source, to: rank)
        guard message.count == bytes.count else {
            throw .wrongLength(source: source, expected: bytes.count, received: message.count)
        }
        bytes.copyBytes(from: message)
    }

    package func barrier() throws(CollectiveError) {
        try rendezvous.meet(rank: rank, call: "barrier", Rendezvous.Contribution()) { _ in }
    }

    package func sideMessages() -> any SideMessages { SimulatedSideMessages(rank: rank, rendezvous: rendezvous) }

    package var meanwhile: (() throws(CollectiveError) -> Void)?

    package func finish() {}

    /// Ends the process, as all its ranks are in it.
    package func abort(exitCode: Int32) -> Never { _exit(exitCode) }
}

/// What the ranks' threads came to. `@unchecked Sendable`: used under the lock.
private final class Outcomes<Value: Sendable>: @unchecked Sendable {
    private let condition = ConditionLock()
    private var results: [Result<Value, any Error>?]

    init(ranks: Int) { results = Array(repeating: nil, count: ranks) }

    func set(_ rank: Int, _ result: Result<Value, any Error>) { condition.withLock { results[rank] = result } }

    /// Of each rank; to be called when all have ended.
    var all: [Result<Value, any Error>] { condition.withLock { results.map { $0! } } }
}

extension Result {
    fileprivate var failure: Failure? {
        if case .failure(let error) = self { return error }
        return nil
    }
}
