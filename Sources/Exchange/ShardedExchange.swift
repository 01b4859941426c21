package import Collectives
import Layers
package import Memory
import Networks
package import Optimizers
package import System

/// Gradients summed to their owners by reduce-scatter, each rank's Adam step on its own part of every bucket, and the updated
/// weights handed to all by allgather. The large layers' moments are held by their owners alone.
///
/// A rank owns the same share of the rows of each bucket, so that every rank sends and receives as much in each, and in time.
/// The small parameters are summed and updated on every rank, as in `AllreduceExchange`: their moments are a few hundred kB,
/// and dividing them would cost one latency more a step. With several threads the main one sends while the others make the
/// next bucket: a bucket's sums in one round, its weights in the round after.
///
/// In bf16 it is not weights that are handed out, whose small changes would be lost, but what they change by: every rank, the
/// owner too, adds the rounded change to its weights in fp32.
///
/// `@unchecked Sendable`: worker threads write disjoint tiles of a bucket that is not being sent; only the main thread sends.
package final class ShardedExchange: GradientExchange, @unchecked Sendable {
    package private(set) var cost = ExchangeCost()
    private let adam: Adam
    private let weights: UnsafeMutablePointer<Float>
    private let communicator: any Communicator
    private let team: WorkerTeam
    private let wire: WireFormat
    private let buffers: BucketBuffers
    /// Holds the memory of what follows.
    private let arena: Arena
    /// Sums of the own part of a bucket.
    private let sums: UnsafeMutableBufferPointer<Float>
    /// In bf16: what weights change by, of the own part of an updated bucket and of all of it.
    private let changes: (own: UnsafeMutableBufferPointer<Float>, all: UnsafeMutableBufferPointer<Float>)?
    /// Filled, and not summed yet.
    private var waiting: Bucket?
    /// Summed and updated by its owners: the others lack the weights.
    private var updated: Bucket?

    /// All ranks make theirs together.
    /// - Parameters:
    ///   - adam: holds the moments of `held(table:rank:of:)`.
    ///   - weights: the parameters' arena, whole.
    ///   - wire: how the buckets travel. The small parameters' gradients, a thousandth of the bytes, go in fp32.
    /// - Throws: `CollectiveError`, `ArenaError`.
    package init(
        adam: Adam, weights: UnsafeMutablePointer<Float>, communicator: any Communicator, team: WorkerTeam,
        table: ParameterTable, wire: WireFormat = .fp32, bucketCount: Int = AllreduceExchange.bucketCount
    ) throws {
        let cut = BucketCut(count: bucketCount)
        precondition(adam.held == Self.held(table: table, rank: communicator.rank, of: communicator.size, cut: cut))
        self.adam = adam
        self.weights = weights
        self.communicator = communicator
        self.team = team
        self.wire = wire
        buffers = try BucketBuffers(cut: cut, table: table, communicator: communicator, team: team)
        let arena = try Arena(capacity: Self.ownBytes(table, cut, communicator.size, wire))
        arena.touch(team: team)
        self.arena = arena
        let count = Self.ownCount(table, cut, communicator.size)
        sums = arena.carve(Float.self, count: count)
        changes =
            wire == .fp32
            ? nil : (arena.carve(Float.self, count: count), arena.carve(Float.self, count: cut.largest(table)))
    }

    /// Bytes that the exchange allocates.
    package static func bytes(
        table: ParameterTable, threads: Int, ranks: Int, wire: WireFormat = .fp32,
        bucketCount: Int = AllreduceExchange.bucketCount
    ) -> Int {
        let cut = BucketCut(count: bucketCount)
        return BucketBuffers.bytes(table: table, cut: cut, threads: threads) + ownBytes(table, cut, ranks, wire)
    }

    private static func ownBytes(_ table: ParameterTable, _ cut: BucketCut, _ ranks: Int, _ wire: WireFormat) -> Int {
        let own = Arena.bytes(Float.self, count: ownCount(table, cut, ranks))
        return wire == .fp32 ? own : 2 * own + Arena.bytes(Float.self, count: cut.largest(table))
    }

    /// Floats of the largest part of a bucket.
    private static func ownCount(_ table: ParameterTable, _ cut: BucketCut, _ ranks: Int) -> Int {
        table.parameters.map { parameter in
            let rows = min(cut.rowsOfBucket(parameter), parameter.shape[0])
            return part(0, of: ranks, total: rows).count * parameter.rowLength
        }.max() ?? 0
    }

    // MARK: Who owns what

    /// What `rank` of `ranks` holds moments of: the small parameters, and its part of every bucket of the others.
    package static func held(
        table: ParameterTable, rank: Int, of ranks: Int, bucketCount: Int = AllreduceExchange.bucketCount
    ) -> HeldRanges {
        held(table: table, rank: rank, of: ranks, cut: BucketCut(count: bucketCount))
    }

    /// Who holds what among `ranks` ranks.
    package static func ownership(
        table: ParameterTable, ranks: Int, bucketCount: Int = AllreduceExchange.bucketCount
    ) -> Ownership {
        Ownership(
            table: table, held: (0..<ranks).map { held(table: table, rank: $0, of: ranks, bucketCount: bucketCount) })
    }

    private static func held(table: ParameterTable, rank: Int, of ranks: Int, cut: BucketCut) -> HeldRanges {
        let tiled = table.parameters.filter { $0.range.lowerBound >= table.smallCount }
            .sorted { $0.range.lowerBound < $1.range.lowerBound }
        return HeldRanges(
            [0..<table.smallCount]
                + tiled.flatMap { parameter in
                    cut.buckets(of: parameter).map { parameter.elements(ofRows: ownRows($0, rank, ranks)) }
                })
    }

    private static func ownRows(_ bucket: Range<Int>, _ rank: Int, _ ranks: Int) -> Range<Int> {
        let own = part(rank, of: ranks, total: bucket.count)
        return bucket.lowerBound + own.lowerBound..<bucket.lowerBound + own.upperBound
    }

    // MARK: The sink

    package func resetCost() { cost = ExchangeCost() }

    package func buckets(of parameter: Parameter) -> [Range<Int>] { buffers.cut.buckets(of: parameter) }

    package func destination(of parameter: Parameter, rows: Range<Int>, thread: Int) -> UnsafeMutablePointer<Float> {
        buffers.destination(of: parameter, rows: rows)
    }

    package func tileFinished(
        _ parameter: Parameter, rows: Range<Int>, gradient: UnsafeMutablePointer<Float>, thread: Int
    ) {}

    package func forEach(_ items: Int, on team: WorkerTeam, _ body: (_ item: Int, _ thread: Int) -> Void) throws {
        guard waiting != nil || updated != nil else { return team.forEach(items, body) }
        let (summed, handedOut) = (waiting, updated)
        (waiting, updated) = (nil, nil)
        let send = {
            if let handedOut { try self.handOut(handedOut) }
            if let summed { try self.sum(summed) }
        }
        cost.addWaiting(try team.forEach(items, lead: send, body))
        if let handedOut, let changes { add(changes.all, to: handedOut) }
        guard let summed else { return }
        update(summed)
        updated = summed
    }

    package func bucketFinished(_ parameter: Parameter, rows: Range<Int>) throws {
        waiting = buffers.take(parameter, rows: rows)
        if !buffers.overlaps { try finishWaiting() }
    }

    package func smallFinished(_ gradients: UnsafeMutableBufferPointer<Float>) throws {
        try finishWaiting()
        let start = cost.seconds
        try cost.measure(communicator) { try communicator.sum(gradients) }
        cost.addWaiting(cost.seconds - start)
        adam.apply(0..<gradients.count, gradient: gradients.baseAddress!, scale: 1, team: team)
    }

    /// A bucket takes two rounds: its sums, then its weights.
    private func finishWaiting() throws {
        while waiting != nil || updated != nil { try forEach(0, on: team) { _, _ in } }
    }

    // MARK: A bucket's way

    /// Elements of each rank's part of a bucket.
    private func counts(_ bucket: Bucket) -> [Int] {
        (0..<communicator.size).map {
            part($0, of: communicator.size, total: bucket.rows.count).count * bucket.parameter.rowLength
        }
    }

    /// The own part of a bucket, of the parameter arena.
    private func ownElements(_ bucket: Bucket) -> Range<Int> {
        bucket.parameter.elements(ofRows: Self.ownRows(bucket.rows, communicator.rank, communicator.size))
    }

    private func sum(_ bucket: Bucket) throws {
        let counts = counts(bucket)
        try cost.measure(communicator) {
            try communicator.reduceScatterSum(
                UnsafeBufferPointer(bucket.buffer), counts: counts,
                into: UnsafeMutableBufferPointer(rebasing: sums[..<counts[communicator.rank]]), wire: wire)
        }
    }

    private func update(_ bucket: Bucket) {
        let elements = ownElements(bucket)
        guard let changes = changes?.own else { return adam.apply(elements, gradient: sums.baseAddress!, scale: 1, team: team) }
        let own = weights + elements.lowerBound
        changes.baseAddress!.update(from: own, count: elements.count)
        adam.apply(elements, gradient: sums.baseAddress!, scale: 1, team: team)
        // The owner's weights, too, change by what travels.
        inBlocks(elements.count) { block in
            for index in block {
                let old = changes[index]
                changes[index] = own[index] - old
                own[index] = old
            }
        }
    }

    private func handOut(_ bucket: Bucket) throws {
        let (elements, counts) = (ownElements(bucket), counts(bucket))
        let own = UnsafePointer(changes?.own.baseAddress ?? weights + elements.lowerBound)
        try cost.measure(communicator) {
            try communicator.allgather(
                UnsafeBufferPointer(start: own, count: elements.count), counts: counts,
                into: UnsafeMutableBufferPointer(
                    start: changes?.all.baseAddress ?? weights + bucket.elements.lowerBound, count: bucket.elements.count),
                wire: wire)
        }
    }

    private func add(_ changes: UnsafeMutableBufferPointer<Float>, to bucket: Bucket) {
        let (target, source) = (weights + bucket.elements.lowerBound, changes.baseAddress!)
        inBlocks(bucket.elements.count) { block in
            for index in block { target[index] += source[index] }
        }
    }

    private func inBlocks(_ count: Int, _ body: (Range<Int>) -> Void) {
        let block = 1 << 16
        team.forEach((count + block - 1) / block) { item, _ in body(item * block..<min(count, (item + 1) * block)) }
    }
}
