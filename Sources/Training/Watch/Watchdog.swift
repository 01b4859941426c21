import Collectives
import Glibc
import System
import Telemetry

/// Sees to it that a run ends rather than hangs: a thread a rank, which looks whether anything advances, on any rank it hears
/// of. It lives as long as the process, so that it also watches over the end.
///
/// `@unchecked Sendable`: the board and the channel are; the rest is constant.
final class Watchdog: @unchecked Sendable {
    /// EX_SOFTWARE of sysexits.h: the run hung, or its launcher is gone.
    static let exitCode: Int32 = 70
    /// Other nodes leave the word to the node of rank 0, which hears of all, for so long, seconds.
    private static let grace = 3.0

    private let board: ProgressBoard
    private let channel: ProgressChannel?
    private let rank: Int
    private let hosts: [String]
    private let nodes: [Int]
    private let timeout: Double
    /// mpirun or its daemon, which started this process; nil where nobody did who must stay.
    private let launcher: pid_t?
    /// The process that started this one, as long as it lives.
    private let parent: pid_t
    private let supervision: Supervision?
    /// A run that goes on without its launcher, unseen, may be without progress for so many seconds, or so many times as long as
    /// it ever was before: a rank of another node may be gone, which mpirun no longer tells.
    private static let unseenTimeout = (least: 10.0, factor: 3.0)

    /// Starts the watch; called by all ranks together.
    /// - Parameter timeout: seconds without progress on any rank; 0: only the launcher's end is watched for.
    /// - Throws: `ThreadError`, `CollectiveError`.
    static func start(communicator: any Communicator, timeout: Double, supervision: Supervision?) throws -> Watchdog {
        // The board's name can be seen by all on the node, for a moment: it is another secret than the messages'.
        let board = try makeBoard(communicator, name: try RunSecret.make(communicator))
        let channel = try ProgressChannel.make(
            board: board, communicator: communicator, secret: try RunSecret.make(communicator))
        let places = try communicator.allgather(Array("\(communicator.place.node) \(communicator.place.host)".utf8))
            .map { String(decoding: $0, as: UTF8.self).split(separator: " ", maxSplits: 1).map(String.init) }
        let watchdog = Watchdog(
            board: board, channel: channel, rank: communicator.rank, hosts: places.map { $0.last ?? "?" },
            nodes: places.map { Int($0[0]) ?? 0 }, timeout: timeout,
            launcher: supervision?.launcher ?? (communicator.size > 1 ? getppid() : nil), supervision: supervision)
        watchdog.enter(.starting, step: 0)
        _ = Unmanaged.passRetained(try ThreadGroup(count: 1) { _ in watchdog.watch() })
        return watchdog
    }

    /// A board the ranks of each node share, its name removed at once; where a node has no memory for it, each of its ranks has
    /// one of its own.
    private static func makeBoard(_ communicator: any Communicator, name: RunSecret) throws -> ProgressBoard {
        let place = communicator.place
        let path = place.localSize > 1 ? "/dev/shm/dtrain-\(String(name.first, radix: 16))-\(String(name.second, radix: 16))-\(place.node)" : nil
        let isFirst = place.localRank == 0
        var board = isFirst ? ProgressBoard(ranks: communicator.size, path: path, isFirst: true) : nil
        try communicator.barrier()
        if !isFirst { board = ProgressBoard(ranks: communicator.size, path: path, isFirst: false) }
        try communicator.barrier()
        if let path, isFirst { unlink(path) }
        guard let board = board ?? ProgressBoard(ranks: communicator.size, path: nil, isFirst: true) else {
            throw TrainingFailure("no memory for the watchdog's records; hint: fewer ranks on this node")
        }
        return board
    }

    private init(
        board: ProgressBoard, channel: ProgressChannel?, rank: Int, hosts: [String], nodes: [Int], timeout: Double,
        launcher: pid_t?, supervision: Supervision?
    ) {
        self.board = board
        self.channel = channel
        self.rank = rank
        self.hosts = hosts
        self.nodes = nodes
        self.timeout = timeout
        self.launcher = launcher
        self.supervision = supervision
        parent = getppid()
    }

    // MARK: On the main thread

    /// This rank begins a phase.
    func enter(_ phase: RunPhase, step: Int) { board.enter(phase, step: step, rank: rank) }

    /// This rank advanced within a long phase.
    func beat() { board.beat(rank: rank) }

    // MARK: On its own thread

    private func watch() {
        let interval = timeout > 0 ? min(1, max(0.05, timeout / 10)) : 1
        let ownTimeout = nodes[rank] == nodes[0] ? timeout : timeout + Self.grace
        var detector = StallDetector(timeout: ownTimeout, interval: interval)
        var longest = 0.0
        var last = Stopwatch.now
        while true {
            usleep(UInt32(interval * 1e6))
            let now = Stopwatch.now
            channel?.exchange()
            if let supervision, supervision.outlives {
                // What ended the job may be the death of another rank, which is waited for in vain. mpirun tells of it.
                if !isWhole { _exit(Self.exitCode) }
                let limit = max(Self.unseenTimeout.least, Self.unseenTimeout.factor * longest) * board.patience
                if detector.silence > limit { _exit(Self.exitCode) }
            } else if let launcher, getppid() != parent || supervision?.isAbandoned == true {
                // mpirun's ranks are not told when mpirun is killed, and would keep the run directory's lock.
                end("the launcher (process \(launcher)) has ended; hint: resume with --resume auto")
            }
            // What stops the process that mpirun started means this one.
            if supervision != nil, LauncherProcess.isStopped(parent) { kill(getpid(), SIGSTOP) }
            let isStalled = detector.isStalled(
                progress: board.progress &+ Outlet.waits, elapsed: now - last, patience: board.patience)
            if let supervision, !supervision.outlives, board[rank].phase != .starting {
                longest = max(longest, detector.silence)
            }
            if isStalled, timeout > 0 {
                end(stallLine(silence: detector.silence))
            }
            last = now
        }
    }

    /// Whether all ranks of this node that are not at their end are there.
    var isWhole: Bool {
        hosts.indices.allSatisfy { rank in
            let standing = board[rank]
            guard nodes[rank] == nodes[self.rank], standing.process > 0, standing.phase != .ending else { return true }
            return LauncherProcess.isAlive(standing.process)
        }
    }

    /// The step at whose end the ranks will stop, if one of them was asked to just now.
    var stepToStopAfter: Int {
        let standing = board[rank]
        // The wishes of a step are agreed upon in its middle.
        return standing.phase.rawValue > RunPhase.agreeing.rawValue ? standing.step + 1 : standing.step
    }

    private func stallLine(silence: Double) -> String {
        let entries = hosts.indices.map { rank -> StallReport.Entry in
            let standing = board[rank]
            return StallReport.Entry(
                rank: rank, host: hosts[rank], standing: standing.beats == 0 ? nil : standing,
                state: StallReport.abnormalState(of: standing.process))
        }
        return StallReport.line(
            entries, silence: silence, agreedStep: max(0, board[rank].step - 1), now: ProgressBoard.now)
    }

    /// Prints the reason, if no other rank of the node does, and ends the process without asking anyone: MPI's own abort may be
    /// called by the main thread only, and that one hangs. The launcher ends the other ranks when one ends so.
    private func end(_ line: String) -> Never {
        if board.claimSpeech(rank: rank) {
            Outlet.standardError.write("dtrain: \(line)\n")
            Outlet.standardError.flush(seconds: 2)
            // The launcher passes the line on before it learns of the end.
            usleep(300_000)
        } else {
            sleep(2)
        }
        _exit(Self.exitCode)
    }
}
