/// `FewNumbers` by messages, over few ranks: each sends its own to all others, and adds all in rank order. One message's
/// latency, where a tree takes two a level.
final class DirectSums: FewNumbers {
    /// Most numbers, of which a message goes without asking leave; and most ranks.
    static let capacity = 1024
    static let mostRanks = 16

    private let group: MPIGroup
    private let messages: MPIMessages
    /// (ranks, `capacity`).
    private let room: UnsafeMutablePointer<Double>

    /// - Parameter group: with a message space of its own, of all ranks.
    init(group: MPIGroup) {
        self.group = group
        messages = group.messages()
        room = .allocate(capacity: group.size * Self.capacity)
    }

    deinit { room.deallocate() }

    func reduce(
        _ values: UnsafeMutableBufferPointer<Double>, _ operation: MPIGroup.Operation, waiting: () throws(CollectiveError) -> Bool
    ) throws(CollectiveError) {
        precondition(values.count <= Self.capacity)
        guard let start = values.baseAddress, !values.isEmpty else { return }
        let (rank, size, count) = (group.rank, group.size, values.count)
        func part(_ owner: Int) -> UnsafeMutableRawBufferPointer {
            UnsafeMutableRawBufferPointer(start: room + owner * Self.capacity, count: count * MemoryLayout<Double>.stride)
        }
        (room + rank * Self.capacity).update(from: start, count: count)
        for distance in 1..<size {
            let source = (rank - distance + size) % size
            try messages.receive(part(source), from: source)
        }
        for distance in 1..<size {
            let destination = (rank + distance) % size
            try messages.send(UnsafeRawBufferPointer(part(rank)), to: destination)
        }
        try messages.wait { () throws(CollectiveError) in _ = try waiting() }
        _ = values.update(fromContentsOf: UnsafeMutableBufferPointer(start: room, count: count))
        for other in 1..<size { operation.apply(room + other * Self.capacity, to: values) }
    }
}
