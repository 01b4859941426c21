import CMPI
import Glibc

/// Ranks with a message space of their own: an `MPI_Comm` and the calls on it, with errors that say what to do.
///
/// The only file that sees MPI. MPI 3 takes counts as C `int`; whatever is longer travels in pieces. Used by the thread
/// that started the library, which is checked.
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

    fileprivate init(_ communicator: MPI_Comm, library: MPILibrary, maximumCount: Int) throws(CollectiveError) {
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
        let patience = Patience()
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

/// Messages that are under way together: `MPI_Isend`, `MPI_Irecv`. Messages of one pair of ranks and one group match in the
/// order in which they were started.
///
/// Between ranks that send to each other, start sending before receiving. Over TCP, Open MPI asks leave for a long message,
/// and both directions share a socket: a rank that grants leave first gets the other's data first, and its own question waits
/// behind the grant, the other's grant behind the data. The directions then take turns, in twice the time.
final class MPIMessages {
    private let communicator: MPI_Comm
    private let library: MPILibrary
    private let maximumCount: Int
    private var requests: [MPI_Request?] = []

    fileprivate init(_ communicator: MPI_Comm, library: MPILibrary, maximumCount: Int) {
        self.communicator = communicator
        self.library = library
        self.maximumCount = maximumCount
    }

    /// Starts to receive; `bytes` must stay until all is done.
    func receive(_ bytes: UnsafeMutableRawBufferPointer, from source: Int) throws(CollectiveError) {
        for piece in Pieces(of: bytes.count, limit: maximumCount) {
            var request: MPI_Request?
            try library.check("MPI_Irecv") {
                MPI_Irecv(
                    bytes.baseAddress! + piece.lowerBound, Int32(piece.count), dtrain_byte(), Int32(source), 0,
                    communicator, &request)
            }
            requests.append(request)
        }
    }

    /// Starts to send; `bytes` must stay unchanged until all is done.
    func send(_ bytes: UnsafeRawBufferPointer, to destination: Int) throws(CollectiveError) {
        for piece in Pieces(of: bytes.count, limit: maximumCount) {
            var request: MPI_Request?
            try library.check("MPI_Isend") {
                MPI_Isend(
                    bytes.baseAddress! + piece.lowerBound, Int32(piece.count), dtrain_byte(), Int32(destination), 0,
                    communicator, &request)
            }
            requests.append(request)
        }
    }

    /// Starts to send blocks as one message; whether there was a byte to send. They must stay unchanged until all is done.
    func send(_ blocks: [UnsafeRawBufferPointer], to destination: Int) throws(CollectiveError) -> Bool {
        for message in BlockMessages(blocks.map { (Int(bitPattern: $0.baseAddress), $0.count) }, limit: maximumCount) {
            var request: MPI_Request?
            try withType(message) { (type) throws(CollectiveError) in
                try library.check("MPI_Isend") {
                    MPI_Isend(dtrain_bottom(), 1, type, Int32(destination), 0, communicator, &request)
                }
            }
            requests.append(request)
        }
        return blocks.contains { !$0.isEmpty }
    }

    /// Starts to receive what `send` of blocks sends, into blocks of the same lengths; they must stay until all is done.
    func receive(_ blocks: [UnsafeMutableRawBufferPointer], from source: Int) throws(CollectiveError) {
        for message in BlockMessages(blocks.map { (Int(bitPattern: $0.baseAddress), $0.count) }, limit: maximumCount) {
            var request: MPI_Request?
            try withType(message) { (type) throws(CollectiveError) in
                try library.check("MPI_Irecv") {
                    MPI_Irecv(dtrain_bottom(), 1, type, Int32(source), 0, communicator, &request)
                }
            }
            requests.append(request)
        }
    }

    /// Blocks of bytes, by their addresses, as a type (`MPI_Type_create_hindexed`); messages under way keep what they need of it.
    private func withType(
        _ blocks: [(address: Int, count: Int)], _ body: (MPI_Datatype) throws(CollectiveError) -> Void
    ) throws(CollectiveError) {
        var type: MPI_Datatype?
        let (lengths, addresses) = (blocks.map { Int32($0.count) }, blocks.map(\.address))
        try library.check("MPI_Type_create_hindexed") {
            MPI_Type_create_hindexed(Int32(blocks.count), lengths, addresses, dtrain_byte(), &type)
        }
        try library.check("MPI_Type_commit") { MPI_Type_commit(&type) }
        try body(type!)
        try library.check("MPI_Type_free") { MPI_Type_free(&type) }
    }

    /// Lets the library make progress, and tells whether all messages are done (`MPI_Testall`).
    func poll() throws(CollectiveError) -> Bool {
        if requests.isEmpty { return true }
        var areDone: Int32 = 0
        try library.check("MPI_Testall") {
            MPI_Testall(Int32(requests.count), &requests, &areDone, dtrain_statuses_ignore())
        }
        if areDone != 0 { requests.removeAll(keepingCapacity: true) }
        return areDone != 0
    }

    /// Waits until all messages are done, asleep when it takes long.
    /// - Parameter meanwhile: called each time that they are not.
    func wait(_ meanwhile: () throws(CollectiveError) -> Void = {}) throws(CollectiveError) {
        let patience = Patience()
        while try !poll() {
            try meanwhile()
            try library.doMeanwhile()
            patience.wait()
        }
    }

    /// What this rank is to do while it waits.
    func doMeanwhile() throws(CollectiveError) { try library.doMeanwhile() }
}

/// The MPI library of this process, from `MPI_Init_thread` to `MPI_Finalize`.
final class MPILibrary {
    private let thread = pthread_self()
    private var rank: Int
    private var isFinished = false
    /// What to do while this rank waits for others.
    var meanwhile: (() throws(CollectiveError) -> Void)?
    private var isInMeanwhile = false
    /// Moves along what others may wait for; never waits.
    var mover: (() throws(CollectiveError) -> Void)?

    /// Starts the library.
    /// - Parameter rank: this process's number as the launcher tells it, for errors until MPI tells it.
    init(rank: Int) throws(CollectiveError) {
        self.rank = rank
        var provided: Int32 = 0
        try check("MPI_Init_thread") { MPI_Init_thread(nil, nil, Int32(MPI_THREAD_FUNNELED), &provided) }
        guard provided >= Int32(MPI_THREAD_FUNNELED) else {
            throw .unsuitableLibrary(reason: "the MPI library does not allow a process with several threads")
        }
    }

    /// All ranks.
    func world(maximumCount: Int) throws(CollectiveError) -> MPIGroup {
        let world = try MPIGroup(dtrain_comm_world(), library: self, maximumCount: maximumCount)
        rank = world.rank
        return world
    }

    /// Calls `mover`, and `meanwhile` unless it is what waits.
    func doMeanwhile() throws(CollectiveError) {
        try mover?()
        guard let meanwhile, !isInMeanwhile else { return }
        isInMeanwhile = true
        defer { isInMeanwhile = false }
        try meanwhile()
    }

    /// Ends the use of the library.
    func finish() {
        if isFinished { return }
        isFinished = true
        // Nothing can be done about a failure here: the work is over, and the process is about to end.
        _ = MPI_Finalize()
    }

    /// Ends all ranks at once.
    func abort(exitCode: Int32) -> Never {
        fflush(nil)
        if !isFinished { _ = MPI_Abort(dtrain_comm_world(), exitCode) }
        // Not exit(): libraries' destructors may wait for threads that never end.
        _exit(exitCode)
    }

    /// Makes a call, and turns every failure code of MPI into an error that says what to do.
    fileprivate func check(_ call: String, _ body: () -> Int32) throws(CollectiveError) {
        precondition(!isFinished, "\(call) after finish()")
        precondition(pthread_equal(thread, pthread_self()) != 0, "\(call) on another thread than MPI's")
        let code = body()
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
}
