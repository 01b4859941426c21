import Collectives
import Exchange
import Memory
import Networks
import Optimizers
import System
import TestSupport

/// A few steps of a small network on made-up data: what an exchange is compared by.
///
/// FC1 has 192 rows of 1024: two tiles, so that buckets end within tiles, at their ends, and beyond.
struct TinyRun: Sendable {
    /// Samples of the global batch.
    var batch = 7
    var steps = 5
    var threads = 1
    var epsilon = 1e-8
    var wire = WireFormat.fp32

    static let network = WindowNetwork(height: 8, width: 12, pool: 2, hidden: 1024)
    static let learningRate = 1e-3

    /// What one rank has at the end.
    struct Result: Sendable {
        /// After each step: the bits of all weights and of the moments that the rank holds, as one number.
        var hashes: [UInt64] = []
        /// After each step: the bits of all weights.
        var weightHashes: [UInt64] = []
        /// Floats of a moment that the rank holds.
        var heldCount = 0
        /// After each step, summed over the ranks.
        var losses: [Double] = []
        /// Bytes the exchange counted in each step.
        var bytes: [UInt64] = []
        var initial: [Float] = []
        var weights: [Float] = []
    }

    /// The run of one rank of `communicator`, its contiguous part of every batch.
    /// - Parameter held: what the rank holds moments of; nil: all.
    func run(
        _ communicator: any Communicator, holding held: HeldRanges? = nil,
        exchange make: (Adam, WorkerTeam, ParameterTable, any Communicator, UnsafeMutablePointer<Float>) throws
            -> any GradientExchange
    ) throws -> Result {
        let (shape, table) = (Self.network, Self.network.table)
        let description = shape.description
        var setting = Network.Setting(maximumSamples: batch)
        setting.storesGradients = false
        let team = try WorkerTeam(count: threads, spins: 0)
        let own = part(communicator.rank, of: communicator.size, total: batch)
        let arena = try Arena(
            capacity: Network.bytes(description, setting, threads: threads) + Adam.bytes(for: table)
                + Arena.bytes(Float.self, count: batch * shape.height * shape.width))
        let network = Network(description, setting, team: team, communicator: communicator, arena: arena)
        let images = arena.carve(Float.self, count: batch * shape.height * shape.width)
        let adam = Adam(
            configuration: Adam.Configuration(learningRate: Self.learningRate, epsilon: epsilon),
            weights: network.parameters, table: table, holding: held, arena: arena)
        description.initialize(network.parameters, seed: 3, team: team)
        let exchange = try make(adam, team, table, communicator, network.parameters)

        var result = Result()
        result.initial = values(network.parameters, table)
        for step in 0..<steps {
            let inputs = own.flatMap { Self.numbers(count: shape.height * shape.width, stream: UInt64(step * 1000 + $0)) }
            let labels = own.flatMap { Self.numbers(count: shape.outputs, stream: UInt64(step * 1000 + 500 + $0)) }
            _ = images.update(fromContentsOf: inputs)
            try network.forward(input: images.baseAddress!, samples: own.count)
            var error = [network.lossSum(labels: labels, samples: own.count)]
            try error.withUnsafeMutableBufferPointer { try communicator.sum($0) }
            result.losses.append(error[0] / Double(batch * shape.outputs))
            try network.beginBackward(labels: labels, scale: 1 / Float(batch * shape.outputs))
            adam.beginStep()
            exchange.resetCost()
            try network.finishBackward(sink: exchange)
            result.bytes.append(exchange.cost.bytes)
            let weights = hash(network.parameters, count: table.count, from: 0xCBF2_9CE4_8422_2325)
            result.weightHashes.append(weights)
            result.hashes.append(
                [adam.firstMoments, adam.secondMoments].reduce(weights) { hash($1, count: adam.held.count, from: $0) })
        }
        result.heldCount = adam.held.count
        result.weights = values(network.parameters, table)
        return result
    }

    /// One rank with `SoloExchange`.
    func solo() throws -> Result {
        try run(Solo()) { adam, team, table, _, _ in
            SoloExchange(
                adam: adam, table: table, threads: team.count,
                arena: try Arena(capacity: SoloExchange.bytes(table: table, threads: team.count)))
        }
    }

    /// `ranks` simulated ranks with `AllreduceExchange`.
    func allreduce(ranks: Int, bucketCount: Int) throws -> [Result] {
        try Simulated.run(ranks: ranks) { try allreduce($0, bucketCount: bucketCount) }
    }

    /// One rank with `AllreduceExchange`.
    func allreduce(_ communicator: any Communicator, bucketCount: Int) throws -> Result {
        try run(communicator) { adam, team, table, communicator, _ in
            try AllreduceExchange(
                adam: adam, communicator: communicator, team: team, table: table, wire: wire, bucketCount: bucketCount)
        }
    }

    /// `ranks` simulated ranks with `ShardedExchange`.
    func sharded(ranks: Int, bucketCount: Int) throws -> [Result] {
        try Simulated.run(ranks: ranks) { try sharded($0, bucketCount: bucketCount) }
    }

    /// One rank with `ShardedExchange`.
    func sharded(_ communicator: any Communicator, bucketCount: Int) throws -> Result {
        let held = ShardedExchange.held(
            table: Self.network.table, rank: communicator.rank, of: communicator.size, bucketCount: bucketCount)
        return try run(communicator, holding: held) { adam, team, table, communicator, weights in
            try ShardedExchange(
                adam: adam, weights: weights, communicator: communicator, team: team, table: table, wire: wire,
                bucketCount: bucketCount)
        }
    }

    private func values(_ base: UnsafeMutablePointer<Float>, _ table: ParameterTable) -> [Float] {
        table.parameters.flatMap { Array(UnsafeBufferPointer(start: base + $0.range.lowerBound, count: $0.count)) }
    }

    /// FNV-1a over the bits.
    private func hash(_ base: UnsafeMutablePointer<Float>, count: Int, from start: UInt64) -> UInt64 {
        (0..<count).reduce(start) { ($0 ^ UInt64(base[$1].bitPattern)) &* 0x100_0000_01B3 }
    }

    /// Numbers in -1 ..< 1.
    private static func numbers(count: Int, stream: UInt64) -> [Float] {
        var random = CounterRandom(seed: 11, stream: stream).generator()
        return (0..<count).map { _ in Float(random.next() >> 40) / Float(1 << 23) - 1 }
    }
}
