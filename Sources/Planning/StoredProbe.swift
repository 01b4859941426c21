import Collectives
import Exchange
import Layers
import Memory
package import Networks
package import Optimizers
package import System

/// Measures what this rank computes of a network in what time: a few training steps of a few samples.
package enum StoredProbe {
    /// Samples of a measured step at most.
    package static func most(_ network: NetworkDescription) -> Int { network.divisible.isEmpty ? 8 : 32 }
    /// Samples of the shorter step that large weights are told from samples by: products of fewer are of another kind.
    private static let few = 8
    private static let repeats = 3
    /// Seconds of a step: forward, forward and backward, the update of all weights.
    package typealias Times = (forward: Double, whole: Double, update: Double)

    /// Steps of more samples than are measured take what each sample takes. Where there are large fully connected layers, their
    /// weights' way through memory takes most of a small step, however many samples it has: it follows from steps of two sizes.
    /// - Parameters:
    ///   - shard: samples of a rank.
    ///   - begin: called before each measurement, so that ranks that share processors measure at the same time.
    /// - Throws: `ArenaError`; what `begin` throws.
    package static func measure(
        _ network: NetworkDescription, optimizer configuration: OptimizerConfiguration, shard: Int, team: WorkerTeam,
        begin: () throws -> Void
    ) throws -> StoredRates {
        let most = most(network)
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
        func measure(samples: Int) throws -> Times {
            var times: [Times] = []
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
            return (median(times.map(\.forward)), median(times.map(\.whole)), median(times.map(\.update)))
        }
        let many = try measure(samples: samples)
        let shorter = samples > few && shard > most ? try measure(samples: few) : nil
        return rates(many: many, samples: samples, few: shorter, fewSamples: few, weights: network.table.count)
    }

    /// The line through two steps; through one and the origin where there is no other.
    package static func rates(many: Times, samples: Int, few: Times?, fewSamples: Int, weights: Int) -> StoredRates {
        func sample(_ many: Double, _ few: Double?) -> Double {
            let whole = many / Double(samples)
            guard let few else { return whole }
            return max(0, min(whole, (many - few) / Double(samples - fewSamples)))
        }
        let one = sample(many.whole, few?.whole)
        return StoredRates(
            sample: one, forward: min(one, sample(many.forward, few?.forward)), update: many.update / Double(max(1, weights)),
            weight: (many.whole - one * Double(samples)) / Double(max(1, weights)))
    }
}
