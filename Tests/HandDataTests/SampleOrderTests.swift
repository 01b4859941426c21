import HandData
import Testing

@Suite struct SampleOrderTests {
    @Test(arguments: [1, 2, 3, 7, 100, 22_068])
    func everySampleOnceAnEpoch(count: Int) {
        var order = SampleOrder(count: count, seed: 5)
        for epoch in 0..<3 {
            let samples = (0..<count).map { order.sample(at: UInt64(epoch * count + $0)) }
            #expect(samples.sorted() == Array(0..<count))
        }
    }

    @Test func epochsAndSeedsDiffer() {
        func epoch(_ epoch: Int, seed: UInt64) -> [Int] {
            var order = SampleOrder(count: 200, seed: seed)
            return (0..<200).map { order.sample(at: UInt64(epoch * 200 + $0)) }
        }
        #expect(epoch(0, seed: 1) != epoch(1, seed: 1))
        #expect(epoch(0, seed: 1) != epoch(0, seed: 2))
        #expect(epoch(0, seed: 1) != Array(0..<200))
        #expect(epoch(4, seed: 1) == epoch(4, seed: 1))
    }

    @Test func anyOrderOfAskingGivesTheSame() {
        var forward = SampleOrder(count: 10, seed: 3)
        let expected = (0..<100).map { forward.sample(at: $0) }
        var asked = SampleOrder(count: 10, seed: 3)
        for position in [99, 0, 50, 10, 9, 11, 3, 98, 42, 0] as [UInt64] {
            #expect(asked.sample(at: position) == expected[Int(position)])
        }
        #expect(asked.sample(at: .max) < 10)
    }

    /// Guards the order of runs that are resumed by another version.
    @Test func theOrderNeverChanges() {
        var order = SampleOrder(count: 12, seed: 42)
        #expect((0..<24).map { order.sample(at: $0) } == golden)
    }
    private let golden = [4, 3, 11, 7, 2, 6, 5, 0, 1, 10, 8, 9, 3, 7, 8, 10, 1, 2, 4, 11, 0, 5, 9, 6]

    @Test func eachPlaceIsEquallyLikely() {
        var counts = [[Int]](repeating: [Int](repeating: 0, count: 5), count: 5)
        var order = SampleOrder(count: 5, seed: 11)
        let epochs = 20_000
        for epoch in 0..<epochs {
            for place in 0..<5 { counts[place][order.sample(at: UInt64(epoch * 5 + place))] += 1 }
        }
        // Five standard deviations of a binomial count around its mean.
        let mean = Double(epochs) / 5
        let spread = 5 * (Double(epochs) * 0.2 * 0.8).squareRoot()
        for count in counts.joined() { #expect(abs(Double(count) - mean) < spread) }
    }

    @Test(arguments: 1...5, [0, 1, 4, 5, 100, 101])
    func shardsDivideTheBatch(size: Int, batch: Int) {
        let shards = (0..<size).map { SampleOrder.shard(rank: $0, size: size, batch: batch) }
        #expect(shards.flatMap { Array($0) } == Array(0..<batch))
        #expect(shards.map(\.count).max()! - shards.map(\.count).min()! <= 1)
        #expect(shards.map(\.count) == shards.map(\.count).sorted(by: >))
    }
}
