package import Layers
package import Memory
package import Optimizers
import System

/// How stored gradients are cut into buckets, and which rank updates what: a function of the table, the exchange and the rank.
package struct StoredPlan: Sendable {
    /// What is exchanged at once.
    struct Bucket: Sendable {
        /// Of the parameter arena.
        let elements: Range<Int>
        /// Parameters whose gradients it waits for.
        let parameters: Int
        /// Its gradients are whole on the rank that makes them.
        let isDivided: Bool
        /// Of a bucket that is reduced to its owners: the elements of each rank's part.
        let counts: [Int]?
    }

    /// What is updated here.
    struct Updated: Sendable {
        let elements: Range<Int>
        /// No other rank has these gradients.
        let isOwn: Bool
    }

    let table: ParameterTable
    let cut: BucketCut
    let buckets: [Bucket]
    let updated: [Updated]
    let accumulates: Bool
    /// Whether some gradients are on one rank alone; the same on all ranks.
    let hasOwnParts: Bool
    private let rank: Int
    private let ranks: Int
    /// The buckets that hold a parameter, by its first element.
    private let numbers: [Int: [Int]]
    /// Buckets by their first elements.
    private let firsts: [Int: Int]

    /// - Parameters:
    ///   - sharded: large parameters are divided by rows for the update.
    ///   - division: parameters that lie divided among the ranks.
    ///   - accumulates: room is needed for sums of micro-batches.
    package init(
        table: ParameterTable, sharded: Bool, division: Division, accumulates: Bool, rank: Int, ranks: Int,
        bucketCount: Int = StoredPlan.bucketCount
    ) {
        self.table = table
        self.rank = rank
        self.ranks = ranks
        self.accumulates = accumulates
        hasOwnParts = ranks > 1 && (sharded || !division.rows.isEmpty)
        let cut = BucketCut(count: bucketCount)
        self.cut = cut
        var buckets: [Bucket] = []
        var numbers: [Int: [Int]] = [:]
        // Small parameters that follow each other travel together, from the last one on, as the backward pass makes them.
        let small = table.parameters.filter { $0.range.lowerBound < table.smallCount }
            .sorted { $0.range.lowerBound > $1.range.lowerBound }
        var group: [Parameter] = []
        func close() {
            guard let first = group.last, let last = group.first else { return }
            for parameter in group where parameter.role.isTrained { numbers[parameter.range.lowerBound] = [buckets.count] }
            buckets.append(
                Bucket(
                    elements: first.range.lowerBound..<last.range.upperBound, parameters: group.count { $0.role.isTrained },
                    isDivided: division.rows[first.name] != nil, counts: nil))
            group = []
        }
        for parameter in small {
            let isAlone = division.rows[parameter.name] != nil
            if isAlone { close() }
            group.append(parameter)
            if isAlone || group[0].range.upperBound - parameter.range.lowerBound >= Self.groupCount { close() }
        }
        close()
        for parameter in table.parameters where parameter.range.lowerBound >= table.smallCount {
            let isDivided = division.rows[parameter.name] != nil
            var own: [Int] = []
            for rows in cut.buckets(of: parameter) {
                own.append(buckets.count)
                let parts = (0..<ranks).map { part($0, of: ranks, total: rows.count).count * parameter.rowLength }
                buckets.append(
                    Bucket(
                        elements: parameter.elements(ofRows: rows), parameters: 1, isDivided: isDivided,
                        counts: sharded && ranks > 1 && !isDivided ? parts : nil))
            }
            numbers[parameter.range.lowerBound] = own
        }
        // A group of statistics alone has nothing to exchange.
        self.buckets = buckets
        self.numbers = numbers
        firsts = Dictionary(uniqueKeysWithValues: buckets.enumerated().map { ($1.elements.lowerBound, $0) })
        var updated: [Updated] = []
        for bucket in buckets where bucket.parameters > 0 {
            let isOwn = ranks > 1 && (bucket.isDivided || bucket.counts != nil)
            let elements = Self.ownElements(bucket, rank: rank)
            if let last = updated.last, !last.isOwn, !isOwn, elements.upperBound == last.elements.lowerBound,
                last.elements.count < cut.count
            {
                updated[updated.count - 1] = Updated(elements: elements.lowerBound..<last.elements.upperBound, isOwn: false)
            } else {
                updated.append(Updated(elements: elements, isOwn: isOwn))
            }
        }
        self.updated = updated
    }

    /// Whether all ranks get a bucket's sums.
    func isPlain(_ number: Int) -> Bool { !buckets[number].isDivided && buckets[number].counts == nil }

    /// Buckets of `queue`, from the one at `next` on, as one range of elements: neighbours whose sums all ranks get.
    /// - Returns: the range, and the number of buckets.
    func joined(_ queue: [Int], from next: Int) -> (elements: Range<Int>, count: Int) {
        var (elements, count) = (buckets[queue[next]].elements, 1)
        while isPlain(queue[next]), next + count < queue.count, elements.count < cut.count {
            let other = buckets[queue[next + count]]
            guard isPlain(queue[next + count]), other.elements.upperBound == elements.lowerBound else { break }
            elements = other.elements.lowerBound..<elements.upperBound
            count += 1
        }
        return (elements, count)
    }

    /// Floats of a bucket, 4 MiB: small enough that the first can travel early.
    package static let bucketCount = 1 << 20
    /// Floats from which on small parameters travel, 64 KiB: they are on their way while the next layer computes.
    private static let groupCount = 1 << 14

    func bucketNumbers(of parameter: Parameter) -> [Int] { numbers[parameter.range.lowerBound] ?? [] }

    func bucket(at element: Int) -> Int { firsts[element]! }

    func ownElements(_ bucket: Bucket) -> Range<Int> { Self.ownElements(bucket, rank: rank) }

    private static func ownElements(_ bucket: Bucket, rank: Int) -> Range<Int> {
        guard let counts = bucket.counts else { return bucket.elements }
        let first = bucket.elements.lowerBound + counts[..<rank].reduce(0, +)
        return first..<first + counts[rank]
    }

    /// Floats of the largest own part of a bucket that is reduced to its owners.
    var stagingCount: Int { buckets.compactMap { $0.counts?[rank] }.max() ?? 0 }

    /// Bytes of arena that the exchange needs besides the gradients.
    package var bytes: Int {
        Arena.bytes(Float.self, count: stagingCount) + (accumulates ? Arena.bytes(Float.self, count: table.count) : 0)
    }

    /// What this rank holds the state of.
    package var held: HeldRanges { Self.held(table: table, buckets: buckets, rank: rank) }

    /// What each rank holds the state of, where all have the same table.
    var heldByRanks: [HeldRanges] { (0..<ranks).map { Self.held(table: table, buckets: buckets, rank: $0) } }

    private static func held(table: ParameterTable, buckets: [Bucket], rank: Int) -> HeldRanges {
        guard buckets.contains(where: { $0.counts != nil }) else { return HeldRanges(all: table) }
        let large = buckets.filter { $0.elements.lowerBound >= table.smallCount }
            .sorted { $0.elements.lowerBound < $1.elements.lowerBound }
        return HeldRanges([0..<table.smallCount] + large.map { ownElements($0, rank: rank) })
    }
}
