import CLinux
import Glibc
import System

/// The process that stands between Open MPI's launcher and a rank.
///
/// mpirun answers Ctrl-C and SIGTERM by sending SIGTERM to its children and, a second later
/// (`odls_base_sigkill_timeout`), SIGKILL to their process groups: too early for a step and a checkpoint of a large network.
/// So what mpirun starts, and kills, is this process. It passes signals on to the rank, which is its child in a process group
/// of its own, ends as the rank ends, and says to the rank by a pipe what mpirun is about to do.
struct Supervisor {
    /// What it says.
    enum Message: UInt8 {
        /// The launcher is ending the job, and will kill this process soon.
        case launcherEnds = 0x74
        /// The launcher was told to end at once: what is being saved is not wanted.
        case drop = 0x64
    }

    /// Signals that are passed on.
    static let passedOn = [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU, SIGCONT]
    /// Seconds between SIGTERM and SIGKILL unless `odls_base_sigkill_timeout` says otherwise.
    private static let defaultTimeout = 1.0
    private static let interval = 100
    /// Seconds that a rank has to end by itself.
    private static let patience = 5.0

    let rank: pid_t
    let launcher: pid_t
    let pipe: Int32
    /// When the launcher began to end the job.
    private var endingSince: Double?

    init(rank: pid_t, launcher: pid_t, pipe: Int32) {
        self.rank = rank
        self.launcher = launcher
        self.pipe = pipe
    }

    /// Serves until the rank has ended, and ends likewise. The signals must be blocked, SIGCHLD too.
    mutating func serve() -> Never {
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in Self.passedOn + [SIGCHLD] { sigaddset(&signals, number) }
        let parent = getppid()
        while true {
            var sender: Int32 = 0
            let number = dtrain_wait_for_signal(&signals, Self.interval, &sender)
            var status: Int32 = 0
            if waitpid(rank, &status, WNOHANG) == rank { Self.end(status) }
            if number > 0 && number != SIGCHLD {
                if number == SIGTERM && sender == launcher && endingSince == nil {
                    endingSince = Stopwatch.now
                    say(.launcherEnds)
                }
                kill(rank, number)
            }
            if let endingSince {
                // A second Ctrl-C ends mpirun before it has killed anybody.
                guard !LauncherProcess.isAlive(launcher) else { continue }
                if Stopwatch.now - endingSince < Self.timeout - 0.1 { say(.drop) }
                // The rank is on its own now.
                _exit(1)
            }
            // It cannot have meant to leave its ranks behind.
            if getppid() != parent || !LauncherProcess.isAlive(launcher) { abandon() }
        }
    }

    /// Tells the rank that the launcher is gone, and ends with it.
    private func abandon() -> Never {
        close(pipe)
        let start = Stopwatch.now
        var status: Int32 = 0
        while Stopwatch.now - start < Self.patience {
            if waitpid(rank, &status, WNOHANG) == rank { Self.end(status) }
            usleep(20_000)
        }
        kill(rank, SIGKILL)
        _exit(1)
    }

    private func say(_ message: Message) {
        var byte = message.rawValue
        _ = write(pipe, &byte, 1)
    }

    private static var timeout: Double {
        getenv("OMPI_MCA_odls_base_sigkill_timeout").flatMap { Double(String(cString: $0)) } ?? defaultTimeout
    }

    /// Ends as a child did whose `waitpid` status this is.
    private static func end(_ status: Int32) -> Never {
        let number = status & 0x7F
        guard number != 0 else { _exit(status >> 8 & 0xFF) }
        // The rank's own core dump is enough.
        var none = rlimit()
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
        signal(number, SIG_DFL)
        var only = sigset_t()
        sigemptyset(&only)
        sigaddset(&only, number)
        kill(getpid(), number)
        sigprocmask(SIG_UNBLOCK, &only, nil)
        _exit(128 + number)
    }
}
