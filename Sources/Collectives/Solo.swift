import Glibc

/// One rank that is alone: no MPI call, no daemon, no copy that is not needed.
package final class Solo: Communicator {
    package let rank = 0
    package let size = 1
    package let place: NodePlace
    package let bytesSent: UInt64 = 0

    /// Creates the only rank, on this host.
    package init() {
        place = NodePlace(host: hostName(), node: 0, nodes: 1, localRank: 0, localSize: 1)
    }

    package func sum(_ values: UnsafeMutableBufferPointer<Float>) {}
    package func sum(_ values: UnsafeMutableBufferPointer<Double>) {}
    package func maximum(_ values: UnsafeMutableBufferPointer<Double>) {}
    package func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) { precondition(root == 0) }
    package func allgather(_ bytes: [UInt8]) -> [[UInt8]] { [bytes] }

    package func gather(_ bytes: [UInt8], to root: Int) -> [[UInt8]]? {
        precondition(root == 0)
        return [bytes]
    }

    package func reduceScatterSum(
        _ values: UnsafeBufferPointer<Float>, counts: [Int], into sums: UnsafeMutableBufferPointer<Float>
    ) {
        precondition(counts == [values.count] && sums.count == values.count)
        _ = sums.update(fromContentsOf: values)
    }

    package func allgather(
        _ part: UnsafeBufferPointer<Float>, counts: [Int], into whole: UnsafeMutableBufferPointer<Float>
    ) {
        precondition(counts == [part.count] && whole.count == part.count)
        _ = whole.update(fromContentsOf: part)
    }

    package func alltoall(
        _ values: UnsafeBufferPointer<Float>, sendCounts: [Int],
        into received: UnsafeMutableBufferPointer<Float>, receiveCounts: [Int]
    ) {
        precondition(sendCounts == [values.count] && receiveCounts == sendCounts && received.count == values.count)
        _ = received.update(fromContentsOf: values)
    }

    package func send(_ bytes: UnsafeRawBufferPointer, to destination: Int) {
        preconditionFailure("a single rank has nobody to send to")
    }

    package func receive(_ bytes: UnsafeMutableRawBufferPointer, from source: Int) {
        preconditionFailure("a single rank has nobody to receive from")
    }

    package func barrier() {}
    package func finish() {}
    package func abort(exitCode: Int32) -> Never { exit(exitCode) }
}

/// This machine's name, by gethostname(2).
func hostName() -> String {
    var name = [CChar](repeating: 0, count: 256)
    // A name too long for the buffer is cut; the last byte stays 0.
    guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
    return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
