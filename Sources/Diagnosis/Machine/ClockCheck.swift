import Collectives
import Glibc
import System
import Telemetry

/// Whether the nodes' clocks agree: file times, logs and timelines are read across nodes.
enum ClockCheck {
    /// All ranks call; nil with one node.
    static func finding(_ communicator: any Communicator) throws -> Finding? {
        guard communicator.place.nodes > 1 else { return nil }
        // The best of some tries: what is late on the way looks like a clock that is slow.
        var least = Double.infinity
        for _ in 0..<8 {
            try communicator.barrier()
            let now = Stopwatch.wall
            let all = try communicator.allgather(withUnsafeBytes(of: now) { Array($0) }).map { bytes in
                bytes.withUnsafeBytes { $0.loadUnaligned(as: Double.self) }
            }
            least = min(least, (all.max() ?? now) - (all.min() ?? now))
        }
        let words = "the nodes' clocks differ by at most " + format("%.3f s", least)
        if least > 60 { return .problem("clocks", words, cure: "chronyd or ntpd on every node") }
        return least > 0.5 ? .note("clocks", words, cure: "chronyd or ntpd on every node") : .ok("clocks", words)
    }
}
