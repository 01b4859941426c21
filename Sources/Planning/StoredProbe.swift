import Collectives
import Exchange
import Layers
package import Networks
package import Optimizers
import System
package import Tensors

/// Measures what this rank computes of a network in what time: a few training steps of a few samples.
package enum StoredProbe {
    /// Samples of a measured step: more only take longer in proportion.
    package static let most = 8
    private static let repeats = 3

    /// - Parameters:
    ///   - shard: samples of a rank.
    ///   - begin: called before each measurement, so that ranks that share processors measure at the same time.
    /// - Throws: `ArenaError`; what `begin` throws.
    package static func measure(
        _ network: NetworkDescription, optimizer configuration: OptimizerConfiguration, shard: Int, team: WorkerTeam,
        begin: () throws -> Void
    ) throws -> StoredRates {
        let samples = max(1, min(shard, most))
        let setting = ExchangePlan.Setting(
            network: network, window: nil, policy: .stored, optimizer: configuration, wire: .fp32, shard: samples)
        let replica = try Replica(alone: setting, team: team)
        guard let exchange = replica.exchange as? StoredExchange else { preconditionFailure("the policy is stored") }
        let made = replica.network
        network.initialize(made.parameters, seed: 1, team: team, poses: .unit)
        var random = CounterRandom(seed: 1, stream: 1).generator()
        let input = (0..<samples * network.input.count).map { _ in 2 * random.uniform() - 1 }
        let labels = [Float](repeating: 0.1, count: samples * NetworkDescription.outputs)
        let positions = (0..<samples).map(UInt64.init)
        var times: [(forward: Double, whole: Double, update: Double)] = []
        for round in 0...repeats {
            try begin()
            let start = Stopwatch.now
            try positions.withUnsafeBufferPointer { _ = try made.forward(input: input, samples: samples, positions: $0) }
            let middle = Stopwatch.now
            exchange.begin(microBatch: 0, of: 1)
            try made.backward(labels: labels, scale: 1 / Float(labels.count), sink: exchange)
            try exchange.finishBackward()
            let end = Stopwatch.now
            replica.optimizer.beginStep(rate: 0)
            try exchange.update(scale: 1)
            // The first round meets fresh caches and packs nothing twice.
            if round > 0 { times.append((middle - start, end - start, Stopwatch.now - end)) }
        }
        func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
        return StoredRates(
            sample: median(times.map(\.whole)) / Double(samples), forward: median(times.map(\.forward)) / Double(samples),
            update: median(times.map(\.update)) / Double(max(1, network.table.count)))
    }
}
