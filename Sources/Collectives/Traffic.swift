/// Bytes that a rank has sent.
package struct TrafficCount: Equatable, Sendable {
    /// To ranks of its own node.
    package var withinNode: UInt64 = 0
    /// To ranks of other nodes.
    package var betweenNodes: UInt64 = 0

    package init(withinNode: UInt64 = 0, betweenNodes: UInt64 = 0) {
        self.withinNode = withinNode
        self.betweenNodes = betweenNodes
    }

    package var total: UInt64 { withinNode + betweenNodes }

    package static func += (count: inout TrafficCount, more: TrafficCount) {
        count.withinNode += more.withinNode
        count.betweenNodes += more.betweenNodes
    }
}

/// Bytes one of `size` ranks sends in a collective, by the formulas of the bandwidth-optimal ring algorithms.
///
/// The library may choose other algorithms for small messages; for the large ones that matter the ring is what it
/// sends. Source: Thakur, Rabenseifner, Gropp, "Optimization of Collective Communication Operations in MPICH", 2005.
package enum Traffic {
    /// 2 (P-1)/P of the buffer: a reduce-scatter and an allgather, rounded down.
    package static func allreduce(bytes: Int, size: Int) -> UInt64 {
        UInt64(2 * (size - 1)) * UInt64(bytes) / UInt64(size)
    }

    /// Every part but the own one.
    package static func reduceScatter(parts: [Int], rank: Int) -> UInt64 {
        UInt64(parts.reduce(0, +) - parts[rank])
    }

    /// Every part but the one of the next rank in the ring, which comes back to it last.
    package static func allgather(parts: [Int], rank: Int) -> UInt64 {
        UInt64(parts.reduce(0, +) - parts[(rank + 1) % parts.count])
    }

    /// Along a chain from the root: everything once, except by the chain's last rank.
    package static func broadcast(bytes: Int, size: Int, rank: Int, root: Int) -> UInt64 {
        (rank - root + size) % size == size - 1 ? 0 : UInt64(bytes)
    }

    /// What is not for this rank itself.
    package static func alltoall(parts: [Int], rank: Int) -> UInt64 {
        UInt64(parts.reduce(0, +) - parts[rank])
    }

    /// Each length as 8 bytes, which travel before parts whose lengths the other ranks do not know.
    package static func lengths(size: Int) -> UInt64 {
        UInt64(size - 1) * 8
    }
}

/// The same for ranks on several nodes. In two levels, a sum, reduce-scatter or allgather is one among the ranks of a node, and one
/// among the ranks of a lane, of which there is one on each node.
extension NodeMap {
    /// What a rank sends to the next one, or to a given one.
    package func sent(_ bytes: UInt64, from rank: Int, to other: Int? = nil) -> TrafficCount {
        let other = other ?? (rank + 1) % node.count
        return node[rank] == node[other] ? TrafficCount(withinNode: bytes) : TrafficCount(betweenNodes: bytes)
    }

    /// A sum, in two levels or one.
    package func sum(bytes: Int, rank: Int, inTwoLevels: Bool = true) -> TrafficCount {
        guard inTwoLevels else { return sent(Traffic.allreduce(bytes: bytes, size: node.count), from: rank) }
        return TrafficCount(
            withinNode: Traffic.allreduce(bytes: bytes, size: nodes[node[rank]].count),
            betweenNodes: local[rank] < sumLanes ? Traffic.allreduce(bytes: bytes / sumLanes, size: nodes.count) : 0)
    }

    /// A reduce-scatter in two levels or one, as always on nodes of different sizes.
    package func reduceScatter(parts: [Int], rank: Int, inTwoLevels: Bool = true) -> TrafficCount {
        let all = parts.reduce(0, +)
        guard isUniform && inTwoLevels else {
            let near = nodes[node[rank]].reduce(0) { $0 + parts[$1] }
            return TrafficCount(withinNode: UInt64(near - parts[rank]), betweenNodes: UInt64(all - near))
        }
        let lane = laneParts(parts, local[rank])
        return TrafficCount(
            withinNode: UInt64(all - lane.reduce(0, +)),
            betweenNodes: Traffic.reduceScatter(parts: lane, rank: node[rank]))
    }

    /// An allgather in two levels or one, as always on nodes of different sizes.
    package func allgather(parts: [Int], rank: Int, inTwoLevels: Bool = true) -> TrafficCount {
        guard isUniform && inTwoLevels else { return sent(Traffic.allgather(parts: parts, rank: rank), from: rank) }
        let lanes = (0..<smallest).map { laneParts(parts, $0).reduce(0, +) }
        return TrafficCount(
            withinNode: Traffic.allgather(parts: lanes, rank: local[rank]),
            betweenNodes: Traffic.allgather(parts: laneParts(parts, local[rank]), rank: node[rank]))
    }

    /// An alltoall: each part goes straight to its rank.
    package func alltoall(parts: [Int], rank: Int) -> TrafficCount {
        let near = nodes[node[rank]].reduce(0) { $0 + parts[$1] }
        return TrafficCount(
            withinNode: UInt64(near - parts[rank]), betweenNodes: UInt64(parts.reduce(0, +) - near))
    }

    private func laneParts(_ parts: [Int], _ lane: Int) -> [Int] { ranks(ofLane: lane).map { parts[$0] } }
}
