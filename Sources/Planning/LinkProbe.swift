package import Collectives
import Exchange
import Memory
import System

/// Measures what the ways between ranks carry, by a few messages of each kind.
package struct LinkProbe {
    private let communicator: any Communicator
    private let wire: WireFormat
    private let place: NodePlace
    /// Floats of the larger messages.
    private let large: Int

    /// - Parameters:
    ///   - wire: how the buckets of gradients will travel.
    ///   - largest: floats of all gradients: no bucket is larger.
    package init(communicator: any Communicator, wire: WireFormat = .fp32, largest: Int = .max) {
        self.communicator = communicator
        self.wire = wire
        large = max(Self.small, min(largest, BucketCut.standardCount))
        place = communicator.place
    }

    /// Floats of the first messages; where they are fast, larger ones follow, as large as a bucket.
    private static let small = 1 << 18
    /// How often the larger ones are sent, at the most, while that takes no longer than this, seconds; the median counts.
    private static let repeats = 5
    private static let enough = 0.5
    /// Numbers of a small sum: of a normalisation of 64 channels; and how many of them make a measurement.
    private static let few = 129
    private static let inARow = 8
    /// Seconds beyond which no larger message is tried.
    private static let patience = 0.05

    /// The rates, the same on all ranks.
    /// - Throws: `CollectiveError`, `ArenaError`.
    package func measure() throws -> LinkRates {
        let places = try communicator.allgather(Array("\(place.node) \(place.localRank)".utf8))
            .map { String(decoding: $0, as: UTF8.self) }
        // The next rank on the same node, and the rank of the same number on the next node, each in a ring.
        func peer(_ node: Int, _ local: Int) -> Int? { places.firstIndex(of: "\(node) \(local)") }
        let (local, nodes) = (place.localSize, place.nodes)
        let within = Ring(
            to: peer(place.node, (place.localRank + 1) % local), from: peer(place.node, (place.localRank + local - 1) % local))
        let between = Ring(
            to: peer((place.node + 1) % nodes, place.localRank), from: peer((place.node + nodes - 1) % nodes, place.localRank))
        let ranksOfNode = (communicator.size + nodes - 1) / nodes
        // Once for all messages: to touch new memory takes longer than to send it within a node.
        let arena = try Arena(capacity: 2 * Arena.bytes(Float.self, count: large))
        let (own, whole) = (arena.carve(Float.self, count: large), arena.carve(Float.self, count: large))
        for buffer in [own, whole] { buffer.initialize(repeating: 0) }
        func shift(_ count: Int, _ ring: Ring) throws -> Double { try self.shift(count, ring, from: own, to: whole) }
        var rates = LinkRates(
            latencyBetween: 0, latencyWithin: 0, bandwidthBetween: .infinity, bandwidthWithin: .infinity, sumWithin: .infinity)
        if ranksOfNode > 1 {
            rates.latencyWithin = try latency { try shift(1, within) }
            let (count, seconds) = try timed { try shift($0, within) }
            rates.bandwidthWithin = Double(count * 4) / seconds
        }
        if nodes > 1 {
            rates.latencyBetween = try latency { try shift(1, between) }
            let (count, seconds) = try timed { try shift($0, between) }
            // All ranks of a node send over its link at once.
            rates.bandwidthBetween = Double(count * 4 * ranksOfNode) / seconds
        }
        // As buckets lie, where memory is shared, and as weights lie.
        let shared = try communicator.sharedBuffer(count: large)
        let bucket = shared ?? own
        func rate(_ body: (Int) throws -> Double) throws -> (bytes: Double, seconds: Double) {
            let (count, seconds) = try timed(body)
            return (Double(count * 4), seconds)
        }
        let sums = try rate { try sum(bucket, $0, wire) }
        rates.bucketSums = sums.bytes / sums.seconds
        if ranksOfNode > 1 {
            rates.sumWithin = nodeRate(wire == .fp32 ? sums : try rate { try sum(bucket, $0, .fp32) }, rates)
        }
        let joined = try rate { try parts(bucket, whole, $0) }
        rates.bucketParts = joined.bytes / joined.seconds
        try communicator.giveBack(shared)
        rates.smallSum = try smallSum()
        return rates
    }

    /// The nodes' own rate of a sum: what is not the links' share of its time; a tenth at least, as both are measured.
    private func nodeRate(_ sum: (bytes: Double, seconds: Double), _ rates: LinkRates) -> Double {
        let travelling = 2 * Double(place.nodes - 1) / Double(place.nodes) * sum.bytes / rates.bandwidthBetween
        return sum.bytes / max(sum.seconds - travelling, sum.seconds / 10)
    }

    /// Whom a rank sends to, and whom it receives from; nil where nodes have different numbers of ranks.
    private struct Ring {
        let to: Int?
        let from: Int?
    }

    /// Seconds of one small message; to the other ranks nothing is sent.
    private func latency(_ message: () throws -> Double) throws -> Double {
        try (0..<Self.repeats).map { _ in try message() }.min()!
    }

    /// Runs `body` with more and more floats, until it takes long enough to be measured; the slowest rank's time counts.
    private func timed(_ body: (Int) throws -> Double) throws -> (count: Int, seconds: Double) {
        _ = try body(Self.small)
        let seconds = try body(Self.small)
        guard seconds < Self.patience, large > Self.small else { return (Self.small, seconds) }
        _ = try body(large)
        var times = [try body(large)]
        while times.count < Self.repeats && times[0] * Double(times.count) < Self.enough { times.append(try body(large)) }
        return (large, times.sorted()[times.count / 2])
    }

    /// Every rank sends `count` floats along a ring; the slowest rank's seconds.
    private func shift(
        _ count: Int, _ ring: Ring, from sent: UnsafeMutableBufferPointer<Float>, to received: UnsafeMutableBufferPointer<Float>
    ) throws -> Double {
        func counts(_ peer: Int?) -> [Int] { (0..<communicator.size).map { $0 == peer ? count : 0 } }
        func part(_ buffer: UnsafeMutableBufferPointer<Float>, _ peer: Int?) -> UnsafeMutableBufferPointer<Float> {
            UnsafeMutableBufferPointer(rebasing: buffer[..<(peer == nil ? 0 : count)])
        }
        return try slowest {
            try communicator.alltoall(
                UnsafeBufferPointer(part(sent, ring.to)), sendCounts: counts(ring.to), into: part(received, ring.from),
                receiveCounts: counts(ring.from))
        }
    }

    /// Seconds of a sum of a few numbers, of many in a row, as a network of many normalisations has them.
    private func smallSum() throws -> Double {
        guard communicator.size > 1 else { return 0 }
        var values = [Double](repeating: 1, count: Self.few)
        return try values.withUnsafeMutableBufferPointer { values in
            let times = try (0..<Self.repeats).map { _ in
                try slowest { for _ in 0..<Self.inARow { try communicator.sum(values) } } / Double(Self.inARow)
            }
            return times.sorted()[Self.repeats / 2]
        }
    }

    private func sum(_ values: UnsafeMutableBufferPointer<Float>, _ count: Int, _ wire: WireFormat) throws -> Double {
        try slowest { try communicator.sum(UnsafeMutableBufferPointer(rebasing: values[..<count]), wire: wire) }
    }

    /// A reduce-scatter, and the joining of as much in memory that is the rank's own.
    private func parts(
        _ values: UnsafeMutableBufferPointer<Float>, _ whole: UnsafeMutableBufferPointer<Float>, _ count: Int
    ) throws -> Double {
        let counts = (0..<communicator.size).map { part($0, of: communicator.size, total: count).count }
        let own = UnsafeMutableBufferPointer(
            rebasing: whole[part(communicator.rank, of: communicator.size, total: count)])
        return try slowest {
            try communicator.reduceScatterSum(UnsafeBufferPointer(rebasing: values[..<count]), counts: counts, into: own, wire: wire)
            try communicator.allgather(
                UnsafeBufferPointer(own), counts: counts, into: UnsafeMutableBufferPointer(rebasing: whole[..<count]),
                wire: wire)
        }
    }

    private func slowest(_ body: () throws -> Void) throws -> Double {
        try communicator.barrier()
        let start = Stopwatch.now
        try body()
        return try communicator.maximum(Stopwatch.now - start)
    }
}
