/// This rank among those of its node, and its counterparts on the others: what sums and joins floats in two levels.
final class NodeRanks {
    private let map: NodeMap
    private let group: MPIGroup
    private let engine: NodeEngine
    private let kinds: [SharedMemoryKind]
    private var buffers: [SharedBuffer] = []

    /// Values of the same count on each rank of the node, all in memory that they share.
    private struct SharedBuffer {
        let mapping: SharedMapping
        let count: Int
        let own: UnsafeMutablePointer<Float>
    }

    /// Makes the groups between nodes; all ranks call it.
    ///
    /// - Parameters:
    ///   - group: the ranks of this node.
    ///   - memory: what they share.
    init(world: MPIGroup, group: MPIGroup, map: NodeMap, memory: NodeMemory) throws(CollectiveError) {
        self.map = map
        self.group = group
        kinds = memory.kinds
        let (local, capacity) = (map.local[world.rank], map.stageCapacity)
        let laneCapacity = capacity / map.sumLanes
        // Ranks beyond the lanes get a group too, as the call is collective, and do not use it.
        // A lane's ranks stand in the order of their nodes, as its pieces do, wherever a launcher puts ranks.
        let even = try world.split(color: min(local, map.smallest), key: map.node[world.rank])
        let odd = try even.duplicate()
        let isInLane = map.nodes.count > 1 && local < map.smallest
        let window = NodeWindow(
            rank: local, size: group.size, capacity: capacity, mapping: memory.mapping,
            progress: { () throws(CollectiveError) in try world.progress() })
        engine = NodeEngine(
            window: window,
            links: isInLane ? [even, odd].map { NodeLink(group: $0, capacity: laneCapacity) } : [],
            node: map.node[world.rank], nodes: map.nodes.count, laneCapacity: laneCapacity)
    }

    // MARK: Jobs

    func sum(_ values: UnsafeMutableBufferPointer<Float>, wire: WireFormat) -> NodeJob {
        let lanes = map.sumLanes
        return NodeJob(
            .sum, wire: wire, whole: values.baseAddress!, part: nil,
            shared: wire == .fp32 ? shared(UnsafeBufferPointer(values)) : nil,
            segments: evenParts(of: values.count, into: lanes).map { [$0] },
            laneCapacity: map.stageCapacity / lanes / 16 * 16)
    }

    /// Only where all nodes have the same number of ranks.
    func reduceScatter(
        _ values: UnsafeBufferPointer<Float>, counts: [Int], into sums: UnsafeMutableBufferPointer<Float>,
        wire: WireFormat
    ) -> NodeJob {
        NodeJob(
            .reduceScatter, wire: wire, whole: UnsafeMutablePointer(mutating: values.baseAddress!),
            part: sums.baseAddress,
            shared: wire == .fp32 && map.nodes.count == 1 ? shared(values) : nil, segments: segments(counts),
            laneCapacity: partLaneCapacity)
    }

    /// Only where all nodes have the same number of ranks.
    func allgather(
        _ part: UnsafeBufferPointer<Float>, counts: [Int], into whole: UnsafeMutableBufferPointer<Float>,
        wire: WireFormat
    ) -> NodeJob {
        NodeJob(
            .allgather, wire: wire, whole: whole.baseAddress!,
            part: part.baseAddress.map { UnsafeMutablePointer(mutating: $0) }, shared: nil, segments: segments(counts),
            laneCapacity: partLaneCapacity)
    }

    private var partLaneCapacity: Int { map.stageCapacity / map.smallest / 16 * 16 }

    private func segments(_ counts: [Int]) -> [[Range<Int>]] {
        let offsets = counts.offsets()
        return (0..<map.smallest).map { lane in
            map.ranks(ofLane: lane).map { offsets[$0]..<offsets[$0] + counts[$0] }
        }
    }

    // MARK: Running

    var isIdle: Bool { engine.isIdle }
    func poll() throws(CollectiveError) { try engine.poll() }
    func finishAll() throws(CollectiveError) { try engine.finishAll() }

    /// Begins a job behind those under way.
    func start(_ job: NodeJob) throws(CollectiveError) -> any PendingExchange {
        try engine.begin(job)
        return Pending(job, engine)
    }

    private final class Pending: PendingExchange {
        private let job: NodeJob
        private let engine: NodeEngine

        init(_ job: NodeJob, _ engine: NodeEngine) {
            self.job = job
            self.engine = engine
        }

        func poll() throws(CollectiveError) -> Bool {
            try engine.poll()
            return job.isDone
        }

        func finish() throws(CollectiveError) { try engine.finish(job) }
    }

    // MARK: Values in shared memory

    /// Room for `count` floats on each rank of the node, or nil on all of them.
    func sharedBuffer(count: Int) throws(CollectiveError) -> UnsafeMutableBufferPointer<Float>? {
        guard group.size > 1, count > 0 else { return nil }
        guard let mapping = try SharedMapping.make(partBytes: count * 4, node: group, kinds: kinds).mapping else {
            return nil
        }
        let own = mapping.parts[group.rank].bindMemory(to: Float.self, capacity: count)
        buffers.append(SharedBuffer(mapping: mapping, count: count, own: own))
        return UnsafeMutableBufferPointer(start: own, count: count)
    }

    func giveBack(_ buffer: UnsafeMutableBufferPointer<Float>) { buffers.removeAll { $0.own == buffer.baseAddress } }

    /// Where the others have `values`, when they lie in a shared buffer; when this rank is alone, where they are.
    private func shared(_ values: UnsafeBufferPointer<Float>) -> SharedValues? {
        let start = UnsafeMutablePointer(mutating: values.baseAddress!)
        if group.size == 1 { return SharedValues(values: [start], offset: 0) }
        for buffer in buffers where start >= buffer.own && start + values.count <= buffer.own + buffer.count {
            let offset = start - buffer.own
            return SharedValues(
                values: buffer.mapping.parts.map { $0.assumingMemoryBound(to: Float.self) + offset }, offset: offset)
        }
        return nil
    }
}
