import CMPI

/// Ranks with a message space of their own: an `MPI_Comm` and the calls on it, with errors that say what to do.
///
/// This file, `MPIMessages` and `MPILibrary` are all that sees MPI. MPI 3 takes counts as C `int`; whatever is longer travels in pieces.
/// Used by the thread that started the library, which is checked.
final class MPIGroup {
    /// How numbers are reduced.
    enum Operation {
        case sum, maximum

        fileprivate var handle: MPI_Op { self == .sum ? dtrain_sum() : dtrain_max() }
    }

    let rank: Int
    let size: Int
    /// Most elements in one call; `Int32.max` except in tests.
    let maximumCount: Int

    private let communicator: MPI_Comm
    private let library: MPILibrary

    init(_ communicator: MPI_Comm, library: MPILibrary, maximumCount: Int) throws(CollectiveError) {
        var rank: Int32 = 0
        var size: Int32 = 0
        try library.check("MPI_Comm_set_errhandler") { MPI_Comm_set_errhandler(communicator, dtrain_errors_return()) }
        try library.check("MPI_Comm_rank") { MPI_Comm_rank(communicator, &rank) }
        try library.check("MPI_Comm_size") { MPI_Comm_size(communicator, &size) }
        self.communicator = communicator
        self.library = library
        self.maximumCount = maximumCount
        self.rank = Int(rank)
        self.size = Int(size)
    }

    // MARK: Groups made of this one, which live until the library's end

    /// The same ranks, with a message space of their own (`MPI_Comm_dup`).
    func duplicate() throws(CollectiveError) -> MPIGroup {
        var made: MPI_Comm?
        try library.check("MPI_Comm_dup") { MPI_Comm_dup(communicator, &made) }
        return try MPIGroup(made!, library: library, maximumCount: maximumCount)
    }

    /// The ranks that gave the same `color`, in the order of their keys, then in this group's (`MPI_Comm_split`).
    func split(color: Int, key: Int = 0) throws(CollectiveError) -> MPIGroup {
        var made: MPI_Comm?
        try library.check("MPI_Comm_split") { MPI_Comm_split(communicator, Int32(color), Int32(key), &made) }
        return try MPIGroup(made!, library: library, maximumCount: maximumCount)
    }

    /// The ranks that can share memory with this one (`MPI_Comm_split_type`).
    func splitByMemory() throws(CollectiveError) -> MPIGroup {
        var made: MPI_Comm?
        try library.check("MPI_Comm_split_type") {
            MPI_Comm_split_type(communicator, dtrain_comm_type_shared(), Int32(rank), dtrain_info_null(), &made)
        }
        return try MPIGroup(made!, library: library, maximumCount: maximumCount)
    }

    // MARK: Collectives

    /// Sums in place on all ranks by the library's own algorithm (`MPI_Allreduce`), which polls while it waits.
    func sum(_ values: UnsafeMutableBufferPointer<Float>) throws(CollectiveError) {
        for piece in Pieces(of: values.count, limit: maximumCount) {
            try library.check("MPI_Allreduce") {
                MPI_Allreduce(
                    dtrain_in_place(), values.baseAddress! + piece.lowerBound, Int32(piece.count), dtrain_float(), dtrain_sum(),
                    communicator)
            }
        }
    }

    /// Reduces a few numbers in place on all ranks, which sleep when they wait long for each other (`MPI_Iallreduce`).
    func reduce(_ values: UnsafeMutableBufferPointer<Double>, _ operation: Operation) throws(CollectiveError) {
        for piece in Pieces(of: values.count, limit: maximumCount) {
            var request: MPI_Request?
            try library.check("MPI_Iallreduce") {
                MPI_Iallreduce(
                    dtrain_in_place(), values.baseAddress! + piece.lowerBound, Int32(piece.count), dtrain_double(),
                    operation.handle, communicator, &request)
            }
            try finish(request, of: "MPI_Iallreduce")
        }
    }

    /// `MPI_Ibcast`; asleep when it takes long, as in all that follows.
    func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws(CollectiveError) {
        for piece in Pieces(of: bytes.count, limit: maximumCount) {
            var request: MPI_Request?
            try library.check("MPI_Ibcast") {
                MPI_Ibcast(
                    bytes.baseAddress! + piece.lowerBound, Int32(piece.count), dtrain_byte(), Int32(root), communicator,
                    &request)
            }
            try finish(request, of: "MPI_Ibcast")
        }
    }

    /// Joins parts of different lengths (`MPI_Iallgatherv`).
    func allgather(
        _ part: UnsafeRawBufferPointer, counts: [Int], into whole: UnsafeMutableRawBufferPointer
    ) throws(CollectiveError) {
        if whole.isEmpty { return }
        let offsets = counts.offsets()
        if whole.count <= maximumCount {
            // MPI reads them until it is done.
            let numbers = UnsafeMutablePointer<Int32>.allocate(capacity: 2 * size)
            defer { numbers.deallocate() }
            for rank in 0..<size { (numbers[rank], numbers[size + rank]) = (Int32(counts[rank]), Int32(offsets[rank])) }
            var request: MPI_Request?
            try library.check("MPI_Iallgatherv") {
                MPI_Iallgatherv(
                    part.baseAddress, Int32(part.count), dtrain_byte(), whole.baseAddress, numbers, numbers + size,
                    dtrain_byte(), communicator, &request)
            }
            return try finish(request, of: "MPI_Iallgatherv")
        }
        // Offsets are C `int` too, so longer wholes are broadcast part by part.
        UnsafeMutableRawBufferPointer(rebasing: whole[offsets[rank]..<offsets[rank] + part.count]).copyMemory(
            from: part)
        for owner in 0..<size {
            let range = offsets[owner]..<offsets[owner] + counts[owner]
            try broadcast(UnsafeMutableRawBufferPointer(rebasing: whole[range]), from: owner)
        }
    }

    /// Every rank's record, in rank order; all have the same length, of a few bytes (`MPI_Iallgather`).
    func allgather(record: [UInt8]) throws(CollectiveError) -> [[UInt8]] {
        let length = record.count
        // The own record, then all: MPI uses them until it is done.
        let room = UnsafeMutablePointer<UInt8>.allocate(capacity: max(1, length * (size + 1)))
        defer { room.deallocate() }
        for index in 0..<length { room[index] = record[index] }
        let joined = room + length
        var request: MPI_Request?
        try library.check("MPI_Iallgather") {
            MPI_Iallgather(
                room, Int32(length), dtrain_byte(), joined, Int32(length), dtrain_byte(), communicator, &request)
        }
        try finish(request, of: "MPI_Iallgather")
        return (0..<size).map { [UInt8](UnsafeBufferPointer(start: joined + $0 * length, count: length)) }
    }

    /// The first rank's numbers, on all ranks (`MPI_Ibcast`).
    func broadcast(numbers: [Int]) throws(CollectiveError) -> [Int] {
        let room = UnsafeMutableBufferPointer<Int>.allocate(capacity: numbers.count)
        defer { room.deallocate() }
        _ = room.initialize(from: numbers)
        try broadcast(UnsafeMutableRawBufferPointer(room), from: 0)
        return Array(room)
    }

    /// A wait's beginning.
    func patience() -> Patience { Patience(library.arrivals) }

    /// Lets the library move what is under way (`MPI_Iprobe`).
    func progress() throws(CollectiveError) {
        var isThere: Int32 = 0
        try library.check("MPI_Iprobe") {
            MPI_Iprobe(dtrain_any_source(), dtrain_any_tag(), communicator, &isThere, dtrain_status_ignore())
        }
        try library.doMeanwhile()
    }

    /// Waits for all ranks, asleep when it takes long (`MPI_Ibarrier`).
    func barrier() throws(CollectiveError) {
        var request: MPI_Request?
        try library.check("MPI_Ibarrier") { MPI_Ibarrier(communicator, &request) }
        try finish(request, of: "MPI_Ibarrier")
    }

    /// Waits for what `call` started, asleep when it takes long (`MPI_Test`).
    private func finish(
        _ started: MPI_Request?, of call: String, status: UnsafeMutablePointer<MPI_Status>? = nil
    ) throws(CollectiveError) {
        var request = started
        let status = status ?? dtrain_status_ignore()
        let patience = Patience(library.arrivals)
        while true {
            var isDone: Int32 = 0
            try library.check(call) { MPI_Test(&request, &isDone, status) }
            if isDone != 0 { return }
            try library.doMeanwhile()
            patience.wait()
        }
    }

    // MARK: Point to point

    /// `MPI_Isend`.
    func send(_ bytes: UnsafeRawBufferPointer, to destination: Int) throws(CollectiveError) {
        for piece in Pieces(of: bytes.count, limit: maximumCount) {
            var request: MPI_Request?
            try library.check("MPI_Isend") {
                MPI_Isend(
                    bytes.baseAddress! + piece.lowerBound, Int32(piece.count), dtrain_byte(), Int32(destination), 0,
                    communicator, &request)
            }
            try finish(request, of: "MPI_Isend")
        }
    }

    /// `MPI_Irecv`; a message of another length is an error.
    func receive(_ bytes: UnsafeMutableRawBufferPointer, from source: Int) throws(CollectiveError) {
        for piece in Pieces(of: bytes.count, limit: maximumCount) {
            var status = MPI_Status()
            var received: Int32 = 0
            var request: MPI_Request?
            try library.check("MPI_Irecv") {
                MPI_Irecv(
                    bytes.baseAddress! + piece.lowerBound, Int32(piece.count), dtrain_byte(), Int32(source), 0,
                    communicator, &request)
            }
            try finish(request, of: "MPI_Irecv", status: &status)
            try library.check("MPI_Get_count") { MPI_Get_count(&status, dtrain_byte(), &received) }
            guard Int(received) == piece.count else {
                throw .wrongLength(source: source, expected: piece.count, received: Int(received))
            }
        }
    }

    /// Messages under way together.
    func messages() -> MPIMessages { MPIMessages(communicator, library: library, maximumCount: maximumCount) }
}
