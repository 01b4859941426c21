/// Where a rank runs among the nodes of a training.
package struct NodePlace: Equatable, Sendable {
    /// The node's host name.
    package let host: String

    /// The node's number, `0 ..< nodes`, in the order of the lowest rank on each.
    package let node: Int

    /// How many nodes take part.
    package let nodes: Int

    /// This rank's number on its node, `0 ..< localSize`, in rank order.
    package let localRank: Int

    /// How many ranks run on this node.
    package let localSize: Int

    /// Creates a place from its parts.
    package init(host: String, node: Int, nodes: Int, localRank: Int, localSize: Int) {
        self.host = host
        self.node = node
        self.nodes = nodes
        self.localRank = localRank
        self.localSize = localSize
    }

    /// The place of `rank`, from what each rank knows of its own node.
    ///
    /// - Parameters:
    ///   - leaders: for each rank, the lowest rank that shares its memory.
    ///   - hosts: for each rank, its host name.
    package init(of rank: Int, leaders: [Int], hosts: [String]) {
        self.init(of: rank, in: NodeMap(leaders: leaders), host: hosts[rank])
    }

    package init(of rank: Int, in map: NodeMap, host: String) {
        self.init(
            host: host, node: map.node[rank], nodes: map.nodes.count, localRank: map.local[rank],
            localSize: map.nodes[map.node[rank]].count)
    }
}
