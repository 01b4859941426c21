import Collectives
import Glibc
import System
import Testing

/// The sleep of a rank that waits, on a TCP connection of a process with itself. It watches all sockets of its process, so each test has
/// one of its own.
@Suite("Sleeps that arrivals end", .serialized)
struct ArrivalsTests {
    private final class Connection: Sendable {
        let near, far: Int32

        init() throws {
            let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(listener) }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            near = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            let (listening, own) = (listener, near)
            let isThere = withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(listening, $0, length) == 0 && listen(listening, 1) == 0 && getsockname(listening, $0, &length) == 0
                        && connect(own, $0, length) == 0
                }
            }
            try #require(isThere, "a connection on this machine")
            far = accept(listener, nil, nil)
            try #require(far >= 0)
        }

        deinit {
            close(near)
            close(far)
        }

        func send() { #expect(write(far, [1], 1) == 1) }
    }

    private static func slept(_ arrivals: Arrivals, milliseconds: Double) -> Double {
        let start = Stopwatch.now
        arrivals.sleep(microseconds: milliseconds * 1e3)
        return (Stopwatch.now - start) * 1e3
    }

    /// One that has looked for its sockets, and has seen all that is new.
    private static func watching() -> Arrivals {
        let arrivals = Arrivals()
        for _ in 0..<4 { _ = slept(arrivals, milliseconds: 1) }
        return arrivals
    }

    @Test("without an arrival a sleep has its length")
    func full() async {
        await #expect(processExitsWith: .success) {
            let connection = try Connection()
            let arrivals = Self.watching()
            for _ in 0..<3 { #expect(Self.slept(arrivals, milliseconds: 20) >= 19.9) }
            withExtendedLifetime(connection) {}
        }
    }

    @Test("what arrived before or arrives meanwhile ends it, once, though nobody reads it")
    func arrival() async {
        await #expect(processExitsWith: .success) {
            let connection = try Connection()
            let arrivals = Self.watching()
            connection.send()
            #expect(Self.slept(arrivals, milliseconds: 2000) < 1000)
            #expect(Self.slept(arrivals, milliseconds: 20) >= 19.9)
            let sender = try ThreadGroup(count: 1) { _ in
                usleep(50_000)
                connection.send()
            }
            let milliseconds = Self.slept(arrivals, milliseconds: 5000)
            sender.join()
            #expect(milliseconds > 10 && milliseconds < 2500)
        }
    }

    @Test("a connection that opens later is found, and one that was closed does no harm")
    func laterConnection() async {
        await #expect(processExitsWith: .success) {
            var first: Connection? = try Connection()
            let arrivals = Self.watching()
            first = nil
            let second = try Connection()
            usleep(110_000)
            while Self.slept(arrivals, milliseconds: 2) < 1.9 {}
            _ = Self.slept(arrivals, milliseconds: 1)
            second.send()
            #expect(Self.slept(arrivals, milliseconds: 2000) < 1000)
            #expect(first == nil)
        }
    }
}
