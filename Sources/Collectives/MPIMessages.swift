import CMPI

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

    init(_ communicator: MPI_Comm, library: MPILibrary, maximumCount: Int) {
        self.communicator = communicator
        self.library = library
        self.maximumCount = maximumCount
    }

    /// Starts to receive; `bytes` must stay until all is done.
    func receive(_ bytes: UnsafeMutableRawBufferPointer, from source: Int) throws(CollectiveError) {
        for piece in Pieces(of: bytes.count, limit: maximumCount) {
            try start("MPI_Irecv") {
                MPI_Irecv(
                    bytes.baseAddress! + piece.lowerBound, Int32(piece.count), dtrain_byte(), Int32(source), 0, communicator, $0)
            }
        }
    }

    /// Starts to send; `bytes` must stay unchanged until all is done.
    func send(_ bytes: UnsafeRawBufferPointer, to destination: Int) throws(CollectiveError) {
        for piece in Pieces(of: bytes.count, limit: maximumCount) {
            try start("MPI_Isend") {
                MPI_Isend(
                    bytes.baseAddress! + piece.lowerBound, Int32(piece.count), dtrain_byte(), Int32(destination), 0,
                    communicator, $0)
            }
        }
    }

    /// Starts to send blocks as one message; whether there was a byte to send. They must stay unchanged until all is done.
    func send(_ blocks: [UnsafeRawBufferPointer], to destination: Int) throws(CollectiveError) -> Bool {
        for message in BlockMessages(blocks.map { (Int(bitPattern: $0.baseAddress), $0.count) }, limit: maximumCount) {
            try withType(message) { (type) throws(CollectiveError) in
                try start("MPI_Isend") { MPI_Isend(dtrain_bottom(), 1, type, Int32(destination), 0, communicator, $0) }
            }
        }
        return blocks.contains { !$0.isEmpty }
    }

    /// Starts to receive what `send` of blocks sends, into blocks of the same lengths; they must stay until all is done.
    func receive(_ blocks: [UnsafeMutableRawBufferPointer], from source: Int) throws(CollectiveError) {
        for message in BlockMessages(blocks.map { (Int(bitPattern: $0.baseAddress), $0.count) }, limit: maximumCount) {
            try withType(message) { (type) throws(CollectiveError) in
                try start("MPI_Irecv") { MPI_Irecv(dtrain_bottom(), 1, type, Int32(source), 0, communicator, $0) }
            }
        }
    }

    /// Makes a call that starts a message, and keeps its request.
    private func start(_ call: String, _ body: (UnsafeMutablePointer<MPI_Request?>) -> Int32) throws(CollectiveError) {
        var request: MPI_Request?
        try library.check(call) { body(&request) }
        requests.append(request)
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
        let patience = Patience(library.arrivals)
        while try !poll() {
            try meanwhile()
            try library.doMeanwhile()
            patience.wait()
        }
    }

    /// What this rank is to do while it waits.
    func doMeanwhile() throws(CollectiveError) { try library.doMeanwhile() }
}
