import System

/// The order in which samples are trained on: one permutation of all samples an epoch, epoch after epoch.
///
/// Each permutation is a pure function of (seed, epoch), so the order is the same for every number of ranks, and a
/// checkpoint needs to hold a position only. Step s of global batch size B takes positions sB ..< (s+1)B, across the end
/// of an epoch where B does not divide it.
package struct SampleOrder {
    package let count: Int
    package let seed: UInt64
    /// The permutations of two epochs, the current and the one before or after; positions go to and fro only between
    /// neighbours.
    private var permutations: [(epoch: UInt64, samples: [UInt32])] = []

    /// Keeps this use of the seed apart from others.
    private static let stream: UInt64 = 0x6F72_6465_7200_0000

    /// - Parameters:
    ///   - count: number of samples, at least 1.
    ///   - seed: the run's seed.
    package init(count: Int, seed: UInt64) {
        precondition(count > 0 && count <= Int(UInt32.max), "an order needs at least one sample")
        self.count = count
        self.seed = seed
    }

    /// The sample at `position` of the stream, counted from 0 over all epochs.
    ///
    /// - Complexity: O(1), but O(`count`) where a position enters an epoch.
    package mutating func sample(at position: UInt64) -> Int {
        let (epoch, offset) = position.quotientAndRemainder(dividingBy: UInt64(count))
        if let held = permutations.firstIndex(where: { $0.epoch == epoch }) {
            return Int(permutations[held].samples[Int(offset)])
        }
        makePermutation(epoch)
        return Int(permutations[permutations.count - 1].samples[Int(offset)])
    }

    /// Fisher and Yates' shuffle (Durstenfeld 1964), in the memory of the older of the two permutations held.
    private mutating func makePermutation(_ epoch: UInt64) {
        var samples =
            permutations.count == 2 ? permutations.removeFirst().samples : [UInt32](repeating: 0, count: count)
        for index in 0..<count { samples[index] = UInt32(index) }
        var random = CounterRandom(seed: seed, stream: Self.stream &+ epoch).generator()
        samples.withUnsafeMutableBufferPointer { samples in
            for last in stride(from: count - 1, to: 0, by: -1) {
                let other = Int(Self.number(below: UInt64(last + 1), from: &random))
                samples.swapAt(last, other)
            }
        }
        permutations.append((epoch: epoch, samples: samples))
    }

    /// A number in 0..<bound, each equally likely: Lemire, "Fast random integer generation in an interval" (2019).
    static func number(below bound: UInt64, from random: inout SequentialRandom) -> UInt64 {
        var product = random.next().multipliedFullWidth(by: bound)
        if product.low < bound {
            let threshold = (0 &- bound) % bound
            while product.low < threshold { product = random.next().multipliedFullWidth(by: bound) }
        }
        return product.high
    }

    /// Rank `rank`'s contiguous part of a global batch of `batch` positions over `size` ranks: the first
    /// `batch % size` ranks take one more.
    package static func shard(rank: Int, size: Int, batch: Int) -> Range<Int> {
        precondition(size > 0 && rank >= 0 && rank < size && batch >= 0, "a rank of \(size) must be in 0..<\(size)")
        let (share, remainder) = batch.quotientAndRemainder(dividingBy: size)
        let start = rank * share + min(rank, remainder)
        return start..<(start + share + (rank < remainder ? 1 : 0))
    }
}
