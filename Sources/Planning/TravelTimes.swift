import Glibc

/// What collectives take, by the links' rates and the ranks' shape.
///
/// Collectives between nodes go by rings: of n nodes each sends 2 (n-1)/n of a buffer in a sum, in 2 (n-1) messages, whatever its
/// number of ranks; within a node a sum's rate is measured.
package struct TravelTimes: Sendable {
    package var shape: RankShape
    package var links: LinkRates

    private var nodes: Double { Double(shape.nodes) }
    private var ranks: Double { Double(shape.ranks) }

    package init(shape: RankShape, links: LinkRates) {
        self.shape = shape
        self.links = links
    }

    /// Seconds of a sum of `bytes` over all ranks, in `messages` buffers. A reduce-scatter or an allgather takes half.
    /// - Parameter wireShare: bytes on the wire for a byte of the buffers.
    package func sum(bytes: Double, messages: Double, wireShare: Double = 1) -> Double {
        var seconds = 0.0
        if shape.ranksOfNode > 1 {
            seconds += bytes / links.sumWithin + messages * 2 * links.latencyWithin
        }
        if shape.nodes > 1 {
            seconds += 2 * (nodes - 1) / nodes * bytes * wireShare / links.bandwidthBetween
            seconds += messages * 2 * (nodes - 1) * links.latencyBetween
        }
        return seconds
    }

    /// Seconds of a sum of a few numbers, which goes up a binomial tree and down again; as measured, where it was.
    package func smallSum(bytes: Double) -> Double {
        if let measured = links.smallSum { return measured }
        func rounds(_ members: Double) -> Double { members > 1 ? 2 * log2(members).rounded(.up) : 0 }
        let within = rounds(Double(shape.ranksOfNode)), between = rounds(nodes)
        return (within > 0 ? within * (links.latencyWithin + bytes / links.bandwidthWithin) : 0)
            + (between > 0 ? between * (links.latencyBetween + bytes / links.bandwidthBetween) : 0)
    }

    /// Seconds in which every rank sends `bytes` in all, the same to each rank, itself included, in `pieces` messages each.
    ///
    /// What goes from node to node is one message. The node's ranks share the nodes among them; all that they send passes through
    /// the node's memory on both sides.
    package func alltoall(bytes: Double, pieces: Double = 1) -> Double {
        let (local, perPeer) = (Double(shape.ranksOfNode), bytes / ranks)
        let far = (ranks - local) * perPeer
        var seconds =
            (local - 1) * (perPeer / links.bandwidthWithin + pieces * links.latencyWithin)
            + local * far / links.bandwidthBetween + ((nodes - 1) / local).rounded(.up) * pieces * links.latencyBetween
        if local > 1 && nodes > 1 { seconds += 2 * (far / links.bandwidthWithin + pieces * links.latencyWithin) }
        return seconds
    }
}
