import Exchange
import Networks
import Planning
import Testing

/// Predictions against the formulas, worked out by hand for round rates.
struct CostModelTests {
    private static let seed = WindowNetwork()
    private static let noLinks = LinkRates(
        latencyBetween: 0, latencyWithin: 0, bandwidthBetween: .infinity, bandwidthWithin: .infinity, sumWithin: .infinity)
    private static let rates = ComputeRates(
        convolution: 1e-3, output: 1e-4, product: 1e-10, immediateWeight: 2e-9, storedWeight: 5e-9, adam: 2e-9)
    private static let weights = 153_600.0 * 1024
    private static let smallBytes = 4 * 50_448.0

    private static func model(
        ranks: Int, nodes: Int, threads: Int = 1, batch: Int = 100, links: LinkRates = noLinks, wireShare: Double = 1,
        activeShare: Double = 1
    ) -> CostModel {
        CostModel(
            network: seed, batch: batch, shape: RankShape(ranks: ranks, nodes: nodes, threads: threads),
            wireShare: wireShare, links: links, rates: rates, activeShare: activeShare)
    }

    private func expect(
        _ value: Double?, _ expected: Double, tolerance: Double = 1e-9, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let value = value ?? .nan
        #expect(abs(value - expected) <= tolerance * abs(expected), "\(value), \(expected)", sourceLocation: sourceLocation)
    }

    /// MB for the large layer at global batch 100, as dtrain's design has them, to the MB.
    @Test(arguments: [
        (2, 629.0, 31.0), (4, 944.0, 24.0), (8, 1101.0, 14.0), (16, 1180.0, 8.0),
    ])
    func bytesOfTheLargeLayer(ranks: Int, gradients: Double, activations: Double) {
        let model = Self.model(ranks: ranks, nodes: ranks)
        let small = 2 * Double(ranks - 1) / Double(ranks) * Self.smallBytes
        for kind in [ExchangeKind.allreduce, .sharded] {
            #expect(((model.prediction(kind).bytes - small) * 1e-6).rounded() == gradients)
        }
        #expect(((model.prediction(.split).bytes - small) * 1e-6).rounded() == activations)
        let halved = Self.model(ranks: ranks, nodes: ranks, wireShare: 0.5)
        expect(halved.prediction(.allreduce).bytes, (model.prediction(.allreduce).bytes + small) / 2)
        expect(halved.prediction(.split).bytes, model.prediction(.split).bytes)
    }

    private struct Case: Sendable, CustomTestStringConvertible {
        let ranks, nodes: Int
        let bytes, messages, seconds: Double
        var testDescription: String { "\(ranks) ranks on \(nodes) nodes" }
    }

    private static let roundLinks = LinkRates(
        latencyBetween: 5e-5, latencyWithin: 1e-6, bandwidthBetween: 1e8, bandwidthWithin: 2e9, sumWithin: 5e9)
    private static let sumCases = [
        Case(ranks: 1, nodes: 1, bytes: 1e6, messages: 1, seconds: 0),
        // Within a node at the sum's rate: 0.2 ms, and 2 messages.
        Case(ranks: 2, nodes: 1, bytes: 1e6, messages: 1, seconds: 0.000_202),
        // A half sent twice: 10 ms, and 2 messages.
        Case(ranks: 2, nodes: 2, bytes: 1e6, messages: 1, seconds: 0.0101),
        // Three quarters sent twice: 120 ms, and 6 messages for each of 3 buffers.
        Case(ranks: 4, nodes: 4, bytes: 8e6, messages: 3, seconds: 0.1209),
        Case(ranks: 8, nodes: 2, bytes: 1e6, messages: 1, seconds: 0.010_302),
    ]

    @Test(arguments: sumCases) private func sums(_ wanted: Case) {
        let model = Self.model(ranks: wanted.ranks, nodes: wanted.nodes, links: Self.roundLinks)
        expect(model.sum(bytes: wanted.bytes, messages: wanted.messages), wanted.seconds)
    }

    /// 629.1 MB at 5 GB/s as sums, at 4 GB/s as parts, both measured, whatever the links; the small parameters' by formula.
    @Test(arguments: [1, 2]) func measuredBucketsCount(nodes: Int) {
        var links = Self.roundLinks
        (links.latencyWithin, links.latencyBetween, links.bandwidthBetween) = (0, 0, nodes == 1 ? .infinity : 5e9)
        (links.bucketSums, links.bucketParts) = (5e9, 4e9)
        let model = Self.model(ranks: 2, nodes: nodes, links: links)
        expect(model.prediction(.allreduce).exchange, (Self.weights * 4 + Self.smallBytes) / 5e9)
        expect(model.prediction(.sharded).exchange, Self.weights * 4 / 4e9 + Self.smallBytes / 5e9)
    }

    private static let alltoallCases = [
        Case(ranks: 1, nodes: 1, bytes: 4e6, messages: 1, seconds: 0),
        Case(ranks: 2, nodes: 1, bytes: 4e6, messages: 1, seconds: 0.001_001),
        Case(ranks: 2, nodes: 2, bytes: 4e6, messages: 1, seconds: 0.020_05),
        // One peer beside, 0.501 ms; two beyond a link that two ranks share, 20 ms each, in one message, 0.05 ms; what is for
        // them passes through memory on both sides, 2 ms.
        Case(ranks: 4, nodes: 2, bytes: 4e6, messages: 1, seconds: 0.042_553),
        // Three beside, 1 kB each, 4.5 us; twelve beyond of four ranks, 0.48 ms; a message each, 0.05 ms; through memory, 14 us.
        Case(ranks: 16, nodes: 4, bytes: 16e3, messages: 1, seconds: 0.000_548_5),
    ]

    @Test(arguments: alltoallCases) private func exchangesOfAllWithAll(_ wanted: Case) {
        let model = Self.model(ranks: wanted.ranks, nodes: wanted.nodes, links: Self.roundLinks)
        expect(model.alltoall(bytes: wanted.bytes), wanted.seconds)
    }

    /// Without communication: products and samples are divided by the ranks, the passes over the weights only by `split`.
    @Test(arguments: [1, 2, 4, 50]) func computing(ranks: Int) {
        let model = Self.model(ranks: ranks, nodes: 1)
        let shard = 100 / Double(ranks)
        let shared: Double = shard * 1.1e-3 + Self.weights * 1e-10 * shard
        let pass: Double = Self.weights * 1e-9
        expect(model.prediction(.allreduce).seconds, shared + 5 * pass)
        expect(model.prediction(.sharded).seconds, shared + 3 * pass + 2 * pass / Double(ranks))
        expect(model.prediction(.split).seconds, shared + 2 * pass / Double(ranks))
        for prediction in model.predictions() {
            expect(prediction.seconds, prediction.compute)
            #expect(prediction.exchange == 0)
        }
    }

    /// Changes in bf16: 24 bytes more of each own weight and 12 of every one, where Adam moves 28 in 2 ns.
    @Test(arguments: [2, 4]) func changesTakePassesOfTheirOwn(ranks: Int) {
        let (whole, halved) = (Self.model(ranks: ranks, nodes: 1), Self.model(ranks: ranks, nodes: 1, wireShare: 0.5))
        let more = halved.prediction(.sharded).compute - whole.prediction(.sharded).compute
        expect(more, Self.weights * 2e-9 * (24 / Double(ranks) + 12) / 28)
        expect(halved.prediction(.allreduce).compute, whole.prediction(.allreduce).compute)
    }

    @Test func aSecondThreadHidesTheExchangeBehindTheTiles() {
        var links = Self.noLinks
        links.bandwidthBetween = 1e9
        let small: Double = Self.smallBytes / 1e9
        let exchange: Double = Self.weights * 4 / 1e9 + small
        let one = Self.model(ranks: 2, nodes: 2, threads: 1, links: links).prediction(.allreduce)
        expect(one.seconds, one.compute + exchange)
        // 0.63 s of sending beside 1.0 s of tiles: the main thread's half of that time is lost to them.
        let two = Self.model(ranks: 2, nodes: 2, threads: 2, links: links).prediction(.allreduce)
        expect(two.seconds, two.compute + (exchange - small) / 2 + small)
        // A slow link leaves only the first bucket and the forward pass uncovered.
        links.bandwidthBetween = 1e8
        let slow = Self.model(ranks: 2, nodes: 2, threads: 2, links: links).prediction(.allreduce)
        #expect(slow.seconds > slow.exchange)
        #expect(slow.seconds < slow.exchange + slow.compute * 0.7)
    }

    /// 1 Gbit/s: only activations get through in time. Shards of thousands of samples: gradients are the lesser load.
    @Test func choices() {
        var links = Self.noLinks
        links.bandwidthBetween = 1.17e8
        links.latencyBetween = 5e-5
        for nodes in [2, 4, 16] {
            let predictions = Self.model(ranks: nodes, nodes: nodes, links: links).predictions()
            #expect(predictions[0].kind == .split)
            #expect(predictions[1].seconds > 5 * predictions[0].seconds)
        }
        let background = Self.model(ranks: 2, nodes: 2, links: links, activeShare: 0.2)
        #expect(background.prediction(.split).seconds < Self.model(ranks: 2, nodes: 2, links: links).prediction(.split).seconds)
        links.bandwidthBetween = 1e9
        let large = Self.model(ranks: 4, nodes: 4, batch: 40_000, links: links)
        #expect(large.predictions()[0].kind == .sharded)
        #expect(large.predictions([.allreduce, .split])[0].kind == .allreduce)
    }
}
