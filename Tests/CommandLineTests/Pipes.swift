import Foundation
import Glibc
import Testing
import TestSupport

/// The real program with standard streams that a test holds itself: a small pipe nobody reads, or a terminal.
final class HeldStream {
    /// What the program gets.
    let inner: FileHandle
    /// What the test reads.
    let outer: FileHandle
    /// For what `mpirun` keeps while it runs.
    private let folder = try! TestFolder()

    private init(inner: Int32, outer: Int32) {
        self.inner = FileHandle(fileDescriptor: inner, closeOnDealloc: true)
        self.outer = FileHandle(fileDescriptor: outer, closeOnDealloc: true)
    }

    /// A pipe that holds one page.
    static func smallPipe() throws -> HeldStream {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        // 1031 = F_SETPIPE_SZ, which glibc declares under _GNU_SOURCE only.
        try #require(fcntl(ends[1], 1031, 4096) > 0)
        return HeldStream(inner: ends[1], outer: ends[0])
    }

    /// A terminal of so many columns (pts(4); posix_openpt is declared for programs that ask for XSI only).
    static func terminal(columns: Int, rows: Int = 24) throws -> HeldStream {
        let outer = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        // TIOCSPTLCK and TIOCGPTN are macros that Swift does not import.
        var (locked, number): (Int32, UInt32) = (0, 0)
        try #require(outer >= 0 && ioctl(outer, 0x4004_5431, &locked) == 0 && ioctl(outer, 0x8004_5430, &number) == 0)
        let inner = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY | O_CLOEXEC)
        try #require(inner >= 0)
        var size = winsize(ws_row: UInt16(rows), ws_col: UInt16(columns), ws_xpixel: 0, ws_ypixel: 0)
        try #require(ioctl(inner, UInt(TIOCSWINSZ), &size) == 0)
        return HeldStream(inner: inner, outer: outer)
    }

    /// What a person does who drags the window's corner.
    func resize(columns: Int, rows: Int = 24) {
        var size = winsize(ws_row: UInt16(rows), ws_col: UInt16(columns), ws_xpixel: 0, ws_ypixel: 0)
        _ = ioctl(outer.fileDescriptor, UInt(TIOCSWINSZ), &size)
    }

    /// Writing to it fails with EAGAIN where it would wait.
    func doNotBlock() { _ = fcntl(inner.fileDescriptor, F_SETFL, fcntl(inner.fileDescriptor, F_GETFL) | O_NONBLOCK) }

    /// Starts a program that writes here; the test's own copy of what the program has is closed.
    /// - Parameter kind: TERM; empty: a terminal that does not say what it is.
    func start(_ command: [String], standardError: FileHandle = .nullDevice, kind: String = "") throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.environment = ProcessInfo.processInfo.environment.merging([
            "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "TERM": kind, "LC_ALL": "C.UTF-8",
        ]) { $1 }.merging(Subprocess.launcherEnvironment(in: folder.path)) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = inner
        process.standardError = standardError
        try process.run()
        try inner.close()
        return process
    }

    /// Everything until all who write have closed it; a terminal says so with an error.
    func readAll() -> String {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        var all: [UInt8] = []
        while true {
            let count = read(outer.fileDescriptor, &bytes, bytes.count)
            if count > 0 { all += bytes[..<count] } else if count == 0 || errno != EINTR { break }
        }
        return String(decoding: all, as: UTF8.self)
    }
}

extension Process {
    /// Waits for the end, at most so long.
    /// - Returns: the exit code; nil when it had to be killed.
    func end(within seconds: Double) -> Int32? {
        let end = Date() + seconds
        while isRunning && Date() < end { usleep(10_000) }
        guard isRunning else { return terminationReason == .exit ? terminationStatus : 128 + terminationStatus }
        kill(processIdentifier, SIGKILL)
        waitUntilExit()
        return nil
    }
}
