package import Exchange
import Kernels
import Layers
import Memory
package import Networks

/// Predicts what a training step takes with each exchange, from bytes, rates and counts alone.
///
/// Buckets travel at a measured rate where there is one. Elsewhere collectives between nodes go by rings: of n nodes each sends
/// 2 (n-1)/n of a buffer in a sum, in 2 (n-1) messages, whatever its number of ranks; within a node a sum's rate is measured.
/// What is computed beside the communication is counted once. Nothing here depends on a clock, so equal inputs give equal predictions on all ranks.
package struct CostModel: Sendable {
    /// What a step takes with one exchange.
    package struct Prediction: Sendable, Equatable {
        package var kind: ExchangeKind
        /// Under `split`, of a network whose gradients are stored: the weights that are divided; nil: all that can be.
        package var divided: Set<String>? = nil
        /// Seconds of a step.
        package var seconds: Double
        /// Seconds of it with the processor at work, on any thread.
        package var compute: Double
        /// Seconds in collectives; part of them may be hidden behind `compute`.
        package var exchange: Double
        /// Bytes a rank sends.
        package var bytes: Double
    }

    package var network: WindowNetwork
    /// Global.
    package var batch: Int
    package var shape: RankShape
    /// Bytes on the wire for a byte of a gradient: 1, or half where they travel as bf16.
    package var wireShare: Double
    package var links: LinkRates
    package var rates: ComputeRates
    /// Share of the large layer's inputs that are not background, so that `split` sends them.
    package var activeShare: Double

    package init(
        network: WindowNetwork, batch: Int, shape: RankShape, wireShare: Double = 1, links: LinkRates,
        rates: ComputeRates, activeShare: Double = 1
    ) {
        self.network = network
        self.batch = batch
        self.shape = shape
        self.wireShare = wireShare
        self.links = links
        self.rates = rates
        self.activeShare = activeShare
    }

    // MARK: Choice

    /// The strategies, fastest first.
    /// - Parameter kinds: those to be told of.
    package func predictions(_ kinds: Set<ExchangeKind> = [.allreduce, .sharded, .split]) -> [Prediction] {
        ExchangeKind.allCases.filter(kinds.contains).map(prediction).sorted { $0.seconds < $1.seconds }
    }

    /// What one strategy takes.
    package func prediction(_ kind: ExchangeKind) -> Prediction {
        switch kind {
        case .allreduce: bucketed(kind, adamShare: 1)
        case .sharded: bucketed(kind, adamShare: 1 / ranks)
        case .split: split
        }
    }

    // MARK: Counts

    private var ranks: Double { Double(shape.ranks) }
    private var nodes: Double { Double(shape.nodes) }
    /// Samples of the largest shard.
    private var shard: Double { Double((batch + shape.ranks - 1) / shape.ranks) }
    private var weights: Double { Double(network.flattened * network.hidden) }
    private var largeBytes: Double { 4 * weights }
    private var smallBytes: Double { 4 * Double(network.table.smallCount) }
    /// Share of a buffer that each of `ranks` does not keep.
    private var others: Double { (ranks - 1) / ranks }

    /// Buckets of the large layer.
    private var buckets: Double {
        Double(BucketCut(count: BucketCut.standardCount).buckets(of: network.table["fc1.weight"]).count)
    }

    private func samplesOnly(_ samples: Double) -> Double { samples * (rates.convolution + rates.output) }

    // MARK: Collectives

    private var travel: TravelTimes { TravelTimes(shape: shape, links: links) }

    /// See `TravelTimes`.
    package func sum(bytes: Double, messages: Double, wireShare: Double = 1) -> Double {
        travel.sum(bytes: bytes, messages: messages, wireShare: wireShare)
    }

    /// See `TravelTimes`.
    package func alltoall(bytes: Double, pieces: Double = 1) -> Double { travel.alltoall(bytes: bytes, pieces: pieces) }

    // MARK: Strategies

    /// Gradients by buckets: averaged, or reduced to their owners and handed out again, beside the making of the next ones.
    private func bucketed(_ kind: ExchangeKind, adamShare: Double) -> Prediction {
        let large =
            (kind == .sharded ? links.bucketParts : links.bucketSums).map { largeBytes / $0 }
            ?? sum(bytes: largeBytes, messages: buckets, wireShare: wireShare)
        let small = sum(bytes: smallBytes, messages: 1)
        let forward = samplesOnly(shard) + weights * rates.product * shard / 3
        let adam = weights * rates.adam
        // Handing out changes instead of weights: three passes more over the own ones, one over all, by their bytes beside Adam's 28.
        let changes = kind == .sharded && wireShare < 1 ? adam * (24 / ranks + 12) / 28 : 0
        let updates = adam * adamShare + changes
        let tiles = weights * (rates.product * shard * 2 / 3 + rates.storedWeight) - adam
        let threads = Double(shape.threads)
        // The main thread sends, the others make tiles; nothing is sent before the first bucket is made.
        let beside = threads > 1 ? max(tiles / buckets + large, tiles + large / threads) : tiles + large
        return Prediction(
            kind: kind, seconds: forward + beside + updates + small, compute: forward + tiles + updates, exchange: large + small,
            bytes: 2 * others * (largeBytes * wireShare + smallBytes))
    }

    /// Activations travel, in pieces: X to the holders of its rows while the first of them are multiplied, dX back while the last
    /// are; partial outputs and their gradients in between.
    private var split: Prediction {
        let inputs = 4 * shard * Double(network.flattened) * activeShare
        let products = weights / ranks * rates.product * Double(batch)
        let updates = weights / ranks * rates.immediateWeight
        let pieces = Double(SplitLayout.pieces(fewestBlocks: network.windowBlocks.count / shape.ranks, ranks: shape.ranks))
        let travel = alltoall(bytes: inputs, pieces: pieces)
        func uncovered(by work: Double) -> Double { travel / pieces + max(0, (travel - work) * (1 - 1 / pieces)) }
        let outputs = sum(bytes: 4 * Double(network.hidden) * shard * ranks, messages: 1)
        let small = sum(bytes: smallBytes, messages: 1)
        let bounds = sum(bytes: ranks * boundBytes, messages: 1) / 2
        let compute = samplesOnly(shard) + products + updates
        // Of a rank on the average, as bytes are counted; times are those of the rank with the largest shard.
        let meanInputs = inputs * Double(batch) / ranks / shard
        let meanHidden = 4 * Double(network.hidden) * Double(batch)
        return Prediction(
            kind: .split,
            seconds: compute + uncovered(by: products / 3) + uncovered(by: products * 2 / 3 + updates) + bounds + outputs + small,
            compute: compute, exchange: 2 * travel + bounds + outputs + small,
            bytes: 2 * others * (meanInputs + meanHidden + smallBytes) + (ranks - 1) * boundBytes)
    }

    /// What a rank tells of its samples' active windows, before they travel: the bounds of each row.
    private var boundBytes: Double { 4 * (1 + shard * Double(network.height / network.pool)) }
}
