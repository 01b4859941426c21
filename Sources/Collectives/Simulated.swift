import Glibc

/// One of N logical ranks that are threads of this process: the way to test whatever is distributed without MPI.
///
/// Sums are taken in rank order, in the elements' own type. Ranks that enter different calls, or wait for one that has
/// ended, get an error where real MPI would hang. Messages are buffered: `send` never waits.
package final class Simulated: Communicator {
    package let rank: Int
    package let size: Int
    package let place: NodePlace
    package private(set) var bytesSent: UInt64 = 0

    private let rendezvous: Rendezvous

    private init(rank: Int, size: Int, ranksPerNode: Int, rendezvous: Rendezvous) {
        self.rank = rank
        self.size = size
        self.rendezvous = rendezvous
        let leaders = (0..<size).map { $0 / ranksPerNode * ranksPerNode }
        place = NodePlace(of: rank, leaders: leaders, hosts: leaders.map { "node\($0 / ranksPerNode)" })
    }

    /// Runs `body` on each of `ranks` threads, and returns what they returned, in rank order.
    ///
    /// - Parameter ranksPerNode: how many consecutive ranks count as being on one node; all, if nil.
    /// - Throws: the error of the rank that failed first for a reason of its own. The others do not hang: what they
    ///   wait for
    ///   throws `CollectiveError.peerEnded`.
    package static func run<Value: Sendable>(
        ranks: Int, ranksPerNode: Int? = nil, _ body: @escaping @Sendable (any Communicator) throws -> Value
    ) throws -> [Value] {
        precondition(ranks > 0)
        let rendezvous = Rendezvous(size: ranks)
        let threads = (0..<ranks).map { rank in
            RankThread<Value> {
                let communicator = Simulated(
                    rank: rank, size: ranks, ranksPerNode: ranksPerNode ?? ranks, rendezvous: rendezvous)
                do {
                    let value = try body(communicator)
                    rendezvous.end(rank: rank, reason: nil)
                    return value
                } catch {
                    rendezvous.end(rank: rank, reason: "\(error)")
                    throw error
                }
            }
        }
        let results = threads.map { $0.join() }
        let errors = results.compactMap { result -> (any Error)? in
            if case .failure(let error) = result { return error }
            return nil
        }
        let own = errors.first { error in
            if case .peerEnded = error as? CollectiveError { return false }
            return true
        }
        if let error = own ?? errors.first { throw error }
        return try results.map { try $0.get() }
    }

    // MARK: Reductions and broadcast

    package func sum(_ values: UnsafeMutableBufferPointer<Float>) throws(CollectiveError) {
        try reduce(values, "sum of floats") { $0 + $1 }
    }

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
        bytesSent += Traffic.allreduce(bytes: values.count * MemoryLayout<Element>.stride, size: size)
    }

    package func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws(CollectiveError) {
        let contribution = Rendezvous.Contribution(receive: bytes)
        try rendezvous.meet(rank: rank, call: "broadcast from \(root) [\(bytes.count)]", contribution) { all in
            for (rank, other) in all.enumerated() where rank != root {
                other.receive.copyMemory(from: UnsafeRawBufferPointer(all[root].receive))
            }
        }
        bytesSent += Traffic.broadcast(bytes: bytes.count, size: size, rank: rank, root: root)
    }

    package func reduceScatterSum(
        _ values: UnsafeBufferPointer<Float>, counts: [Int], into sums: UnsafeMutableBufferPointer<Float>
    ) throws(CollectiveError) {
        precondition(counts.count == size && counts.reduce(0, +) == values.count && sums.count == counts[rank])
        let contribution = Rendezvous.Contribution(
            send: UnsafeRawBufferPointer(values), receive: UnsafeMutableRawBufferPointer(sums))
        try rendezvous.meet(rank: rank, call: "reduceScatterSum \(counts)", contribution) { all in
            for (owner, offset) in counts.offsets().enumerated() {
                let sums = all[owner].receive.assumingMemoryBound(to: Float.self)
                for index in 0..<counts[owner] {
                    sums[index] = all.reduce(nil as Float?) { partial, other in
                        let value = other.send.assumingMemoryBound(to: Float.self)[offset + index]
                        return partial.map { $0 + value } ?? value
                    }!
                }
            }
        }
        bytesSent += Traffic.reduceScatter(parts: counts.map { $0 * 4 }, rank: rank)
    }

    // MARK: Joining and exchanging parts

    package func allgather(
        _ part: UnsafeBufferPointer<Float>, counts: [Int], into whole: UnsafeMutableBufferPointer<Float>
    ) throws(CollectiveError) {
        precondition(counts.count == size && counts.reduce(0, +) == whole.count && part.count == counts[rank])
        let contribution = Rendezvous.Contribution(
            send: UnsafeRawBufferPointer(part), receive: UnsafeMutableRawBufferPointer(whole))
        try rendezvous.meet(rank: rank, call: "allgather \(counts)", contribution) { all in
            for destination in all {
                for (source, offset) in zip(all, counts.offsets()) {
                    destination.receive[(offset * 4)...].copyBytes(from: source.send)
                }
            }
        }
        bytesSent += Traffic.allgather(parts: counts.map { $0 * 4 }, rank: rank)
    }

    package func allgather(_ bytes: [UInt8]) throws(CollectiveError) -> [[UInt8]] {
        let all = try exchangeBytes("allgather of bytes", bytes)
        bytesSent += Traffic.allgather(parts: all.map(\.count), rank: rank) + Traffic.lengths(size: size)
        return all
    }

    package func gather(_ bytes: [UInt8], to root: Int) throws(CollectiveError) -> [[UInt8]]? {
        let all = try exchangeBytes("gather to \(root)", bytes)
        bytesSent += Traffic.lengths(size: size) + (rank == root ? 0 : UInt64(bytes.count))
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

    package func alltoall(
        _ values: UnsafeBufferPointer<Float>, sendCounts: [Int],
        into received: UnsafeMutableBufferPointer<Float>, receiveCounts: [Int]
    ) throws(CollectiveError) {
        precondition(sendCounts.count == size && sendCounts.reduce(0, +) == values.count)
        precondition(receiveCounts.count == size && receiveCounts.reduce(0, +) == received.count)
        let contribution = Rendezvous.Contribution(
            send: UnsafeRawBufferPointer(values), receive: UnsafeMutableRawBufferPointer(received), counts: sendCounts)
        try rendezvous.meet(rank: rank, call: "alltoall", contribution) { all in
            for (destination, target) in all.enumerated() {
                var offset = 0
                for source in all {
                    let start = source.counts.offsets()[destination] * 4
                    let count = source.counts[destination] * 4
                    target.receive[offset...].copyBytes(from: source.send[start..<start + count])
                    offset += count
                }
                precondition(offset == target.receive.count, "rank \(destination) expects other counts than it is sent")
            }
        }
        bytesSent += Traffic.alltoall(parts: sendCounts.map { $0 * 4 }, rank: rank)
    }

    // MARK: Point to point, waiting and ending

    package func send(_ bytes: UnsafeRawBufferPointer, to destination: Int) {
        rendezvous.post([UInt8](bytes), from: rank, to: destination)
        bytesSent += UInt64(bytes.count)
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

    package func finish() {}

    /// Ends the process, as all its ranks are in it.
    package func abort(exitCode: Int32) -> Never { exit(exitCode) }
}
