import Glibc
import Synchronization

/// A wish to stop, from outside: SIGTERM, SIGINT or SIGUSR1 to any rank. The ranks agree on it at the next step's end, write
/// a checkpoint, and exit with `exitCode`. A second SIGINT ends the process at once.
package enum StopRequest {
    /// EX_TEMPFAIL of sysexits.h: try again later. Job scripts turn it into a requeue.
    package static let exitCode: Int32 = 75

    private static let received = Atomic<Int32>(0)

    /// The signal that asked to stop; 0: none.
    static var signalNumber: Int32 { received.load(ordering: .relaxed) }

    /// Takes the three signals (sigaction), which a parent may have blocked.
    package static func listen() {
        let taken = [SIGTERM, SIGINT, SIGUSR1]
        for number in taken {
            signal(number) { number in
                if number == SIGINT && StopRequest.received.load(ordering: .relaxed) == SIGINT { _exit(130) }
                StopRequest.received.store(number, ordering: .relaxed)
            }
        }
        var open = sigset_t()
        sigemptyset(&open)
        for number in taken { sigaddset(&open, number) }
        pthread_sigmask(SIG_UNBLOCK, &open, nil)
    }
}
