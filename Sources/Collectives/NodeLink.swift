/// Sums and joins a lane over its ranks on different nodes, by messages between each pair, in the order of the nodes.
///
/// One transfer at a time. The bytes are those of a ring, in two steps instead of one a rank.
final class NodeLink {
    private let group: MPIGroup
    private let messages: MPIMessages
    /// What arrives, a piece of the own length from each rank.
    private let arrived: UnsafeMutableRawPointer
    /// The lane as it travels, where that is not as it lies in memory.
    private let encoded: UnsafeMutableRawPointer
    private let inputs: UnsafeMutableBufferPointer<UnsafeRawPointer>
    private var transfer: Transfer?

    private struct Transfer {
        let values: UnsafeMutablePointer<Float>
        let pieces: [Range<Int>]
        let wire: WireFormat
        let joins: Bool
        var isJoining = false
    }

    /// - Parameters:
    ///   - group: the ranks of the lane, one a node; for this link alone.
    ///   - capacity: most floats of a lane.
    init(group: MPIGroup, capacity: Int) {
        self.group = group
        messages = group.messages()
        // Pieces may be uneven by the unit they are cut in.
        let bytes = (capacity + 32 * group.size) * 4
        arrived = .allocate(byteCount: bytes, alignment: 64)
        encoded = .allocate(byteCount: bytes, alignment: 64)
        inputs = .allocate(capacity: group.size)
        inputs.initialize(repeating: UnsafeRawPointer(arrived))
    }

    deinit {
        arrived.deallocate()
        encoded.deallocate()
        inputs.deallocate()
    }

    /// Starts a transfer over `values`, of which each rank owns a piece.
    ///
    /// - Parameters:
    ///   - pieces: what each rank owns, the same on all of them.
    ///   - sums: whether the owner's piece becomes the sum over the ranks.
    ///   - joins: whether every rank gets all pieces then; rounded alike on all ranks when the wire is bf16.
    func start(
        _ values: UnsafeMutablePointer<Float>, pieces: [Range<Int>], wire: WireFormat, sums: Bool, joins: Bool
    ) throws(CollectiveError) {
        precondition(transfer == nil)
        transfer = Transfer(values: values, pieces: pieces, wire: wire, joins: joins)
        if sums { try startSum() } else { try startJoin() }
    }

    /// Moves along; true when done.
    func poll() throws(CollectiveError) -> Bool {
        while transfer != nil {
            guard try messages.poll() else { return false }
            try stepEnded()
        }
        return true
    }

    /// Waits for the end.
    func wait() throws(CollectiveError) {
        while transfer != nil {
            try messages.wait()
            try stepEnded()
        }
    }

    private func startSum() throws(CollectiveError) {
        let transfer = transfer!
        let (stride, own) = (transfer.wire.stride, transfer.pieces[group.rank])
        let outgoing: UnsafeMutableRawPointer
        if transfer.wire == .bf16 {
            BFloat16.encode(transfer.values, count: transfer.pieces.last!.upperBound, into: encoded)
            outgoing = encoded
        } else {
            outgoing = UnsafeMutableRawPointer(transfer.values)
        }
        for distance in 1..<group.size {
            let destination = (group.rank + distance) % group.size
            let range = transfer.pieces[destination]
            try messages.send(
                UnsafeRawBufferPointer(piece(outgoing, range.lowerBound, range.count, stride)), to: destination)
        }
        for distance in 1..<group.size {
            let source = (group.rank - distance + group.size) % group.size
            try messages.receive(piece(arrived, 0, own.count, stride, at: source * own.count), from: source)
        }
    }

    private func stepEnded() throws(CollectiveError) {
        guard let transfer else { return }
        let own = transfer.pieces[group.rank]
        if transfer.isJoining {
            if transfer.wire == .bf16 {
                let end = transfer.pieces.last!.upperBound
                BFloat16.decode(encoded, count: end, into: transfer.values)
            }
            self.transfer = nil
            return
        }
        let stride = transfer.wire.stride
        for rank in 0..<group.size { inputs[rank] = UnsafeRawPointer(arrived + rank * own.count * stride) }
        let mine = transfer.wire == .bf16 ? encoded : UnsafeMutableRawPointer(transfer.values)
        inputs[group.rank] = UnsafeRawPointer(mine + own.lowerBound * stride)
        OrderedSum.sum(
            UnsafeBufferPointer(inputs), wire: transfer.wire, count: own.count, into: transfer.values + own.lowerBound)
        if transfer.joins { try startJoin() } else { self.transfer = nil }
    }

    private func startJoin() throws(CollectiveError) {
        transfer!.isJoining = true
        let transfer = transfer!
        let (stride, own) = (transfer.wire.stride, transfer.pieces[group.rank])
        let lane = transfer.wire == .bf16 ? encoded : UnsafeMutableRawPointer(transfer.values)
        if transfer.wire == .bf16 {
            BFloat16.encode(transfer.values + own.lowerBound, count: own.count, into: lane + own.lowerBound * stride)
        }
        for distance in 1..<group.size {
            let destination = (group.rank + distance) % group.size
            try messages.send(
                UnsafeRawBufferPointer(piece(lane, own.lowerBound, own.count, stride)), to: destination)
        }
        for distance in 1..<group.size {
            let source = (group.rank - distance + group.size) % group.size
            let range = transfer.pieces[source]
            try messages.receive(piece(lane, range.lowerBound, range.count, stride), from: source)
        }
    }

    private func piece(
        _ base: UnsafeMutableRawPointer, _ start: Int, _ count: Int, _ stride: Int, at offset: Int = 0
    ) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: base + (start + offset) * stride, count: count * stride)
    }
}
