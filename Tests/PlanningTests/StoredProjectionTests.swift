import Exchange
import Layers
import Memory
import Networks
import Optimizers
import Planning
import Testing

/// Clusters that are not at hand, of networks whose gradients are stored.
@Suite("Projections of presets")
struct StoredProjectionTests {
    private func projection(_ network: NetworkDescription, batch: Int = 1024, latency: Double = 30e-6) -> StoredProjection {
        StoredProjection(
            network: network, optimizer: OptimizerConfiguration(), batch: batch, threads: 2,
            rates: [
                1: StoredRates(sample: 8e-3, forward: 3e-3, update: 1e-9), 8: StoredRates(sample: 5e-3, forward: 2e-3, update: 1e-9),
            ], latency: latency)
    }

    @Test("a small sum goes up a tree and down again; a measured one is taken as it is")
    func smallSums() {
        func seconds(_ ranks: Int, _ nodes: Int, measured: Double? = nil) -> Double {
            var links = LinkRates.ethernet(gigabits: 1, latency: 1e-3)
            links.latencyWithin = 1e-6
            links.smallSum = measured
            return TravelTimes(shape: RankShape(ranks: ranks, nodes: nodes, threads: 1), links: links).smallSum(bytes: 0)
        }
        #expect(seconds(1, 1) == 0)
        #expect(abs(seconds(2, 2) - 2e-3) < 1e-12)
        #expect(abs(seconds(5, 5) - 6e-3) < 1e-12)
        #expect(abs(seconds(1024, 1024) - 20e-3) < 1e-12)
        #expect(abs(seconds(8, 2) - 2.004e-3) < 1e-12)
        #expect(seconds(8, 2, measured: 5e-4) == 5e-4)
    }

    @Test("batch statistics cost two small sums a normalisation, and nothing without one")
    func statistics() {
        let dense = NetworkDescription.dense()
        #expect(dense.batchStatistics.count > 50)
        let model = StoredCostModel(
            network: dense, batch: 64, wireShare: 1, rates: StoredRates(sample: 1e-3, forward: 1e-3, update: 0),
            travel: TravelTimes(
                shape: RankShape(ranks: 16, nodes: 16, threads: 1), links: .ethernet(gigabits: 1e9, latency: 1e-5)))
        #expect(abs(model.statisticsSeconds - Double(dense.batchStatistics.count) * 2 * 8 * 1e-5) < 1e-6)
        #expect(NetworkDescription.ren().batchStatistics.isEmpty)
    }

    @Test("a rank with few samples is as slow with each as was measured of few")
    func fewSamples() {
        let projection = projection(.dense(), latency: 0)
        let (one, eight) = (projection.row(ranks: 1024, gigabits: 100), projection.row(ranks: 128, gigabits: 100))
        #expect(one.predictions[0].compute > 8e-3 && one.predictions[0].compute < 10e-3)
        #expect(eight.predictions[0].compute > 40e-3 && eight.predictions[0].compute < 42e-3)
        #expect(projection.alone > 1024 * 5e-3)
        #expect(one.latency == 0)
    }

    @Test("what a step takes however many samples it has is told from what each takes, and divided with the weights")
    func wayOfTheWeights() throws {
        let (many, few) = ((forward: 0.050, whole: 0.130, update: 0.010), (forward: 0.020, whole: 0.070, update: 0.010))
        let rates = StoredProbe.rates(many: many, samples: 8, few: few, fewSamples: 2, weights: 1_000)
        #expect(abs(rates.sample - 0.010) < 1e-12 && abs(rates.forward - 0.005) < 1e-12)
        #expect(abs(rates.weight - 5e-5) < 1e-12 && abs(rates.update - 1e-5) < 1e-12)
        // One step alone: all of it is the samples'.
        let alone = StoredProbe.rates(many: many, samples: 8, few: nil, fewSamples: 2, weights: 1_000)
        #expect(alone.sample == 0.130 / 8 && alone.weight == 0)
        // Noise makes no negative times.
        let noise = StoredProbe.rates(many: few, samples: 8, few: many, fewSamples: 2, weights: 1_000)
        #expect(noise.sample == 0 && noise.forward == 0 && noise.weight > 0)
        // `split` divides the way of the weights, `allreduce` does not.
        let ren = NetworkDescription.ren()
        func compute(_ kind: ExchangeKind, weight: Double) -> Double {
            StoredCostModel(
                network: ren, batch: 128, wireShare: 1,
                rates: StoredRates(sample: 1e-3, forward: 5e-4, update: 0, weight: weight),
                travel: TravelTimes(shape: RankShape(ranks: 4, nodes: 4, threads: 1), links: .ethernet(gigabits: 1, latency: 0))
            ).prediction(kind).compute
        }
        let all = Double(ren.declarations.filter(\.role.isTrained).reduce(0) { $0 + $1.count })
        #expect(abs(compute(.allreduce, weight: 1e-8) - compute(.allreduce, weight: 0) - 1e-8 * all) < 1e-9)
        let divided = compute(.split, weight: 1e-8) - compute(.split, weight: 0)
        #expect(divided > 1e-8 * all / 4 && divided < 1e-8 * all * 0.3)
    }

    @Test("latency counts for more, the more ranks there are")
    func latency() {
        let projection = projection(.dense())
        let shares = [8, 64, 512].map { ranks in
            let row = projection.row(ranks: ranks, gigabits: 10)
            return row.latency / row.predictions[0].seconds
        }
        #expect(shares[0] < shares[1] && shares[1] < shares[2])
    }

    @Test("only networks with large fully connected layers have an exchange to choose")
    func exchanges() {
        let ren = projection(.ren()).row(ranks: 8, gigabits: 1)
        #expect(Set(ren.predictions.map(\.kind)) == [.allreduce, .sharded, .split])
        #expect(ren.predictions[0].kind == .split)
        #expect(!projection(.dense()).row(ranks: 8, gigabits: 1).predictions.contains { $0.kind == .split })
    }

    /// One weight of 16,384 inputs and 32 outputs, whose activations are larger than it is, and one of 1024 x 1024, 4 MB, whose
    /// activations take 1.5 MB.
    @Test("split divides the layers for which that is faster")
    func layersThatPay() throws {
        let network = NetworkDescription(
            input: Shape(vector: 16_384),
            layers: [32, 1024, 1024, 48].map { LayerNode(FullyConnected($0)) })
        let names = network.divisible.map(\.name)
        try #require(names.count == 2)
        func model(ranks: Int) -> StoredCostModel {
            StoredCostModel(
                network: network, batch: 256, wireShare: 1, rates: StoredRates(sample: 1e-6, forward: 5e-7, update: 0),
                travel: TravelTimes(
                    shape: RankShape(ranks: ranks, nodes: ranks, threads: 1), links: .ethernet(gigabits: 1, latency: 1e-5)))
        }
        let best = model(ranks: 2).predictions([.allreduce, .split])
        #expect(best[0].kind == .split && best[0].divided == [names[1]])
        #expect(best[0] == model(ranks: 2).prediction(.split, dividing: [names[1]]))
        #expect(best[0].seconds < model(ranks: 2).prediction(.split).seconds)
        // What has no block of inputs for each rank stays whole.
        let ranks = NetworkDescription.divisionBlocks(inputs: 1024) + 1
        #expect(model(ranks: ranks).predictions([.split])[0].divided == [names[0]])
    }
}
