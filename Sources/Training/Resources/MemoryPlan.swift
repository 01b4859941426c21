import Collectives
import Exchange
import HandData
import Memory
import Networks
import Optimizers

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
    /// Bytes of the frame cache at most, a part of `loader`: taken while the run goes on.
    let cache: Int
    /// Bytes of the copy that checkpoints are written from, on a rank that makes one (each of its own part, where tensors lie on
    /// several), and of what arrives at rank 0; 0 elsewhere. A run does without where memory is short.
    let checkpointCopy: Int
    /// Bytes of all that a run cannot do without.
    var total: Int { arena + exchange + loader }

    /// Batches that are read ahead, besides the one in use.
    private static let stepsAhead = 2

    init(_ configuration: RunConfiguration, model: RunModel, frame: (width: Int, height: Int), exchange: ExchangePlan) {
        shard = exchange.setting.shard
        self.exchange = exchange.ownBytes
        let pixels = frame.width * frame.height
        let (states, hasAverage) = (exchange.setting.optimizer.stateNames.count, configuration.model.averaging != nil)
        arena = Replica.bytes(exchange, hasAverage: hasAverage) + Evaluator.bytes(pixels: model.pixels, maximumSamples: shard)
        let ownership = exchange.ownership
        if !ownership.isReplicated {
            let parts = TensorParts(ownership, ranks: exchange.ranks, states: states, hasAverage: hasAverage)
            checkpointCopy = CheckpointParts.bytes(parts, rank: exchange.rank)
        } else {
            checkpointCopy = exchange.rank == 0 ? CheckpointCopy.bytes(exchange.table, tensors: 1 + states + (hasAverage ? 1 : 0)) : 0
        }
        cache = Self.cacheBytes(configuration, pixels: pixels)
        let batches = (Self.stepsAhead + 1) * shard * (model.pixels + HandLabel.valueCount) * MemoryLayout<Float>.stride
        loader = batches + cache
    }

    /// The frames of a run are cached up to `--cache`; the box of a hand takes about a sixth of a frame.
    private static func cacheBytes(_ configuration: RunConfiguration, pixels: Int) -> Int {
        let limit = configuration.cache << 20
        guard configuration.data == nil else { return limit }
        return min(limit, configuration.syntheticFrames * pixels * MemoryLayout<UInt16>.stride / 6)
    }

    /// Starts reading ahead, from the batch of `step`.
    func makeLoader(
        _ source: any FrameSource, pipeline: SamplePipeline, configuration: RunConfiguration, communicator: any Communicator,
        step: Int
    ) throws -> BatchLoader {
        var reading = BatchLoader.Configuration()
        reading.pipeline = pipeline
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
            steps: UInt64(step * configuration.model.accumulate)..<UInt64.max, configuration: reading, cache: cache)
    }
}
