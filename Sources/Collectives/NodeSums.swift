/// Sums and maxima of a few numbers over the ranks of one node: each writes its own where all can read them, and adds all in rank
/// order. A rank that waits sleeps until the one it waits for wakes it: where ranks outnumber processors, a sleep of a guessed length
/// would leave processors idle at each of a network's normalisations.
final class NodeSums: FewNumbers {
    static let capacity = 1024

    private let rank: Int
    private let mapping: SharedMapping
    /// How many sums each rank has written its numbers for.
    private let written: [SharedCounter]
    private var sums: UInt32 = 0
    private let progress: () throws(CollectiveError) -> Void
    /// The counter, the sleepers, and how many numbers there are, of even sums and of odd ones; each in a cache line of its own.
    private static let headerBytes = 192

    /// Bytes of one rank's part of the mapping.
    static var bytes: Int { headerBytes + 2 * capacity * MemoryLayout<Double>.stride }

    /// - Parameters:
    ///   - mapping: parts of at least `bytes` zero bytes.
    ///   - progress: called again and again while a rank waits.
    init(rank: Int, mapping: SharedMapping, progress: @escaping () throws(CollectiveError) -> Void) {
        self.rank = rank
        self.mapping = mapping
        self.progress = progress
        written = mapping.parts.map { SharedCounter($0, sleepers: $0 + 64) }
    }

    /// A rank writes the numbers of sum n + 2 over those of n: it begins n + 2 when all have written n + 1, so have read n.
    private func numbers(of rank: Int) -> UnsafeMutablePointer<Double> {
        (mapping.parts[rank] + Self.headerBytes).assumingMemoryBound(to: Double.self) + Int(sums % 2) * Self.capacity
    }

    /// How many numbers those are.
    private func count(of rank: Int) -> UnsafeMutablePointer<Int> {
        (mapping.parts[rank] + 128).assumingMemoryBound(to: Int.self) + Int(sums % 2)
    }

    func reduce(
        _ values: UnsafeMutableBufferPointer<Double>, _ operation: MPIGroup.Operation, waiting: () throws(CollectiveError) -> Bool
    ) throws(CollectiveError) {
        precondition(values.count <= Self.capacity)
        guard let start = values.baseAddress, !values.isEmpty else { return }
        sums &+= 1
        numbers(of: rank).update(from: start, count: values.count)
        count(of: rank).pointee = values.count
        written[rank].publish(sums)
        for counter in written {
            try counter.wait(sums) { () throws(CollectiveError) in
                let isIdle = try waiting()
                try progress()
                return isIdle
            }
        }
        for other in written.indices where count(of: other).pointee != values.count {
            throw .callsDiffer(
                "a sum of \(values.count) numbers on local rank \(rank), of \(count(of: other).pointee) on local rank \(other)")
        }
        start.update(from: numbers(of: 0), count: values.count)
        for other in 1..<written.count { operation.apply(numbers(of: other), to: values) }
    }
}
