/// Which ranks share which node.
package struct NodeMap: Sendable {
    /// The ranks of each node in rank order; nodes in the order of their lowest rank.
    package let nodes: [[Int]]
    /// For each rank, its node.
    package let node: [Int]
    /// For each rank, its number on its node.
    package let local: [Int]

    /// - Parameter leaders: for each rank, the lowest rank that shares its memory.
    package init(leaders: [Int]) {
        let order = Set(leaders).sorted()
        let nodes = order.map { leader in leaders.indices.filter { leaders[$0] == leader } }
        self.nodes = nodes
        node = leaders.map { order.firstIndex(of: $0)! }
        local = leaders.indices.map { rank in leaders[..<rank].count { $0 == leaders[rank] } }
    }

    /// Ranks on the smallest node: as many can work on equal terms on every node.
    var smallest: Int { nodes.reduce(.max) { min($0, $1.count) } }

    /// Whether all nodes have the same number of ranks.
    package var isUniform: Bool { nodes.allSatisfy { $0.count == nodes[0].count } }

    /// Floats a rank stages at once. Within a node chunks of 256 KiB and their results stay in cache; many ranks need longer ones,
    /// as each reduces its share. Between nodes, lanes of 4 MiB hide the latency; within 192 MiB a node.
    var stageCapacity: Int {
        let largest = nodes.reduce(0) { max($0, $1.count) }
        let unit = 16 * largest
        let wanted =
            nodes.count == 1
            ? max(64 << 10, largest * (2 << 10)) : min(smallest * (1 << 20), (12 << 20) / largest)
        return max(1, wanted / unit) * unit
    }

    /// Lanes of a sum: as many ranks of each node reduce, and talk to the other nodes. Fewer than could, where the messages
    /// would become short.
    var sumLanes: Int { nodes.count == 1 ? smallest : min(smallest, max(1, stageCapacity / (64 << 10))) }

    /// The ranks of a lane, one a node.
    func ranks(ofLane lane: Int) -> [Int] { nodes.map { $0[lane] } }
}
