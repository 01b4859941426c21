import Glibc
import Synchronization
import System

/// Why a run ends before its last step, as the ranks agree at a step's end; the first that applies decides.
package enum StopReason: Int, CaseIterable, Sendable {
    /// A file `stop` lies in the run directory: an end that is meant, so nothing is to try again.
    case stopFile
    /// One of the signals of `StopSignal` reached a rank.
    case signal
    /// `--time-limit` is over.
    case timeLimit

    /// What a job script is to do: 0, done; 75 (EX_TEMPFAIL of sysexits.h), try again, which goes on from the checkpoint.
    package var exitCode: Int32 { self == .stopFile ? 0 : 75 }

    /// What the run was stopped by.
    var text: String {
        switch self {
        case .stopFile: "by the file 'stop' in its directory"
        case .signal: "by a signal"
        case .timeLimit: "by --time-limit"
        }
    }
}

/// The signals that ask for a stop. A SIGINT that follows another ends the process at once.
package enum StopSignal {
    /// The exit code of a process that is not to save any more.
    static let dropped: Int32 = 130
    /// One Ctrl-C may come by several ways; the next one is a person's, milliseconds.
    private static let least = 500
    private static let received = Atomic<Int32>(0)
    private static let since = Atomic<Int>(0)
    /// Where a byte is written when the first comes.
    private static let subscriber = Atomic<Int32>(-1)

    /// The signal that asked to stop first; 0: none.
    static var number: Int32 { received.load(ordering: .relaxed) }

    /// Takes the signals (signal(2)), which a parent may have blocked: those of people and schedulers (SIGTERM, SIGINT,
    /// SIGUSR1), of LSF and `#SBATCH --signal` (SIGUSR2), of limits of processor time (SIGXCPU), of a terminal that goes
    /// (SIGHUP; not where it is ignored, as `nohup` does).
    package static func listen() {
        var taken = [SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGXCPU]
        var hangUp = sigaction()
        sigaction(SIGHUP, nil, &hangUp)
        if unsafeBitCast(hangUp.__sigaction_handler.sa_handler, to: Int.self) != unsafeBitCast(SIG_IGN, to: Int.self) {
            taken.append(SIGHUP)
        }
        for number in taken { signal(number) { StopSignal.take($0) } }
        var open = sigset_t()
        sigemptyset(&open)
        for number in taken { sigaddset(&open, number) }
        pthread_sigmask(SIG_UNBLOCK, &open, nil)
    }

    /// Notes a signal. Safe within a signal handler.
    static func take(_ number: Int32) {
        let now = ProgressBoard.now
        if received.compareExchange(expected: 0, desired: number, ordering: .sequentiallyConsistent).exchanged {
            since.store(now, ordering: .sequentiallyConsistent)
            let descriptor = subscriber.load(ordering: .sequentiallyConsistent)
            var byte: UInt8 = 1
            if descriptor >= 0 { _ = write(descriptor, &byte, 1) }
        } else if number == SIGINT {
            let first = since.load(ordering: .sequentiallyConsistent)
            if first > 0 && now - first >= least { _exit(dropped) }
        }
    }

    /// A descriptor from which a byte can be read when the first signal has come; negative where there is none to be had.
    static func subscribe() -> Int32 {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return -1 }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        subscriber.store(ends[1], ordering: .sequentiallyConsistent)
        var byte: UInt8 = 1
        if number != 0 { _ = write(ends[1], &byte, 1) }
        return ends[0]
    }
}

/// What asks one rank to stop: signals on every rank; the clock and the stop file on rank 0 alone.
struct StopRequests {
    private let stopFile: String?
    private let end: Double?
    private var nextLook = 0.0

    /// - Parameters:
    ///   - rank: this rank's number.
    ///   - startedAt: when the process began, `Stopwatch.now`.
    init(rank: Int, runDirectory: String, timeLimit: TimeLimit, startedAt: Double) {
        stopFile = rank == 0 ? "\(runDirectory)/stop" : nil
        end = rank == 0 ? timeLimit.seconds.map { startedAt + Double($0) } : nil
    }

    /// The reasons there are now. The directory is looked at once a second at most: it may lie on slow storage.
    mutating func current() -> [StopReason] {
        var reasons: [StopReason] = []
        if StopSignal.number != 0 { reasons.append(.signal) }
        let now = Stopwatch.now
        if let end, now >= end { reasons.append(.timeLimit) }
        if let stopFile, now >= nextLook {
            nextLook = now + 1
            if access(stopFile, F_OK) == 0 { reasons.append(.stopFile) }
        }
        return reasons
    }

    /// Removes the stop file, once it was obeyed.
    func clear() {
        if let stopFile { unlink(stopFile) }
    }
}
