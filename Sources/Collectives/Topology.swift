import System

/// Where all ranks run, found once at the start.
struct Topology {
    let map: NodeMap
    /// This node's name.
    let host: String
    /// The ranks of this node.
    let node: MPIGroup

    /// Finds the nodes: ranks that can share memory are on one node.
    /// - Parameter ranksPerNode: cuts each node into pretended ones of at most so many ranks, for tests.
    static func find(_ world: MPIGroup, ranksPerNode: Int?) throws(CollectiveError) -> Topology {
        var node = try world.splitByMemory()
        if let ranksPerNode { node = try node.split(color: node.rank / ranksPerNode) }
        // The ranks of a node are in the order of the world, so the first is the lowest.
        let leader = try node.broadcast(numbers: [world.rank])[0]
        let leaders = try world.allgather(record: withUnsafeBytes(of: leader) { [UInt8]($0) })
            .map { record in record.withUnsafeBytes { $0.loadUnaligned(as: Int.self) } }
        return Topology(map: NodeMap(leaders: leaders), host: hostName(), node: node)
    }
}
