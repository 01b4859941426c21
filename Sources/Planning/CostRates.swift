package import Networks

/// The ranks of a training, as far as its speed depends on them.
package struct RankShape: Sendable, Equatable, Codable {
    package var ranks: Int
    package var nodes: Int
    /// Threads a rank.
    package var threads: Int

    package init(ranks: Int, nodes: Int, threads: Int) {
        self.ranks = ranks
        self.nodes = nodes
        self.threads = threads
    }

    /// Ranks on the fullest node.
    package var ranksOfNode: Int { (ranks + nodes - 1) / nodes }
}

/// What the ways between ranks carry.
package struct LinkRates: Sendable, Equatable, Codable {
    /// Seconds of the shortest message between nodes, and within one.
    package var latencyBetween: Double
    package var latencyWithin: Double
    /// Bytes a second that a node sends to another while it receives as much.
    package var bandwidthBetween: Double
    /// Bytes a second that each rank of a node sends to another of it, while all do.
    package var bandwidthWithin: Double
    /// Bytes of a buffer that the ranks of a node sum in a second.
    package var sumWithin: Double
    /// Bytes of gradients that all ranks sum in a second, by buckets and as the run has them travel; nil: not measured, as of a
    /// cluster that is not at hand.
    package var bucketSums: Double?
    /// The same of buckets that are reduced to their owners, and then joined again.
    package var bucketParts: Double?
    /// Seconds of a sum of a few hundred numbers over all ranks, such as a normalisation's; nil: not measured.
    package var smallSum: Double?

    package init(
        latencyBetween: Double, latencyWithin: Double, bandwidthBetween: Double, bandwidthWithin: Double, sumWithin: Double,
        bucketSums: Double? = nil, bucketParts: Double? = nil, smallSum: Double? = nil
    ) {
        self.latencyBetween = latencyBetween
        self.latencyWithin = latencyWithin
        self.bandwidthBetween = bandwidthBetween
        self.bandwidthWithin = bandwidthWithin
        self.sumWithin = sumWithin
        self.bucketSums = bucketSums
        self.bucketParts = bucketParts
        self.smallSum = smallSum
    }
}

extension LinkRates {
    /// Share of a link's nominal rate that reaches the program: TCP over Ethernet.
    private static let payload = 0.94

    /// Within a node that is not at hand: round figures of shared memory, in seconds and bytes a second, not measured.
    private static let (latencyWithin, rateWithin) = (2e-6, 4e9)

    /// Of nodes that Ethernet joins.
    package static func ethernet(gigabits: Double, latency: Double) -> LinkRates {
        LinkRates(
            latencyBetween: latency, latencyWithin: latencyWithin, bandwidthBetween: gigabits * 1e9 / 8 * payload,
            bandwidthWithin: rateWithin, sumWithin: rateWithin)
    }
}

/// What a rank computes in what time, with all its threads, while the other ranks of its node compute too. Seconds.
package struct ComputeRates: Sendable, Equatable, Codable {
    /// A sample's convolution, forward and backward.
    package var convolution: Double
    /// A sample's last layers, and its loss.
    package var output: Double
    /// A weight of the large layer and a sample: its share of the three products.
    package var product: Double
    /// A weight of the large layer, whatever the batch: Adam included, made while its gradient is in cache.
    package var immediateWeight: Double
    /// The same where the gradient is stored, and Adam comes later.
    package var storedWeight: Double
    /// Of that, Adam by itself.
    package var adam: Double

    package init(
        convolution: Double, output: Double, product: Double, immediateWeight: Double, storedWeight: Double, adam: Double
    ) {
        self.convolution = convolution
        self.output = output
        self.product = product
        self.immediateWeight = immediateWeight
        self.storedWeight = storedWeight
        self.adam = adam
    }

    /// Seconds of a step on one rank alone.
    package func step(_ network: WindowNetwork, samples: Double) -> Double {
        let weights = Double(network.flattened * network.hidden)
        return samples * (convolution + output) + weights * (product * samples + immediateWeight)
    }
}
