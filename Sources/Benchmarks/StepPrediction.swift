import Exchange
import Memory
package import Networks
package import Optimizers
import Planning
import System

/// Predicts a step from this machine's rates, measured in a second or two: alone, and on clusters of such machines.
package enum StepPrediction {
    private static let gigabits = [1.0, 10, 100]
    /// Seconds of the shortest message between nodes; a usual one of Ethernet.
    private static let latency = 30e-6

    /// - Parameters:
    ///   - window: the network as one of the question's kind, if it is.
    ///   - batch: global.
    /// - Returns: a rank alone first, then the fastest exchange at each link's rate, where there are several ranks.
    /// - Throws: `ArenaError`, `ThreadError`.
    package static func make(
        _ network: NetworkDescription, window: WindowNetwork?, batch: Int, ranks: Int, threads: Int,
        optimizer: OptimizerConfiguration
    ) throws -> [NetworkSummary.Prediction] {
        let alone = NetworkSummary.Prediction.init(gigabits:exchange:seconds:)
        if let window {
            let projection = try ProjectionBenchmark(
                network: window, preset: "", batch: batch, threads: threads, latency: latency
            ).projection()
            return [alone(nil, "none", projection.alone)]
                + (ranks > 1 ? gigabits : []).map { rate in
                    let best = projection.row(ranks: ranks, gigabits: rate).predictions[0]
                    return alone(rate, best.kind.rawValue, best.seconds)
                }
        }
        let team = try WorkerTeam(count: threads)
        let shard = (batch + ranks - 1) / ranks
        var rates: [Int: StoredRates] = [:]
        for samples in Set([shard, batch]) {
            rates[samples] = try StoredProbe.measure(network, optimizer: optimizer, shard: samples, team: team) {}
        }
        let projection = StoredProjection(
            network: network, optimizer: optimizer, batch: batch, threads: threads, rates: rates, latency: latency)
        return [alone(nil, "none", projection.alone)]
            + (ranks > 1 ? gigabits : []).map { rate in
                let best = projection.row(ranks: ranks, gigabits: rate).predictions[0]
                return alone(rate, best.kind.rawValue, best.seconds)
            }
    }
}
