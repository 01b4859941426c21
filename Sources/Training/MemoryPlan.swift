import Collectives
import Exchange
import HandData
import Networks
import Tensors

/// What a rank will hold, counted before anything is allocated, and the parts that are made by these counts.
struct MemoryPlan {
    /// Samples of this rank's largest batch.
    let shard: Int
    /// Bytes of the one arena: parameters, moments, activations.
    let arena: Int
    /// Bytes of the exchange's buffers, which the ranks of a node may share.
    let exchange: Int
    /// Bytes of batches read ahead, and of the frame cache at most.
    let loader: Int
    /// Bytes of all.
    var total: Int { arena + exchange + loader }

    /// Batches that are read ahead, besides the one in use.
    private static let stepsAhead = 2

    init(_ configuration: RunConfiguration, network: NetworkConfiguration, exchange: ExchangePlan) {
        shard = exchange.shard
        self.exchange = exchange.ownBytes
        let threads = exchange.threads
        let pixels = network.width * network.height
        arena =
            HandNetwork.bytes(network, maximumSamples: shard, threads: threads, largeRows: exchange.largeRowCount)
            + exchange.arenaBytes
            + Evaluator.bytes(pixels: pixels, maximumSamples: shard, threads: threads)
        let batches = (Self.stepsAhead + 1) * shard * (pixels + HandLabel.valueCount) * MemoryLayout<Float>.stride
        loader = batches + Self.cacheBytes(configuration, pixels: pixels)
    }

    /// The frames of a run are cached up to `--cache`; the box of a hand takes about a sixth of a frame.
    private static func cacheBytes(_ configuration: RunConfiguration, pixels: Int) -> Int {
        let limit = configuration.cache << 20
        guard configuration.data == nil else { return limit }
        return min(limit, configuration.syntheticFrames * pixels * MemoryLayout<UInt16>.stride / 6)
    }

    /// Starts reading ahead, from the batch of `step`.
    func makeLoader(
        _ source: any FrameSource, configuration: RunConfiguration, communicator: any Communicator, step: Int
    ) throws -> BatchLoader {
        var reading = BatchLoader.Configuration()
        reading.conditioning = configuration.input
        reading.onBadSample = configuration.onBadSample
        reading.threads = max(1, configuration.threads)
        reading.stepsAhead = Self.stepsAhead
        let cache =
            configuration.cache == 0
            ? nil
            : try FrameCache(
                count: source.count, width: source.width, height: source.height, byteLimit: configuration.cache << 20)
        return try BatchLoader(
            source: source, order: SampleOrder(count: source.count, seed: configuration.seed),
            batch: configuration.batchSize, rank: communicator.rank, ranks: communicator.size,
            steps: UInt64(step)..<UInt64.max, configuration: reading, cache: cache)
    }
}
