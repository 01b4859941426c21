import Glibc
import Synchronization
import System
import Telemetry

/// The line by which rank 0 answers a signal: what is saved, and how not to.
///
/// The loop says it when the ranks have agreed; where a step takes longer than a launcher waits before it ends, a thread says it
/// earlier.
///
/// `@unchecked Sendable`: the flag is atomic, the rest constant.
final class SavingNotice: @unchecked Sendable {
    /// Seconds from the signal to the line at the latest, while mpirun still passes it on.
    private static let delay = 0.3

    /// Or is not to be said any more.
    private let isSaid = Atomic<Bool>(false)
    private let supervision: Supervision?
    private let isWatched: Bool
    /// Where the ranks are: the step that will be saved; nil: one of them is gone.
    private let stepUnderWay: @Sendable () -> Int?
    /// Tells those who find the run directory locked.
    private let note: @Sendable (Int) -> Void

    /// Starts the thread.
    /// - Throws: `ThreadError`.
    init(
        supervision: Supervision?, isWatched: Bool, stepUnderWay: @escaping @Sendable () -> Int?,
        note: @escaping @Sendable (Int) -> Void
    ) throws {
        self.supervision = supervision
        self.isWatched = isWatched
        self.stepUnderWay = stepUnderWay
        self.note = note
        let signals = StopSignal.subscribe()
        guard signals >= 0 else { return }
        _ = Unmanaged.passRetained(
            try ThreadGroup(count: 1) { [self] _ in
                var byte: UInt8 = 0
                while read(signals, &byte, 1) < 0 && errno == EINTR {}
                usleep(UInt32(Self.delay * 1e6))
                // The job may be ending because a rank died.
                if let step = stepUnderWay() { say(step: step) }
            })
    }

    /// Nothing more is to be said: the run has failed. mpirun ends the ranks that end last by a signal, which asks for nothing.
    func withdraw() { isSaid.store(true, ordering: .relaxed) }

    /// Says it, once.
    func say(step: Int) {
        guard isSaid.compareExchange(expected: false, desired: true, ordering: .relaxed).exchanged else { return }
        note(step)
        var text = "dtrain: saving step \(step)"
        if let supervision, supervision.outlives {
            text += "; press Ctrl-C again to drop it (mpirun may end first: process \(getpid()) goes on, kill -INT \(getpid()) drops it)"
        } else if supervision == nil, StopSignal.number == SIGINT {
            text += "; press Ctrl-C again to drop it"
        }
        // At once: mpirun passes it on for a second at most.
        Outlet.standardError.writeDirectly((isWatched ? "\n" : "") + text + "\n")
    }
}
