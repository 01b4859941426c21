import Checkpoints
import Foundation
import Testing

@Suite struct RunDirectoryTests {
    @Test func newResumedAndForeign() throws {
        let scratch = try Scratch()
        let path = scratch.file("runs/deep/one")
        var directory: RunDirectory? = try RunDirectory(path + "/", existing: .refuse)
        #expect(directory?.holdsRun == false)
        #expect(directory?.checkpointsPath == "\(path)/checkpoints")
        #expect(try names(path) == ["lock"])
        try CheckpointStore(directory: "\(path)/checkpoints").prepare()
        directory = nil
        #expect(try names(path) == ["checkpoints"])

        // Nothing of a run yet, and files that are none of its business.
        try put([1], "\(path)/job-12.log")
        directory = try RunDirectory(path, existing: .refuse)
        try AtomicFile.write(try #require(directory).configurationPath, "seed: 1\n")
        directory?.close()

        let error = try failure { _ = try RunDirectory(path, existing: .refuse) }
        #expect(error.kind == .refused)
        #expect(error.description.hasPrefix("\(path): holds another run (config.yaml); hint: resume it (--resume auto)"))
        #expect(try names(path) == ["checkpoints", "config.yaml", "job-12.log"])
        #expect(try RunDirectory(path, existing: .resume).holdsRun)
    }

    @Test func pathsThatCannotBe() throws {
        let scratch = try Scratch()
        try put([], scratch.file("file"))
        for path in [scratch.file("file"), scratch.file("file/run")] {
            #expect(try failure { _ = try RunDirectory(path, existing: .refuse) }.kind == .system(code: ENOTDIR))
        }
        #expect(symlink("loop", scratch.file("loop")) == 0)
        #expect(try failure { _ = try RunDirectory(scratch.file("loop"), existing: .refuse) }.kind == .system(code: ELOOP))
        #expect(try failure { _ = try RunDirectory("", existing: .refuse) }.kind == .refused)
        #expect(throws: CheckpointError.self) { try RunDirectory("/proc/run", existing: .refuse) }
        #expect(throws: CheckpointError.self) {
            try RunDirectory(scratch.file(String(repeating: "n", count: 300)), existing: .refuse)
        }
    }

    private func mode(_ path: String) -> mode_t {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o7777 : 0
    }

    /// What dtrain makes is its owner's; what a group prepared stays as it was made.
    @Test func modes() throws {
        let scratch = try Scratch()
        let before = umask(0o002)
        defer { umask(before) }
        _ = try RunDirectory(scratch.file("runs/one"), existing: .refuse)
        #expect(mode(scratch.file("runs")) == 0o775 && mode(scratch.file("runs/one")) == 0o700)
        mkdir(scratch.file("shared"), 0o770)
        let shared = try RunDirectory(scratch.file("shared"), existing: .refuse)
        try AtomicFile.write(shared.configurationPath, "seed: 1\n")
        try CheckpointStore(directory: shared.checkpointsPath).prepare()
        #expect(mode(shared.path) == 0o770 && mode(shared.configurationPath) == 0o664 && mode(shared.checkpointsPath) == 0o775)
    }

    /// Another user's directory where everybody may put one, or a link of that user's, is a trap; the group's is not.
    @Test(.enabled(if: geteuid() == 0, "it takes root to make another user's directory")) func aStrangersDirectoryIsRefused() throws {
        let scratch = try Scratch()
        chmod(scratch.path, 0o1777)
        mkdir(scratch.file("trap"), 0o777)
        chown(scratch.file("trap"), 65534, 65534)
        let error = try failure { _ = try RunDirectory(scratch.file("trap"), existing: .resume) }
        #expect(error.kind == .refused && error.description.contains("belongs to user nobody, and lies where everybody may put it; hint: "))
        #expect(try names(scratch.file("trap")) == [])
        mkdir(scratch.file("own"), 0o700)
        symlink("own", scratch.file("link"))
        lchown(scratch.file("link"), 65534, 65534)
        #expect(try failure { _ = try RunDirectory(scratch.file("link"), existing: .resume) }.kind == .refused)
        #expect(try names(scratch.file("own")) == [])
        _ = try RunDirectory(scratch.file("own"), existing: .resume)
        // Where only a group may write, it is the group's affair.
        chmod(scratch.path, 0o2775)
        chmod(scratch.file("trap"), 0o2770)
        _ = try RunDirectory(scratch.file("trap"), existing: .resume)
    }

    @Test func leftoversOfAtomicWritesGo() throws {
        let scratch = try Scratch()
        try put([1], scratch.file(".tmp-config.yaml-99"))
        try put([1], scratch.file(".tmp-mine"))
        _ = try RunDirectory(scratch.path, existing: .refuse)
        #expect(try names(scratch.path) == [".tmp-mine"])
    }

    // MARK: Lock

    @Test func twoRunsInOneProcess() throws {
        let scratch = try Scratch()
        let first = try RunDirectory(scratch.path, existing: .resume)
        let error = try failure { _ = try RunDirectory(scratch.path, existing: .resume) }
        #expect(error.kind == .locked)
        #expect(error.description.contains("another run uses this directory: process \(getpid()) on host "))
        first.close()
        #expect(try RunDirectory(scratch.path, existing: .resume).takenOverFrom == nil)
    }

    /// Another process holds the lock, then is killed: its file stays, the lock is free.
    @Test func aSecondProcess() throws {
        let scratch = try Scratch()
        let lock = scratch.file("lock")
        let holder = Process()
        holder.executableURL = URL(fileURLWithPath: "/bin/sh")
        let script = "exec 9<>\"$0\"; flock -n 9 || exit 1; echo taken; exec sleep 60"
        holder.arguments = ["-c", script, lock]
        let output = Pipe()
        holder.standardOutput = output
        try holder.run()
        #expect(output.fileHandleForReading.readData(ofLength: 6) == Data("taken\n".utf8))
        let pid = holder.processIdentifier
        let start = try #require(LockRecord.startTime(of: pid))
        let host = LockRecord.current().host
        let record = LockRecord(host: host, pid: pid, start: start)
        try Data("host \(host)\npid \(pid)\nstart \(start)\n".utf8).write(to: URL(fileURLWithPath: lock), options: [])

        #expect(!record.isStale)
        let error = try failure { _ = try RunDirectory(scratch.path, existing: .resume) }
        #expect(error.kind == .locked)
        #expect(error.description.contains("process \(pid) on host \(host)"))

        kill(pid, SIGKILL)
        holder.waitUntilExit()
        #expect(record.isStale)
        let directory = try RunDirectory(scratch.path, existing: .resume)
        #expect(directory.takenOverFrom == record)
        directory.close()
        #expect(try names(scratch.path) == [])
    }

    /// On a file system without locks the record decides.
    @Test func withoutFlock() throws {
        let scratch = try Scratch()
        let path = scratch.file("lock")
        func acquire() throws -> RunLock { try RunLock.acquire(path) { _ in ENOLCK } }
        let current = LockRecord.current()

        do {
            let lock = try acquire()
            #expect(lock.takenOverFrom == nil)
            let error = try failure { _ = try acquire() }
            #expect(error.kind == .locked)
            #expect(error.description.contains("if it does not, remove the file"))
        }
        #expect(try names(scratch.path) == [])

        // The number of a living process with another start time: an older process that had the number.
        let stale = LockRecord(host: current.host, pid: getpid(), start: current.start &+ 1)
        try put(Array(stale.text.utf8), path)
        #expect(try acquire().takenOverFrom == stale)

        let dead = LockRecord(host: current.host, pid: 0x3FFF_FFFF, start: 1)
        try put(Array(dead.text.utf8), path)
        #expect(try acquire().takenOverFrom == dead)

        let remote = LockRecord(host: "node-that-is-not-here", pid: getpid(), start: 1)
        try put(Array(remote.text.utf8), path)
        #expect(try failure { _ = try acquire() }.description.contains("on host node-that-is-not-here"))

        for torn in ["", "host a\npid", "host a\npid x\nstart 1\n", "pid 1\nhost a\nstart 1\n", "\u{0}\u{0}"] {
            try put(Array(torn.utf8), path)
            #expect(try acquire().takenOverFrom == nil)
        }
    }

    /// Many take and give back the same lock at once: never two at a time.
    @Test func neverTwoAtATime() async throws {
        let scratch = try Scratch()
        let (path, marker) = (scratch.path, scratch.file("marker"))
        let taken = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    var taken = 0
                    for _ in 0..<200 {
                        guard let directory = try? RunDirectory(path, existing: .resume) else { continue }
                        taken += 1
                        let descriptor = open(marker, O_CREAT | O_EXCL, 0o600)
                        #expect(descriptor >= 0, "two holders")
                        close(descriptor)
                        unlink(marker)
                        directory.close()
                    }
                    return taken
                }
            }
            return await group.reduce(0, +)
        }
        #expect(taken >= 4)
        #expect(try names(path) == [])
    }
}

@Suite struct SmallFileTests {
    @Test func atomicWriteReplaces() throws {
        let scratch = try Scratch()
        let path = scratch.file("config.yaml")
        try AtomicFile.write(path, "one")
        try AtomicFile.write(path, "two")
        #expect(try bytes(path) == Array("two".utf8))
        #expect(try names(scratch.path) == ["config.yaml"])
        #expect(try failure { try AtomicFile.write(scratch.file("no/such"), "x") }.kind == .missing)
        try FileManager.default.createDirectory(atPath: scratch.file("directory"), withIntermediateDirectories: false)
        #expect(try failure { try AtomicFile.write(scratch.file("directory"), "x") }.kind == .system(code: EISDIR))
        #expect(try names(scratch.path) == ["config.yaml", "directory"])
    }

    @Test func atomicWriteDoesNotFollowLinks() throws {
        let scratch = try Scratch()
        try put([1], scratch.file("precious"))
        #expect(symlink("precious", scratch.file("config.yaml")) == 0)
        try AtomicFile.write(scratch.file("config.yaml"), "x")
        #expect(try bytes(scratch.file("precious")) == [1])
        #expect(symlink("precious", scratch.file("metrics.jsonl")) == 0)
        let error = try failure { try JSONLines.truncate(scratch.file("metrics.jsonl"), afterStep: 0) }
        #expect(error.kind == .system(code: ELOOP))
        #expect(try bytes(scratch.file("precious")) == [1])
    }

    @Test(
        "metrics after a resume at step 20",
        arguments: [
            ("", "", 0),
            ("{\"step\":10}\n{\"step\":20}\n{\"step\":30}\n{\"step\":40}\n", "{\"step\":10}\n{\"step\":20}\n", 2),
            ("{\"step\":10}\n{\"step\":20}\n{\"st", "{\"step\":10}\n{\"step\":20}\n", 1),
            ("{\"step\":10}\n{\"step\":20}", "{\"step\":10}\n", 1),
            ("{\"step\":30}\n", "", 1),
            ("{\"step\":10,\"loss\":0.5}\n", "{\"step\":10,\"loss\":0.5}\n", 0),
            ("{\"step\":10}\n{\"ste{\"step\":15}\n{\"step\":20}\n{\"step\":21}\n", "{\"step\":10}\n{\"step\":20}\n", 2),
            ("\n{\"step\":5}\n\u{0}\u{0}\n{\"step\":6}\n", "{\"step\":5}\n{\"step\":6}\n", 2),
        ])
    func metrics(before: String, after: String, dropped: Int) throws {
        let scratch = try Scratch()
        let path = scratch.file("metrics.jsonl")
        try put(Array(before.utf8), path)
        for round in 0..<2 {
            let truncation = try JSONLines.truncate(path, afterStep: 20)
            #expect(String(decoding: try bytes(path), as: UTF8.self) == after)
            #expect(truncation.droppedLines == (round == 0 ? dropped : 0))
            #expect(truncation.keptLines == after.count { $0 == "\n" })
        }
        #expect(try names(scratch.path) == ["metrics.jsonl"])
    }

    @Test func noMetricsYet() throws {
        let scratch = try Scratch()
        #expect(try JSONLines.truncate(scratch.file("metrics.jsonl"), afterStep: 1).keptLines == 0)
        #expect(try names(scratch.path) == [])
    }
}
