import Foundation
import Testing
import Training

struct WatchTests {
    @Test func timeWithoutProgressAddsUp() {
        var detector = StallDetector(timeout: 3, interval: 1)
        let looks = [(1, 1.0), (1, 1), (1, 1), (2, 1), (2, 1), (2, 1), (2, 1)].map {
            detector.isStalled(progress: $0.0, elapsed: $0.1)
        }
        #expect(looks == [false, false, false, false, false, false, true])
    }

    /// A job that was suspended for an hour has not stalled: the look after it counts as two intervals at most.
    @Test func aSuspendedJobHasNotStalled() {
        var detector = StallDetector(timeout: 3, interval: 1)
        _ = detector.isStalled(progress: 7, elapsed: 1)
        let isStalled = detector.isStalled(progress: 7, elapsed: 3600)
        #expect(!isStalled && detector.silence == 2)
        _ = detector.isStalled(progress: 8, elapsed: 1)
        #expect(detector.silence == 0)
    }

    /// A rank that starts, or writes a checkpoint, may be silent four times as long, and the others wait with it.
    @Test func slowStorageIsGivenTime() throws {
        let board = try #require(ProgressBoard(ranks: 3, path: nil, isFirst: true))
        #expect(board.patience == 1, "nothing is known of any rank")
        board.enter(.agreeing, step: 4, rank: 0)
        #expect(board.patience == 1)
        board.enter(.checkpoint, step: 3, rank: 1)
        #expect(board.patience == 4)
        var detector = StallDetector(timeout: 2, interval: 1)
        let looks = (0..<9).map { _ in detector.isStalled(progress: 1, elapsed: 1, patience: board.patience) }
        #expect(looks.firstIndex(of: true) == 8)
    }

    private func withSharedBoards(_ body: (ProgressBoard, ProgressBoard) throws -> Void) throws {
        let path = "/dev/shm/dtrain-test-\(UUID().uuidString)"
        defer { unlink(path) }
        let first = try #require(ProgressBoard(ranks: 3, path: path, isFirst: true))
        #expect(ProgressBoard(ranks: 3, path: path, isFirst: true) == nil, "never over a file that is there")
        let second = try #require(ProgressBoard(ranks: 3, path: path, isFirst: false))
        try body(first, second)
    }

    @Test func ranksOfANodeSeeEachOther() throws {
        try withSharedBoards { first, second in
            let before = second.progress
            first.enter(.validation, step: 12, rank: 1)
            #expect(second[1].step == 12 && second[1].phase == .validation && second[1].beats == 1)
            #expect(second[1].process == getpid())
            #expect(second[0].beats == 0)
            #expect(second.progress != before)
            #expect(abs(ProgressBoard.now - second[1].since) < 10_000)
            second.hear(5)
            #expect(first.progress == second.progress)
        }
    }

    @Test func oneRankOfANodeSpeaks() throws {
        try withSharedBoards { first, second in
            #expect(second.claimSpeech(rank: 2))
            #expect(!first.claimSpeech(rank: 0) && !second.claimSpeech(rank: 2))
        }
    }

    @Test func aNameThatCannotBeHadGivesNoBoard() {
        #expect(ProgressBoard(ranks: 1, path: "/nowhere/board", isFirst: true) == nil)
        #expect(ProgressBoard(ranks: 1, path: nil, isFirst: true) != nil)
    }

    private func socketOfTest() throws -> (descriptor: Int32, port: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        return (descriptor, try #require(ProgressChannel.bindAny(descriptor)))
    }

    /// Two nodes: ranks 0 and 1 on the first, ranks 2 and 3 on the second, over the loopback.
    private func channels(_ secret: RunSecret, other otherSecret: RunSecret? = nil) throws -> (
        hub: (ProgressBoard, ProgressChannel), other: (ProgressBoard, ProgressChannel)
    ) {
        let boards = (0..<2).map { _ in ProgressBoard(ranks: 4, path: nil, isFirst: true)! }
        let (hub, port) = try socketOfTest()
        let address = try #require(ProgressChannel.address("127.0.0.1", port: port))
        return (
            (
                boards[0],
                ProgressChannel(descriptor: hub, isHub: true, board: boards[0], own: [0, 1], hub: [], secret: secret)
            ),
            (
                boards[1],
                ProgressChannel(
                    descriptor: try socketOfTest().descriptor, isHub: false, board: boards[1], own: [2, 3], hub: [address],
                    secret: otherSecret ?? secret)
            )
        )
    }

    @Test func nodesTellEachOther() throws {
        let (hub, other) = try channels(RunSecret(42, 7))
        other.0.enter(.checkpoint, step: 9, rank: 3)
        other.1.exchange()
        hub.1.exchange()
        #expect(hub.0[3].step == 9 && hub.0[3].phase == .checkpoint && hub.0[3].beats == 1)
        #expect(hub.0[3].process == 0 && hub.0[2].beats == 0)
        other.1.exchange()
        let heard = other.0.progress
        // What advances on the first node alone is known on the second.
        hub.0.beat(rank: 0)
        other.1.exchange()
        hub.1.exchange()
        other.1.exchange()
        #expect(other.0.progress != heard)
        // One that writes a checkpoint is waited for on both, until it is done.
        for (phase, patience) in [(RunPhase.checkpoint, RunPhase.checkpoint.patience), (.forward, 1)] {
            other.0.enter(.agreeing, step: 9, rank: 3)
            hub.0.enter(phase, step: 9, rank: 0)
            for _ in 0..<2 {
                other.1.exchange()
                hub.1.exchange()
            }
            other.1.exchange()
            #expect(other.0.patience == patience)
        }
        #expect(RunPhase.checkpoint.patience > 1)
        // And when nothing does, nothing seems to.
        let still = other.0.progress
        for _ in 0..<3 {
            other.1.exchange()
            hub.1.exchange()
        }
        #expect(other.0.progress == still)
    }

    @Test func messagesOfAnotherRunAreIgnored() throws {
        for stranger in [RunSecret(43, 7), RunSecret(42, 8), RunSecret(7, 42)] {
            let (hub, other) = try channels(RunSecret(42, 7), other: stranger)
            other.0.enter(.checkpoint, step: 9, rank: 3)
            other.1.exchange()
            hub.1.exchange()
            #expect(hub.0[3].beats == 0)
            hub.0.beat(rank: 0)
            other.1.exchange()
            #expect(other.0.progress == 1, "nothing was answered")
        }
    }

    /// Messages of every length up to beyond the largest, with the secret too: those of the right length alone are taken, and a
    /// flood of others neither keeps the look long nor hides, the next time, what a node says.
    @Test func messagesOfNoRunAreDropped() throws {
        let secret = RunSecret(.random(in: 0 ... .max), .random(in: 0 ... .max))
        let board = try #require(ProgressBoard(ranks: 4, path: nil, isFirst: true))
        let (socket, port) = try socketOfTest()
        let hub = ProgressChannel(descriptor: socket, isHub: true, board: board, own: [0, 1], hub: [], secret: secret)
        let stranger = try socketOfTest().descriptor
        defer { close(stranger) }
        var address = try #require(ProgressChannel.address("127.0.0.1", port: port))
        func send(_ bytes: [UInt8]) {
            withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    _ = sendto(stranger, bytes, bytes.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
        let head = [secret.first, secret.second, 1].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
        for length in 0..<8 * 40 where length != 24 + 32 && length != 24 + 64 && length != 24 + 96 && length != 24 + 128 {
            send(Array((head + [UInt8](repeating: 1, count: 400))[..<length]))
            hub.exchange()
        }
        #expect((0..<4).allSatisfy { board[$0].beats == 0 })
        let clock = ContinuousClock()
        for _ in 0..<2000 { send([UInt8](repeating: 9, count: 56)) }
        let took = clock.measure { hub.exchange() }
        #expect(took < .seconds(1))
        for _ in 0..<100 { hub.exchange() }
        send(head + [3, 2, 1, 0].map { _ in [UInt8](repeating: 0, count: 8) }.joined())
        send(head + [UInt64(3) << 32 | 2, 9, 5, 0].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } })
        hub.exchange()
        #expect(board[3].step == 9 && board[3].beats == 5)
    }

    @Test func aBoardOfSomebodyElseIsNone() throws {
        let path = "/dev/shm/dtrain-test-\(UUID().uuidString)"
        defer { unlink(path) }
        // Too short to map: touching it would be a SIGBUS.
        close(open(path, O_CREAT | O_RDWR, 0o600))
        #expect(ProgressBoard(ranks: 3, path: path, isFirst: false) == nil)
        unlink(path)
        _ = try #require(ProgressBoard(ranks: 3, path: path, isFirst: true))
        chmod(path, 0o644)
        #expect(ProgressBoard(ranks: 3, path: path, isFirst: false) == nil, "others may read it")
        chmod(path, 0o600)
        #expect(ProgressBoard(ranks: 3, path: path, isFirst: false) != nil)
        if geteuid() == 0 {
            chown(path, 65534, 65534)
            #expect(ProgressBoard(ranks: 3, path: path, isFirst: false) == nil, "it is another user's")
        }
        let link = path + "-link"
        defer { unlink(link) }
        symlink(path, link)
        #expect(ProgressBoard(ranks: 3, path: link, isFirst: false) == nil, "a link is not followed")
    }

    private static func entry(
        _ rank: Int, _ host: String, step: Int, _ phase: RunPhase, since: Int = 1000, state: String? = nil
    ) -> StallReport.Entry {
        StallReport.Entry(
            rank: rank, host: host,
            standing: ProgressBoard.Standing(step: step, phase: phase, beats: 1, since: since, process: 0), state: state)
    }

    @Test func theLineNamesEveryRank() {
        let line = StallReport.line(
            [
                Self.entry(0, "a", step: 5, .agreeing, since: 2000), Self.entry(1, "a", step: 5, .forward),
                StallReport.Entry(rank: 2, host: "b", standing: nil),
            ], silence: 300.4, agreedStep: 4, now: 302_000)
        #expect(
            line.hasPrefix(
                "no progress for 300 s, so the run ends; rank 0 on a: step 5, agreeing on the step, 300 s ago; rank 1 on a: step 5, "
                    + "forward, 301 s ago; rank 2 on b: no word since step 4; furthest behind: rank 1; hint: "))
        #expect(!line.contains("\n"))
    }

    @Test func aStoppedRankIsTheOne() {
        let line = StallReport.line(
            [Self.entry(0, "a", step: 5, .agreeing), Self.entry(1, "a", step: 5, .agreeing, state: "stopped")],
            silence: 1, agreedStep: 4, now: 2000)
        #expect(line.contains("rank 1 on a: step 5, agreeing on the step (stopped), 1 s ago; furthest behind: rank 1"))
    }

    @Test func ofManyRanksThoseThatDifferAreNamed() {
        var entries = (0..<1000).map { Self.entry($0, "node\($0 / 8)", step: 70, .agreeing) }
        entries[613] = Self.entry(613, "node76", step: 70, .readingData)
        let line = StallReport.line(entries, silence: 300, agreedStep: 69, now: 2000)
        #expect(line.contains("rank 613 on node76: step 70, reading data, 1 s ago; 999 ranks: step 70, agreeing on the step"))
        #expect(line.contains("furthest behind: rank 613"))
        #expect(line.utf8.count < 500)
    }

    @Test func theStateOfAProcessIsKnown() throws {
        #expect(StallReport.abnormalState(of: getpid()) == nil)
        #expect(StallReport.abnormalState(of: 0) == nil)
        let sleeper = Process()
        sleeper.executableURL = URL(fileURLWithPath: "/bin/sleep")
        sleeper.arguments = ["60"]
        try sleeper.run()
        kill(sleeper.processIdentifier, SIGSTOP)
        for _ in 0..<500 where StallReport.abnormalState(of: sleeper.processIdentifier) == nil { usleep(10_000) }
        #expect(StallReport.abnormalState(of: sleeper.processIdentifier) == "stopped")
        kill(sleeper.processIdentifier, SIGKILL)
        sleeper.waitUntilExit()
        #expect(StallReport.abnormalState(of: sleeper.processIdentifier) == "gone")
    }
}
