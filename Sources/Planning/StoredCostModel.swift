package import Exchange
import Layers
import Memory
package import Networks

/// What a rank computes of a network in what time, with all its threads. Seconds.
package struct StoredRates: Sendable, Equatable, Codable {
    /// A sample, forward and backward, beside `weight`.
    package var sample: Double
    /// Of that, forward.
    package var forward: Double
    /// A parameter's update.
    package var update: Double
    /// A parameter's part of a step, forward and backward, however many samples there are.
    package var weight: Double

    package init(sample: Double, forward: Double, update: Double, weight: Double = 0) {
        self.sample = sample
        self.forward = forward
        self.update = update
        self.weight = weight
    }
}

/// Predicts a step of any network whose gradients are stored, with each exchange, from bytes, rates and counts alone.
package struct StoredCostModel: Sendable {
    package var network: NetworkDescription
    /// Global.
    package var batch: Int
    package var wireShare: Double
    package var rates: StoredRates
    package var travel: TravelTimes

    package init(network: NetworkDescription, batch: Int, wireShare: Double, rates: StoredRates, travel: TravelTimes) {
        self.network = network
        self.batch = batch
        self.wireShare = wireShare
        self.rates = rates
        self.travel = travel
    }

    private var ranks: Double { Double(travel.shape.ranks) }
    private var shard: Double { Double((batch + travel.shape.ranks - 1) / travel.shape.ranks) }
    private var others: Double { (ranks - 1) / ranks }

    /// The strategies, fastest first. `split` divides the weights for which that is faster.
    /// - Parameter kinds: those that are possible.
    package func predictions(_ kinds: [ExchangeKind]) -> [CostModel.Prediction] {
        kinds.map { $0 == .split ? fastestSplit : prediction($0) }.sorted { $0.seconds < $1.seconds }
    }

    /// `split` of the weights that it pays for, one at least: all that can be divided, without one after the other for as long as
    /// that is faster.
    private var fastestSplit: CostModel.Prediction {
        var best = prediction(.split, dividing: Set(network.divisible(ranks: travel.shape.ranks).map(\.name)))
        while let divided = best.divided, divided.count > 1 {
            let fewer = divided.sorted().map { prediction(.split, dividing: divided.subtracting([$0])) }
            guard let fastest = fewer.min(by: { $0.seconds < $1.seconds }), fastest.seconds < best.seconds else { break }
            best = fastest
        }
        if best.divided?.count == network.divisible.count { best.divided = nil }
        return best
    }

    /// - Parameter divided: the weights that `split` divides; nil: all that can be, by whatever number of ranks.
    package func prediction(_ kind: ExchangeKind, dividing divided: Set<String>? = nil) -> CostModel.Prediction {
        let weights = kind == .split ? network.divisible.filter { divided?.contains($0.name) ?? true } : []
        let declared = network.declarations.filter(\.role.isTrained)
        let all = declared.reduce(0.0) { $0 + Double($1.count) }
        let large = declared.filter { $0.role == .weight && $0.count >= LayerParameterDeclaration.largeCount }
            .reduce(0.0) { $0 + Double($1.count) }
        let divisible = weights.reduce(0.0) { $0 + Double($1.count) }
        let travelling = all - divisible
        let updated = all - (kind == .sharded ? large : divisible) * others
        let gradients = sum(4 * travelling)
        // Handing weights out is half a sum, after the update.
        let handing = kind == .sharded ? travel.sum(bytes: 4 * large, messages: 1) / 2 : 0
        let activations = activationSeconds(weights)
        let statistics = statisticsSeconds
        // What `split` divides passes through the memory of one rank each.
        let passing = (all - divisible * others) * rates.weight
        let compute = shard * rates.sample + passing + updated * rates.update
        let backward = shard * (rates.sample - rates.forward) + passing
        let hidden = (travel.shape.threads > 1 ? min(gradients, backward / 2) : 0) + hiddenActivationSeconds(weights)
        let exchange = gradients + handing + activations + statistics
        return CostModel.Prediction(
            kind: kind, divided: kind == .split ? divided : nil, seconds: compute + exchange - hidden, compute: compute,
            exchange: exchange, bytes: 2 * others * 4 * travelling * wireShare + activationBytes(weights))
    }

    /// Of layers that look at the whole batch: a small sum each way, of two numbers a channel in double precision.
    package var statisticsSeconds: Double {
        network.batchStatistics.reduce(0) { $0 + 2 * travel.smallSum(bytes: Double(8 * (2 * $1 + 1))) }
    }

    private func sum(_ bytes: Double) -> Double {
        travel.links.bucketSums.map { bytes / $0 } ?? travel.sum(bytes: bytes, messages: bytes / 4e6 + 1, wireShare: wireShare)
    }

    /// Of divided layers: x there, dx back; y's parts summed, its gradient to all.
    private func activationSeconds(_ divided: [LayerParameterDeclaration]) -> Double {
        divided.reduce(0) { $0 + 2 * inputSeconds($1) + travel.sum(bytes: 4 * shard * ranks * Double($1.shape[1]), messages: 1) }
    }

    /// x there, or dx back.
    private func inputSeconds(_ declared: LayerParameterDeclaration) -> Double {
        travel.alltoall(bytes: 4 * shard * Double(declared.shape[0]))
    }

    /// What of that passes while processors compute, as links carry by themselves: dx while the weights' gradient is made; and where
    /// branches run side by side all but the first of what each exchanges, as far as there is something to compute.
    private func hiddenActivationSeconds(_ divided: [LayerParameterDeclaration]) -> Double {
        guard travel.shape.nodes > 1 else { return 0 }
        return divided.reduce(0) { sum, declared in
            let products = shard * rates.sample * 2 * Double(declared.count) / network.operations
            return sum
                + (declared.isAbreast
                    ? min(0.75 * activationSeconds([declared]), products) : min(inputSeconds(declared), products / 3))
        }
    }

    private func activationBytes(_ divided: [LayerParameterDeclaration]) -> Double {
        divided.reduce(0) { sum, declared in
            sum + 2 * others * 4 * shard * Double(declared.shape[0]) + 2 * (ranks - 1) * 4 * shard * Double(declared.shape[1])
        }
    }
}
