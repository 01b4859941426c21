import CMPI
import Glibc

/// The ranks that an MPI launcher started: `MPI_COMM_WORLD`.
///
/// Owns the library's life: `MPI_Init_thread` on creation, `MPI_Finalize` on `finish()`. One instance per process,
/// used by the thread that created it, which is checked.
package final class MPICommunicator: Communicator {
    package let rank: Int
    package let size: Int
    package let place: NodePlace
    package private(set) var bytesSent: UInt64 = 0

    private let world: MPI_Comm
    private let maximumCount: Int
    private let thread = pthread_self()
    private var isFinished = false

    /// Starts the MPI library and finds this rank's place.
    ///
    /// - Parameters:
    ///   - launcher: what started the process.
    ///   - maximumCount: most elements in one MPI call; at most `Int32.max`, the limit of C's `int`. Lower ones are
    ///     for tests.
    /// - Throws: `CollectiveError.mpi`, `.unsuitableLibrary`.
    package init(launcher: Launcher, maximumCount: Int = Int(Int32.max)) throws(CollectiveError) {
        precondition(1...Int(Int32.max) ~= maximumCount)
        self.maximumCount = maximumCount

        // Ranks that wait poll. Where they outnumber the cores this starves those that compute, unless each poll
        // yields. Open MPI decides so itself only by counting slots, which says nothing of worker threads. The user's
        // word wins.
        setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0)
        if launcher.kind != .openMPI && launcher.kind != .pmix {
            // Under a launcher Open MPI does not know, each process would start a daemon of its own only to find
            // itself alone.
            setenv("OMPI_MCA_ess_singleton_isolated", "1", 0)
        }
        var provided: Int32 = 0
        try Self.check(
            MPI_Init_thread(nil, nil, Int32(MPI_THREAD_FUNNELED), &provided), "MPI_Init_thread", launcher.rank ?? 0)
        guard provided >= Int32(MPI_THREAD_FUNNELED) else {
            throw .unsuitableLibrary(reason: "the MPI library does not allow a process with several threads")
        }
        let world: MPI_Comm = dtrain_comm_world()
        var rank: Int32 = 0
        var size: Int32 = 0
        try Self.check(MPI_Comm_set_errhandler(world, dtrain_errors_return()), "MPI_Comm_set_errhandler", 0)
        try Self.check(MPI_Comm_rank(world, &rank), "MPI_Comm_rank", 0)
        try Self.check(MPI_Comm_size(world, &size), "MPI_Comm_size", Int(rank))
        self.world = world
        self.rank = Int(rank)
        self.size = Int(size)
        place = try Self.findPlace(world, rank: Int(rank), size: Int(size))
    }

    // MARK: Reductions and broadcast

    package func sum(_ values: UnsafeMutableBufferPointer<Float>) throws(CollectiveError) {
        try allreduce(UnsafeMutableRawBufferPointer(values), stride: 4, dtrain_float(), dtrain_sum())
    }

    package func sum(_ values: UnsafeMutableBufferPointer<Double>) throws(CollectiveError) {
        try allreduce(UnsafeMutableRawBufferPointer(values), stride: 8, dtrain_double(), dtrain_sum())
    }

    package func maximum(_ values: UnsafeMutableBufferPointer<Double>) throws(CollectiveError) {
        try allreduce(UnsafeMutableRawBufferPointer(values), stride: 8, dtrain_double(), dtrain_max())
    }

    private func allreduce(
        _ bytes: UnsafeMutableRawBufferPointer, stride: Int, _ type: MPI_Datatype, _ operation: MPI_Op
    ) throws(CollectiveError) {
        // Within a node the library works on temporary buffers of the size of its argument. Pieces of 2 MB keep those in
        // cache and their pages mapped: 629 MB took 0.34 s at once and 0.09 s in pieces on 2 ranks, 0.95 and 0.35 s on 4
        // (Open MPI 4.1.4, 2 cores). Between nodes many pieces would multiply the latency.
        let piece = place.nodes == 1 ? (2 << 20) / stride : maximumCount
        for piece in Pieces(of: bytes.count / stride, limit: min(piece, maximumCount)) {
            try check("MPI_Allreduce") {
                MPI_Allreduce(
                    dtrain_in_place(), bytes.baseAddress! + piece.lowerBound * stride, Int32(piece.count), type,
                    operation,
                    world)
            }
        }
        bytesSent += Traffic.allreduce(bytes: bytes.count, size: size)
    }

    package func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws(CollectiveError) {
        try broadcastPieces(of: bytes, from: root)
        bytesSent += Traffic.broadcast(bytes: bytes.count, size: size, rank: rank, root: root)
    }

    private func broadcastPieces(of bytes: UnsafeMutableRawBufferPointer, from root: Int) throws(CollectiveError) {
        for piece in Pieces(of: bytes.count, limit: maximumCount) {
            try check("MPI_Bcast") {
                MPI_Bcast(
                    bytes.baseAddress! + piece.lowerBound, Int32(piece.count), dtrain_byte(), Int32(root), world)
            }
        }
    }

    package func reduceScatterSum(
        _ values: UnsafeBufferPointer<Float>, counts: [Int], into sums: UnsafeMutableBufferPointer<Float>
    ) throws(CollectiveError) {
        precondition(counts.count == size && counts.reduce(0, +) == values.count && sums.count == counts[rank])
        bytesSent += Traffic.reduceScatter(parts: counts.map { $0 * 4 }, rank: rank)
        if values.isEmpty { return }
        if values.count <= maximumCount {
            try check("MPI_Reduce_scatter") {
                MPI_Reduce_scatter(
                    values.baseAddress, sums.baseAddress, counts.map(Int32.init), dtrain_float(), dtrain_sum(), world)
            }
            return
        }
        for (owner, offset) in counts.offsets().enumerated() {
            for piece in Pieces(of: counts[owner], limit: maximumCount) {
                try check("MPI_Reduce") {
                    MPI_Reduce(
                        values.baseAddress! + offset + piece.lowerBound,
                        owner == rank ? sums.baseAddress! + piece.lowerBound : nil,
                        Int32(piece.count), dtrain_float(), dtrain_sum(), Int32(owner), world)
                }
            }
        }
    }

    // MARK: Joining and exchanging parts

    package func allgather(
        _ part: UnsafeBufferPointer<Float>, counts: [Int], into whole: UnsafeMutableBufferPointer<Float>
    ) throws(CollectiveError) {
        precondition(counts.count == size && counts.reduce(0, +) == whole.count && part.count == counts[rank])
        try allgather(
            UnsafeRawBufferPointer(part), counts: counts.map { $0 * 4 }, into: UnsafeMutableRawBufferPointer(whole))
        bytesSent += Traffic.allgather(parts: counts.map { $0 * 4 }, rank: rank)
    }

    package func allgather(_ bytes: [UInt8]) throws(CollectiveError) -> [[UInt8]] {
        let counts = try allgatherLengths(bytes.count)
        let total = counts.reduce(0, +)
        let joined = UnsafeMutableRawBufferPointer.allocate(byteCount: total, alignment: 1)
        defer { joined.deallocate() }
        try Self.withBytes(bytes) { (part) throws(CollectiveError) in
            try allgather(part, counts: counts, into: joined)
        }
        bytesSent += Traffic.allgather(parts: counts, rank: rank) + Traffic.lengths(size: size)
        return zip(counts.offsets(), counts).map { offset, count in [UInt8](joined[offset..<offset + count]) }
    }

    private func allgather(
        _ part: UnsafeRawBufferPointer, counts: [Int], into whole: UnsafeMutableRawBufferPointer
    ) throws(CollectiveError) {
        if whole.isEmpty { return }
        let offsets = counts.offsets()
        if whole.count <= maximumCount {
            try check("MPI_Allgatherv") {
                MPI_Allgatherv(
                    part.baseAddress, Int32(part.count), dtrain_byte(), whole.baseAddress, counts.map(Int32.init),
                    offsets.map(Int32.init), dtrain_byte(), world)
            }
            return
        }
        // Offsets are C `int` too, so longer wholes are broadcast part by part.
        UnsafeMutableRawBufferPointer(rebasing: whole[offsets[rank]..<offsets[rank] + part.count]).copyMemory(
            from: part)
        for owner in 0..<size {
            let range = offsets[owner]..<offsets[owner] + counts[owner]
            try broadcastPieces(of: UnsafeMutableRawBufferPointer(rebasing: whole[range]), from: owner)
        }
    }

    private func allgatherLengths(_ length: Int) throws(CollectiveError) -> [Int] {
        var length = length
        var lengths = [Int](repeating: 0, count: size)
        try check("MPI_Allgather") {
            MPI_Allgather(&length, 8, dtrain_byte(), &lengths, 8, dtrain_byte(), world)
        }
        return lengths
    }

    package func gather(_ bytes: [UInt8], to root: Int) throws(CollectiveError) -> [[UInt8]]? {
        let counts = try allgatherLengths(bytes.count)
        bytesSent += Traffic.lengths(size: size)
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

    package func alltoall(
        _ values: UnsafeBufferPointer<Float>, sendCounts: [Int],
        into received: UnsafeMutableBufferPointer<Float>, receiveCounts: [Int]
    ) throws(CollectiveError) {
        precondition(sendCounts.count == size && sendCounts.reduce(0, +) == values.count)
        precondition(receiveCounts.count == size && receiveCounts.reduce(0, +) == received.count)
        precondition(sendCounts[rank] == receiveCounts[rank])
        let sendOffsets = sendCounts.offsets()
        let receiveOffsets = receiveCounts.offsets()
        for distance in 0..<size {
            // Pairwise rather than MPI_Alltoallv: its offsets are C `int`, and whether they suffice differs by rank.
            let destination = (rank + distance) % size
            let source = (rank - distance + size) % size
            let outgoing = UnsafeBufferPointer(
                rebasing: values[sendOffsets[destination]..<sendOffsets[destination] + sendCounts[destination]])
            let incoming = UnsafeMutableBufferPointer(
                rebasing: received[receiveOffsets[source]..<receiveOffsets[source] + receiveCounts[source]])
            if distance == 0 {
                _ = incoming.update(fromContentsOf: outgoing)
            } else {
                try exchange(outgoing, with: destination, incoming, with: source)
            }
        }
        bytesSent += Traffic.alltoall(parts: sendCounts.map { $0 * 4 }, rank: rank)
    }

    /// Sends to one rank while receiving from another, in pieces; the two need not have the same number of them.
    private func exchange(
        _ outgoing: UnsafeBufferPointer<Float>, with destination: Int,
        _ incoming: UnsafeMutableBufferPointer<Float>, with source: Int
    ) throws(CollectiveError) {
        var sendPieces = Pieces(of: outgoing.count, limit: maximumCount)
        var receivePieces = Pieces(of: incoming.count, limit: maximumCount)
        while true {
            let sendPiece = sendPieces.next()
            let receivePiece = receivePieces.next()
            if sendPiece == nil && receivePiece == nil { return }
            try check("MPI_Sendrecv") {
                MPI_Sendrecv(
                    sendPiece.map { outgoing.baseAddress! + $0.lowerBound }, Int32(sendPiece?.count ?? 0),
                    dtrain_float(),
                    sendPiece == nil ? MPI_PROC_NULL : Int32(destination), 0,
                    receivePiece.map { incoming.baseAddress! + $0.lowerBound }, Int32(receivePiece?.count ?? 0),
                    dtrain_float(), receivePiece == nil ? MPI_PROC_NULL : Int32(source), 0, world,
                    dtrain_status_ignore())
            }
        }
    }

    // MARK: Point to point

    package func send(_ bytes: UnsafeRawBufferPointer, to destination: Int) throws(CollectiveError) {
        for piece in Pieces(of: bytes.count, limit: maximumCount) {
            try check("MPI_Send") {
                MPI_Send(
                    bytes.baseAddress! + piece.lowerBound, Int32(piece.count), dtrain_byte(), Int32(destination), 0,
                    world)
            }
        }
        bytesSent += UInt64(bytes.count)
    }

    package func receive(_ bytes: UnsafeMutableRawBufferPointer, from source: Int) throws(CollectiveError) {
        for piece in Pieces(of: bytes.count, limit: maximumCount) {
            var status = MPI_Status()
            var received: Int32 = 0
            try check("MPI_Recv") {
                MPI_Recv(
                    bytes.baseAddress! + piece.lowerBound, Int32(piece.count), dtrain_byte(), Int32(source), 0, world,
                    &status)
            }
            try check("MPI_Get_count") { MPI_Get_count(&status, dtrain_byte(), &received) }
            guard Int(received) == piece.count else {
                throw .wrongLength(source: source, expected: piece.count, received: Int(received))
            }
        }
    }

    // MARK: Waiting and ending

    package func barrier() throws(CollectiveError) {
        var request: MPI_Request?
        try check("MPI_Ibarrier") { MPI_Ibarrier(world, &request) }
        var patience = Patience()
        while true {
            var isDone: Int32 = 0
            try check("MPI_Test") { MPI_Test(&request, &isDone, dtrain_status_ignore()) }
            if isDone != 0 { return }
            patience.wait()
        }
    }

    package func finish() {
        if isFinished { return }
        isFinished = true
        // Nothing can be done about a failure here: the work is over, and the process is about to end.
        _ = MPI_Finalize()
    }

    package func abort(exitCode: Int32) -> Never {
        fflush(nil)
        if !isFinished { _ = MPI_Abort(world, exitCode) }
        exit(exitCode)
    }

    // MARK: Errors

    private func check(_ call: String, _ body: () -> Int32) throws(CollectiveError) {
        precondition(!isFinished, "\(call) after finish()")
        precondition(pthread_equal(thread, pthread_self()) != 0, "\(call) on another thread than MPI's")
        try Self.check(body(), call, rank)
    }

    /// Turns every failure code of MPI into an error that says what to do.
    private static func check(_ code: Int32, _ call: String, _ rank: Int) throws(CollectiveError) {
        guard code != MPI_SUCCESS else { return }
        var errorClass: Int32 = 0
        MPI_Error_class(code, &errorClass)
        var text = [CChar](repeating: 0, count: Int(MPI_MAX_ERROR_STRING) + 1)
        var length: Int32 = 0
        MPI_Error_string(code, &text, &length)
        let message = String(decoding: text.prefix(Int(length)).map(UInt8.init(bitPattern:)), as: UTF8.self)
        let hint =
            switch errorClass {
            case MPI_ERR_TRUNCATE, MPI_ERR_COUNT:
                "ranks disagree on a length, do all run the same program and options?"
            case MPI_ERR_NO_MEM, MPI_ERR_NO_SPACE:
                "memory or shared memory is short, look at `free` and `df /dev/shm`"
            case MPI_ERR_OTHER, MPI_ERR_INTERN, MPI_ERR_UNKNOWN:
                "another rank may have ended or a link be down, the first error printed is the likely cause"
            default:
                "this is a mistake in dtrain, please report it with this line"
            }
        throw .mpi(call: call, code: errorClass, message: message, rank: rank, hint: hint)
    }

    // MARK: Topology

    /// Finds the nodes by `MPI_Comm_split_type`: ranks that can share memory are on one node.
    private static func findPlace(_ world: MPI_Comm, rank: Int, size: Int) throws(CollectiveError) -> NodePlace {
        var node: MPI_Comm?
        try check(
            MPI_Comm_split_type(world, dtrain_comm_type_shared(), Int32(rank), dtrain_info_null(), &node),
            "MPI_Comm_split_type", rank)
        var leader = Int32(rank)
        try check(MPI_Bcast(&leader, 4, dtrain_byte(), 0, node), "MPI_Bcast", rank)
        try check(MPI_Comm_free(&node), "MPI_Comm_free", rank)

        // One record a rank: the leader's rank, then the host name, filled up with zeros.
        let nameLength = 252
        let name = Array(hostName().utf8.prefix(nameLength))
        var record = withUnsafeBytes(of: leader) { [UInt8]($0) } + name
        record += [UInt8](repeating: 0, count: nameLength - name.count)
        var records = [UInt8](repeating: 0, count: record.count * size)
        try check(
            MPI_Allgather(
                &record, Int32(record.count), dtrain_byte(), &records, Int32(record.count), dtrain_byte(), world),
            "MPI_Allgather", rank)
        let parts = (0..<size).map { records[$0 * record.count..<($0 + 1) * record.count] }
        return NodePlace(
            of: rank,
            leaders: parts.map { part in part.withUnsafeBytes { Int($0.loadUnaligned(as: Int32.self)) } },
            hosts: parts.map { String(decoding: $0.dropFirst(4).prefix { $0 != 0 }, as: UTF8.self) })
    }

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
