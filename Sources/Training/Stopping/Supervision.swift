import CLinux
import Glibc
import Synchronization
import System

/// The rank's side of its `Supervisor`: how it outlives mpirun for as long as it takes to save.
///
/// MPI goes on working between ranks when mpirun has ended: shared memory and TCP connections between them need no daemon. What
/// does not survive is Open MPI's connection to its daemon (PMIx): when that breaks, the library ends the process. So the
/// connection is replaced by a socket that stays silent for ever, before the daemon goes. From then on nothing may be called
/// that asks the daemon: `MPI_Finalize` and `MPI_Abort`; the process just ends.
///
/// `@unchecked Sendable`: atomics and constants.
package final class Supervision: @unchecked Sendable {
    /// The process identifier (`pid_t`) of mpirun or its daemon.
    package let launcher: Int32  // Not `pid_t`: the module it belongs to depends on the order of the build.
    /// The parent.
    let supervisor: pid_t
    private let pipe: Int32
    /// Ports of the daemon on this host.
    private let ports: Set<UInt16>

    private enum Stage: Int {
        /// MPI is in use, and its daemon there.
        case connected
        /// The daemon is out of reach.
        case disconnected
        /// MPI is being ended.
        case ending
    }
    private let stage = Atomic<Int>(Stage.connected.rawValue)
    private let isTraining = Atomic<Bool>(false)
    private let isEnding = Atomic<Bool>(false)
    private let exitCode = Atomic<Int32>(0)
    /// Ranks that finish within this time, seconds, end in the usual way: a part of the second that mpirun gives them.
    private static let delay = 0.3

    /// Splits this process, where Open MPI's launcher started it, into a supervisor and the rank; to be called before there are
    /// any threads, and before MPI is started. Only the rank returns.
    /// - Returns: nil under no or another launcher, and where no process can be made.
    package static func begin() -> Supervision? {
        guard getenv("OMPI_COMM_WORLD_SIZE") != nil, let launcher = LauncherProcess.find() else { return nil }
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        // The supervisor must miss none.
        var signals = sigset_t()
        var before = sigset_t()
        sigemptyset(&signals)
        for number in Supervisor.passedOn + [SIGCHLD] { sigaddset(&signals, number) }
        sigprocmask(SIG_BLOCK, &signals, &before)
        let supervisor = getpid()
        let child = dtrain_fork()
        if child > 0 {
            close(ends[0])
            setpgid(child, child)
            var process = Supervisor(rank: child, launcher: launcher, pipe: ends[1])
            process.serve()
        }
        if child == 0 {
            // Until there is something to save it ends with its supervisor, which may be gone already.
            dtrain_signal_at_parents_end(SIGKILL)
            if getppid() != supervisor { _exit(1) }
            setpgid(0, 0)
        }
        sigprocmask(SIG_SETMASK, &before, nil)
        close(ends[1])
        guard child == 0 else {
            close(ends[0])
            return nil
        }
        return Supervision(launcher: launcher, supervisor: supervisor, pipe: ends[0])
    }

    private init(launcher: pid_t, supervisor: pid_t, pipe: Int32) {
        self.launcher = launcher
        self.supervisor = supervisor
        self.pipe = pipe
        ports = Self.daemonPorts()
    }

    /// There is something to save from now on: this process no longer ends with its supervisor. Called on the main thread.
    /// - Throws: `ThreadError`.
    func beginTraining() throws {
        // Asked to end before the first step, it has nothing to save.
        guard StopSignal.number == 0 else { return }
        _ = Unmanaged.passRetained(try ThreadGroup(count: 1) { [self] _ in listen() })
        isTraining.store(true, ordering: .releasing)
        dtrain_signal_at_parents_end(0)
    }

    /// Whether the launcher is ending, or has ended, and this rank goes on until it has saved.
    var outlives: Bool { isEnding.load(ordering: .acquiring) }

    /// Whether the supervisor is gone, or has said by closing the pipe that the launcher is.
    var isAbandoned: Bool {
        var look = pollfd(fd: pipe, events: 0, revents: 0)
        return poll(&look, 1, 0) == 1 && Int32(look.revents) & Int32(POLLHUP) != 0
    }

    /// Whether MPI may be ended in the usual way, which needs the daemon; to be asked once, when all is saved. Otherwise the
    /// process is to end without.
    /// - Parameter exitCode: of the process, should the daemon go while MPI is being ended.
    package func mayEndMPI(exitCode code: Int32) -> Bool {
        exitCode.store(code, ordering: .sequentiallyConsistent)
        return !outlives
            && stage.compareExchange(
                expected: Stage.connected.rawValue, desired: Stage.ending.rawValue, ordering: .sequentiallyConsistent
            ).exchanged
    }

    /// On its own thread.
    private func listen() {
        while true {
            var byte: UInt8 = 0
            let count = read(pipe, &byte, 1)
            if count < 0 && errno == EINTR { continue }
            // The supervisor is gone; the watchdog decides.
            guard count == 1 else { return }
            switch Supervisor.Message(rawValue: byte) {
            case .launcherEnds:
                isEnding.store(true, ordering: .releasing)
                StopSignal.take(SIGTERM)
                usleep(UInt32(Self.delay * 1e6))
                // MPI's own end would wait for a daemon that goes.
                if !disconnect() { _exit(exitCode.load(ordering: .sequentiallyConsistent)) }
            case .drop: _exit(StopSignal.dropped)
            case nil: break
            }
        }
    }

    /// - Returns: false when MPI is being ended.
    private func disconnect() -> Bool {
        guard
            stage.compareExchange(
                expected: Stage.connected.rawValue, desired: Stage.disconnected.rawValue, ordering: .sequentiallyConsistent
            ).exchanged
        else { return false }
        // One end stays open and is never written to: no news, no end of file.
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else { return true }
        for descriptor in 3..<Int32(min(sysconf(Int32(_SC_OPEN_MAX)), 65_536)) where !ends.contains(descriptor) {
            if let port = Self.localPeer(of: descriptor), ports.contains(port) { dup2(ends[0], descriptor) }
        }
        return true
    }

    /// The port of this host that a socket is connected with.
    private static func localPeer(of descriptor: Int32) -> UInt16? {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &length) }
        }
        return status == 0 && address.sin_family == sa_family_t(AF_INET) ? UInt16(bigEndian: address.sin_port) : nil
    }

    /// From `PMIX_SERVER_URI2=...;tcp4://127.0.0.1:40107` and its like, one for each version of the protocol.
    private static func daemonPorts() -> Set<UInt16> {
        var ports: Set<UInt16> = []
        for suffix in ["", "2", "21", "3", "4", "41", "5"] {
            guard let text = getenv("PMIX_SERVER_URI\(suffix)") else { continue }
            let digits = String(cString: text).split(separator: ":").last?.prefix { $0.isNumber } ?? ""
            if let port = UInt16(digits) { ports.insert(port) }
        }
        return ports
    }
}
