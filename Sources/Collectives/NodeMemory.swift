/// The memory through which the ranks of a node meet.
struct NodeMemory {
    /// Nil for a rank that is alone on its node, and where there is none.
    var mapping: SharedMapping?
    /// Whether every node has what it needs.
    var isThere = true
    /// Why it is missing somewhere; the same on all ranks. Nil also where it is switched off.
    var problem: String?
    /// Where it came from.
    var kinds: [SharedMemoryKind] = []

    /// Shares memory on each node; all ranks call it. It is there on all nodes or on none.
    static func share(
        _ topology: Topology, world: MPIGroup, kinds: [SharedMemoryKind]
    ) throws(CollectiveError) -> NodeMemory {
        // Switched off by a variable that may not have reached all nodes: off for all.
        if try world.allgather(record: [kinds.isEmpty ? 1 : 0]).contains([1]) {
            return NodeMemory(isThere: topology.map.nodes.count == world.size)
        }
        var memory = NodeMemory(kinds: kinds)
        if topology.node.size > 1 {
            (memory.mapping, memory.problem) = try SharedMapping.make(
                partBytes: NodeWindow.bytes(capacity: topology.map.stageCapacity), node: topology.node, kinds: kinds)
        }
        let isMissing = memory.problem != nil
        guard try world.allgather(record: [isMissing ? 1 : 0]).contains([1]) else { return memory }
        let length = 300
        let text = Array((memory.problem.map { "\(topology.host): \($0)" } ?? "").utf8.prefix(length))
        let texts = try world.allgather(record: text + [UInt8](repeating: 0, count: length - text.count))
            .map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return NodeMemory(isThere: false, problem: texts.first { !$0.isEmpty })
    }
}
