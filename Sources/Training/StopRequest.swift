import Glibc
import Synchronization
import Tensors

/// Why a run ends before its last step, as the ranks agree at a step's end; the first that applies decides.
package enum StopReason: Int, CaseIterable, Sendable {
    /// A file `stop` lies in the run directory: an end that is meant, so nothing is to try again.
    case stopFile
    /// SIGTERM, SIGINT or SIGUSR1 reached a rank.
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

/// The signals that ask for a stop. A second SIGINT ends the process at once.
package enum StopSignal {
    private static let received = Atomic<Int32>(0)

    /// The signal that asked to stop; 0: none.
    static var number: Int32 { received.load(ordering: .relaxed) }

    /// Takes the three signals (sigaction), which a parent may have blocked.
    package static func listen() {
        let taken = [SIGTERM, SIGINT, SIGUSR1]
        for number in taken {
            signal(number) { number in
                if number == SIGINT && StopSignal.received.load(ordering: .relaxed) == SIGINT { _exit(130) }
                StopSignal.received.store(number, ordering: .relaxed)
            }
        }
        var open = sigset_t()
        sigemptyset(&open)
        for number in taken { sigaddset(&open, number) }
        pthread_sigmask(SIG_UNBLOCK, &open, nil)
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
