import CMPI
import Glibc

/// The MPI library of this process, from `MPI_Init_thread` to `MPI_Finalize`.
final class MPILibrary {
    private let thread = pthread_self()
    private var rank: Int
    private var isFinished = false
    let arrivals = Arrivals()
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
    func check(_ call: String, _ body: () -> Int32) throws(CollectiveError) {
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
