import CLinux
import Glibc

/// The ranks that an MPI launcher started: `MPI_COMM_WORLD`.
///
/// Owns the library's life: `MPI_Init_thread` on creation, `MPI_Finalize` on `finish()`. One instance per process,
/// used by the thread that created it, which is checked.
package final class MPICommunicator: Communicator {
    package let rank: Int
    package let size: Int
    package let place: NodePlace
    package let notice: String?
    package private(set) var traffic = TrafficCount()

    private let library: MPILibrary
    private let world: MPIGroup
    /// The message space of exchanges under way, which must not mix with messages one by one.
    private let exchanges: MPIGroup
    /// Nil where there are too many ranks for it, or one.
    private let few: (any FewNumbers)?
    private let map: NodeMap
    /// How floats are summed and joined: within nodes first, where their ranks share memory.
    private let sums: NodeRanks
    private let isInTwoLevels: Bool
    private let topology: Topology
    private let sharedMemory: [SharedMemoryKind]
    package let packsByNode: Bool
    private var packing: NodePacking?
    /// Messages to other nodes that exchanges of all with all have taken on this rank so far; those without a byte are none.
    package var alltoallMessages: Int { straightMessages + (packing?.messagesSent ?? 0) }
    private var straightMessages = 0
    /// The same for parts, of which nodes of different sizes have different numbers.
    private let parts: NodeRanks

    /// Starts the MPI library and finds this rank's place.
    ///
    /// - Throws: `CollectiveError.mpi`, `.unsuitableLibrary`, `.settingsDiffer`.
    package init(launcher: Launcher, options: Options = Options()) throws(CollectiveError) {
        precondition(1...Int(Int32.max) ~= options.maximumCount)
        // Ranks that wait poll. Where they outnumber the cores this starves those that compute, unless each poll
        // yields. Open MPI decides so itself only by counting slots, which says nothing of worker threads. The user's
        // word wins.
        setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0)
        if launcher.kind != .openMPI && launcher.kind != .pmix {
            // Under a launcher Open MPI does not know, each process would start a daemon of its own only to find
            // itself alone.
            setenv("OMPI_MCA_ess_singleton_isolated", "1", 0)
        }
        // Waits are of tens of microseconds, and there is one at each normalisation of a network.
        dtrain_timer_slack(1000)
        library = try MPILibrary(rank: launcher.rank ?? 0)
        world = try library.world(maximumCount: options.maximumCount)
        exchanges = try world.duplicate()
        rank = world.rank
        size = world.size
        try options.requireSame(on: world)
        topology = try Topology.find(world, ranksPerNode: options.ranksPerNode)
        map = topology.map
        place = NodePlace(of: world.rank, in: map, host: topology.host)

        let memory = try NodeMemory.share(topology, world: world, kinds: options.sharedMemory.kinds)
        notice = memory.problem.map {
            "no shared memory (\($0)): sums within a node go through MPI, which is slower; "
                + "hint: more memory for the container, --shm-size for docker, and one container a node"
        }
        var twoLevels: NodeRanks?
        if memory.isThere {
            twoLevels = try NodeRanks(world: world, group: topology.node, map: map, memory: memory)
        }
        var oneLevel: NodeRanks?
        if twoLevels == nil || !map.isUniform {
            oneLevel = try NodeRanks(
                world: world, group: try world.split(color: world.rank), map: NodeMap(leaders: Array(0..<world.size)),
                memory: NodeMemory())
        }
        few = try Self.fewNumbers(world, topology, memory)
        isInTwoLevels = memory.isThere
        sharedMemory = memory.kinds
        packsByNode = options.packs && memory.isThere && map.nodes.count > 1 && map.nodes.count < world.size
        sums = twoLevels ?? oneLevel!
        parts = oneLevel ?? twoLevels!
    }

    // MARK: Reductions and broadcast

    package func sum(_ values: UnsafeMutableBufferPointer<Float>, wire: WireFormat) throws(CollectiveError) {
        try startSum(values, wire: wire).finish()
    }

    package func startSum(
        _ values: UnsafeMutableBufferPointer<Float>, wire: WireFormat
    ) throws(CollectiveError) -> any PendingExchange {
        if size == 1 || values.isEmpty { return DoneExchange() }
        if sums !== parts { try parts.finishAll() }
        traffic += map.sum(bytes: values.count * wire.stride, rank: rank, inTwoLevels: isInTwoLevels)
        return try sums.start(sums.sum(values, wire: wire))
    }

    /// The library's own sum, as it is: what `sum` is compared with.
    package func librarySum(_ values: UnsafeMutableBufferPointer<Float>) throws(CollectiveError) {
        try settle()
        try world.sum(values)
        traffic += map.sent(Traffic.allreduce(bytes: values.count * 4, size: size), from: rank)
    }

    package func sharedBuffer(count: Int) throws(CollectiveError) -> UnsafeMutableBufferPointer<Float>? {
        try settle()
        return try sums.sharedBuffer(count: count)
    }

    package func giveBack(_ buffer: UnsafeMutableBufferPointer<Float>?) throws(CollectiveError) {
        // Nobody reads it any more.
        try barrier()
        if let buffer { sums.giveBack(buffer) }
    }

    package func sum(_ values: UnsafeMutableBufferPointer<Double>) throws(CollectiveError) {
        try allreduce(values, .sum)
    }

    package func maximum(_ values: UnsafeMutableBufferPointer<Double>) throws(CollectiveError) {
        try allreduce(values, .maximum)
    }

    private func allreduce(
        _ values: UnsafeMutableBufferPointer<Double>, _ operation: MPIGroup.Operation
    ) throws(CollectiveError) {
        if let few, values.count <= type(of: few).capacity {
            // Sums under way go on meanwhile: others may wait for this rank's share of them before they come here.
            try few.reduce(values, operation) { () throws(CollectiveError) in
                try sums.poll()
                if parts !== sums { try parts.poll() }
                return sums.isIdle && parts.isIdle
            }
        } else {
            try settle()
            try world.reduce(values, operation)
        }
        traffic += map.sent(Traffic.allreduce(bytes: values.count * 8, size: size), from: rank)
    }

    package func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws(CollectiveError) {
        try settle()
        try world.broadcast(bytes, from: root)
        traffic += map.sent(Traffic.broadcast(bytes: bytes.count, size: size, rank: rank, root: root), from: rank)
    }

    package func reduceScatterSum(
        _ values: UnsafeBufferPointer<Float>, counts: [Int], into sums: UnsafeMutableBufferPointer<Float>,
        wire: WireFormat
    ) throws(CollectiveError) {
        try start(reduceScatter: values, counts: counts, into: sums, wire: wire).finish()
    }

    package func startReduceScatterSum(
        _ values: UnsafeBufferPointer<Float>, counts: [Int], into sums: UnsafeMutableBufferPointer<Float>
    ) throws(CollectiveError) -> any PendingExchange { try start(reduceScatter: values, counts: counts, into: sums, wire: .fp32) }

    private func start(
        reduceScatter values: UnsafeBufferPointer<Float>, counts: [Int], into sums: UnsafeMutableBufferPointer<Float>,
        wire: WireFormat
    ) throws(CollectiveError) -> any PendingExchange {
        precondition(counts.count == size && counts.reduce(0, +) == values.count && sums.count == counts[rank])
        if values.isEmpty { return DoneExchange() }
        traffic += map.reduceScatter(
            parts: counts.map { $0 * wire.stride }, rank: rank, inTwoLevels: isInTwoLevels)
        return try startParts(parts.reduceScatter(values, counts: counts, into: sums, wire: travelling(wire)))
    }

    /// Begins a job of parts behind those under way.
    private func startParts(_ job: NodeJob) throws(CollectiveError) -> any PendingExchange {
        if sums !== parts { try sums.finishAll() }
        return try parts.start(job)
    }

    // MARK: Joining and exchanging parts

    package func allgather(
        _ part: UnsafeBufferPointer<Float>, counts: [Int], into whole: UnsafeMutableBufferPointer<Float>,
        wire: WireFormat
    ) throws(CollectiveError) {
        try start(allgather: part, counts: counts, into: whole, wire: wire).finish()
    }

    package func startAllgather(
        _ part: UnsafeBufferPointer<Float>, counts: [Int], into whole: UnsafeMutableBufferPointer<Float>
    ) throws(CollectiveError) -> any PendingExchange { try start(allgather: part, counts: counts, into: whole, wire: .fp32) }

    private func start(
        allgather part: UnsafeBufferPointer<Float>, counts: [Int], into whole: UnsafeMutableBufferPointer<Float>, wire: WireFormat
    ) throws(CollectiveError) -> any PendingExchange {
        precondition(counts.count == size && counts.reduce(0, +) == whole.count && part.count == counts[rank])
        if whole.isEmpty { return DoneExchange() }
        traffic += map.allgather(parts: counts.map { $0 * wire.stride }, rank: rank, inTwoLevels: isInTwoLevels)
        return try startParts(parts.allgather(part, counts: counts, into: whole, wire: travelling(wire)))
    }

    package func allgather(_ bytes: [UInt8]) throws(CollectiveError) -> [[UInt8]] {
        try settle()
        let counts = try allgatherLengths(bytes.count)
        let joined = UnsafeMutableRawBufferPointer.allocate(byteCount: counts.reduce(0, +), alignment: 1)
        defer { joined.deallocate() }
        try Self.withBytes(bytes) { (part) throws(CollectiveError) in
            try world.allgather(part, counts: counts, into: joined)
        }
        traffic += map.sent(Traffic.allgather(parts: counts, rank: rank) + Traffic.lengths(size: size), from: rank)
        return zip(counts.offsets(), counts).map { offset, count in [UInt8](joined[offset..<offset + count]) }
    }

    private func allgatherLengths(_ length: Int) throws(CollectiveError) -> [Int] {
        try world.allgather(record: withUnsafeBytes(of: length) { [UInt8]($0) })
            .map { record in record.withUnsafeBytes { $0.loadUnaligned(as: Int.self) } }
    }

    package func gather(_ bytes: [UInt8], to root: Int) throws(CollectiveError) -> [[UInt8]]? {
        try settle()
        let counts = try allgatherLengths(bytes.count)
        traffic += map.sent(Traffic.lengths(size: size), from: rank)
        guard rank == root else {
            try Self.withBytes(bytes) { (part) throws(CollectiveError) in try send(part, to: root) }
            return nil
        }
        var all = [[UInt8]](repeating: [], count: size)
        for source in 0..<size where source != root {
            let part = UnsafeMutableRawBufferPointer.allocate(byteCount: counts[source], alignment: 1)
            defer { part.deallocate() }
            try receive(part, from: source)
            all[source] = [UInt8](part)
        }
        all[root] = bytes
        return all
    }

    package func startAlltoall(
        _ bytes: UnsafeRawBufferPointer, sendCounts: [Int],
        into received: UnsafeMutableRawBufferPointer, receiveCounts: [Int]
    ) throws(CollectiveError) -> any PendingExchange {
        precondition(sendCounts.count == size && sendCounts.reduce(0, +) == bytes.count)
        precondition(receiveCounts.count == size && receiveCounts.reduce(0, +) == received.count)
        precondition(sendCounts[rank] == receiveCounts[rank])
        let (outgoing, incoming) = (bytes.parts(sendCounts), received.parts(receiveCounts))
        straightMessages += (0..<size).count { map.node[$0] != map.node[rank] && sendCounts[$0] > 0 }
        return try startStraight(outgoing, incoming, among: Array(0..<size))
    }

    /// A message from each rank to each.
    /// - Parameter ranks: those that take part, this one among them.
    private func startStraight(
        _ outgoing: [UnsafeRawBufferPointer], _ incoming: [UnsafeMutableRawBufferPointer], among ranks: [Int]
    ) throws(CollectiveError) -> MPIExchange {
        let messages = exchanges.messages()
        let (own, count) = (ranks.firstIndex(of: rank)!, ranks.count)
        // Sending first: see `MPIMessages`. Everyone begins with another destination.
        for distance in 1..<max(count, 1) {
            let destination = ranks[(own + distance) % count]
            try messages.send(outgoing[destination], to: destination)
        }
        for distance in 1..<max(count, 1) {
            let source = ranks[(own - distance + count) % count]
            try messages.receive(incoming[source], from: source)
        }
        incoming[rank].copyMemory(from: outgoing[rank])
        traffic += map.alltoall(parts: outgoing.map(\.count), rank: rank)
        return MPIExchange(messages, beside: [sums, parts])
    }

    package func reservePacking(room: Int) throws(CollectiveError) {
        guard packsByNode, room > packing?.room ?? 0 else { return }
        try settle()
        var mapping: SharedMapping?
        if topology.node.size > 1 {
            mapping = try SharedMapping.make(
                partBytes: PackingWindow.bytes(room: room, ranks: size), node: topology.node, kinds: sharedMemory
            ).mapping
        }
        let isMissing = topology.node.size > 1 && mapping == nil
        if try world.allgather(record: [isMissing ? 1 : 0]).contains([1]) { return }
        let window = PackingWindow(rank: place.localRank, ranks: size, room: room, mapping: mapping)
        let packing = NodePacking(rank: rank, map: map, group: try world.duplicate(), window: window)
        // Others may wait for what this rank carries, whatever it waits for itself.
        library.mover = { () throws(CollectiveError) in try packing.poll() }
        straightMessages = alltoallMessages
        self.packing = packing
    }

    package func startPackedAlltoall(
        _ bytes: UnsafeRawBufferPointer, sendCounts: [Int],
        into received: UnsafeMutableRawBufferPointer, receiveCounts: [Int]
    ) throws(CollectiveError) -> any PendingExchange {
        guard let packing else {
            return try startAlltoall(bytes, sendCounts: sendCounts, into: received, receiveCounts: receiveCounts)
        }
        precondition(sendCounts.count == size && sendCounts.reduce(0, +) == bytes.count)
        precondition(receiveCounts.count == size && receiveCounts.reduce(0, +) == received.count)
        let (outgoing, incoming) = (bytes.parts(sendCounts), received.parts(receiveCounts))
        let far = try packing.start(outgoing: outgoing, incoming: incoming)
        return PackedExchange(
            far, near: try startStraight(outgoing, incoming, among: map.nodes[place.node]), arrivals: library.arrivals)
    }

    // MARK: Point to point

    package func send(_ bytes: UnsafeRawBufferPointer, to destination: Int) throws(CollectiveError) {
        try settle()
        try world.send(bytes, to: destination)
        traffic += map.sent(UInt64(bytes.count), from: rank, to: destination)
    }

    package func receive(_ bytes: UnsafeMutableRawBufferPointer, from source: Int) throws(CollectiveError) {
        try settle()
        try world.receive(bytes, from: source)
    }

    // MARK: Waiting and ending

    package func barrier() throws(CollectiveError) {
        try settle()
        try world.barrier()
    }

    package func sideMessages() throws(CollectiveError) -> any SideMessages {
        try settle()
        return MPISideMessages(try world.duplicate())
    }

    package var meanwhile: (() throws(CollectiveError) -> Void)? {
        get { library.meanwhile }
        set { library.meanwhile = newValue }
    }

    package func finish() { library.finish() }

    package func abort(exitCode: Int32) -> Never { library.abort(exitCode: exitCode) }

    /// Finishes the sums under way before a call that waits in MPI: others may need this rank's share of the work before they
    /// come to that call.
    private func settle() throws(CollectiveError) {
        try sums.finishAll()
        if parts !== sums { try parts.finishAll() }
    }

    /// What a single rank keeps to itself is not rounded.
    private func travelling(_ wire: WireFormat) -> WireFormat { size == 1 ? .fp32 : wire }

    /// `Array.withUnsafeBytes` with a typed throw.
    private static func withBytes(
        _ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(CollectiveError) -> Void
    ) throws(CollectiveError) {
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(CollectiveError) in try body(buffer) }
        }
        try result.get()
    }
}

extension UnsafeRawBufferPointer {
    /// The parts of these lengths, one after the other.
    fileprivate func parts(_ counts: [Int]) -> [UnsafeRawBufferPointer] {
        zip(counts.offsets(), counts).map { .init(rebasing: self[$0..<$0 + $1]) }
    }
}

extension UnsafeMutableRawBufferPointer {
    /// The same.
    fileprivate func parts(_ counts: [Int]) -> [UnsafeMutableRawBufferPointer] {
        zip(counts.offsets(), counts).map { .init(rebasing: self[$0..<$0 + $1]) }
    }
}
