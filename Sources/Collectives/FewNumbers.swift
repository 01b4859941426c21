/// Sums and maxima of a few numbers over all ranks, in rank order.
protocol FewNumbers: AnyObject {
    /// Most numbers.
    static var capacity: Int { get }

    /// - Parameter waiting: called again and again while a rank waits; tells whether nothing else is under way.
    func reduce(
        _ values: UnsafeMutableBufferPointer<Double>, _ operation: MPIGroup.Operation, waiting: () throws(CollectiveError) -> Bool
    ) throws(CollectiveError)
}

extension MPIGroup.Operation {
    /// Adds other numbers to some, or takes the larger ones.
    func apply(_ terms: UnsafePointer<Double>, to values: UnsafeMutableBufferPointer<Double>) {
        switch self {
        case .sum: for index in values.indices { values[index] += terms[index] }
        case .maximum: for index in values.indices { values[index] = max(values[index], terms[index]) }
        }
    }
}

extension MPICommunicator {
    /// What adds few numbers fastest: shared memory within one node, else messages; nil where there are too many ranks for these, or
    /// one. All ranks call it.
    static func fewNumbers(
        _ world: MPIGroup, _ topology: Topology, _ memory: NodeMemory
    ) throws(CollectiveError) -> (any FewNumbers)? {
        if world.size == 1 { return nil }
        if topology.map.nodes.count == 1, memory.isThere,
            let mapping = try SharedMapping.make(partBytes: NodeSums.bytes, node: topology.node, kinds: memory.kinds).mapping
        {
            return NodeSums(
                rank: topology.node.rank, mapping: mapping, progress: { () throws(CollectiveError) in try world.progress() })
        }
        return world.size <= DirectSums.mostRanks ? DirectSums(group: try world.duplicate()) : nil
    }
}
