import Glibc
import System

/// One rank that is alone: no MPI call, no daemon, no copy that is not needed.
package final class Solo: Communicator {
    package let rank = 0
    package let size = 1
    package let place: NodePlace
    package let traffic = TrafficCount()
    package var notice: String? { nil }

    /// Creates the only rank, on this host.
    package init() {
        place = NodePlace(host: hostName(), node: 0, nodes: 1, localRank: 0, localSize: 1)
    }

    package func sum(_ values: UnsafeMutableBufferPointer<Float>, wire: WireFormat) {}

    package func startSum(_ values: UnsafeMutableBufferPointer<Float>, wire: WireFormat) -> any PendingExchange {
        DoneExchange()
    }

    package func sharedBuffer(count: Int) -> UnsafeMutableBufferPointer<Float>? { nil }

    package func giveBack(_ buffer: UnsafeMutableBufferPointer<Float>?) {}
    package func sum(_ values: UnsafeMutableBufferPointer<Double>) {}
    package func maximum(_ values: UnsafeMutableBufferPointer<Double>) {}
    package func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) { precondition(root == 0) }
    package func allgather(_ bytes: [UInt8]) -> [[UInt8]] { [bytes] }

    package func gather(_ bytes: [UInt8], to root: Int) -> [[UInt8]]? {
        precondition(root == 0)
        return [bytes]
    }

    package func reduceScatterSum(
        _ values: UnsafeBufferPointer<Float>, counts: [Int], into sums: UnsafeMutableBufferPointer<Float>,
        wire: WireFormat
    ) {
        precondition(counts == [values.count] && sums.count == values.count)
        _ = sums.update(fromContentsOf: values)
    }

    package func allgather(
        _ part: UnsafeBufferPointer<Float>, counts: [Int], into whole: UnsafeMutableBufferPointer<Float>,
        wire: WireFormat
    ) {
        precondition(counts == [part.count] && whole.count == part.count)
        _ = whole.update(fromContentsOf: part)
    }

    package func startAlltoall(
        _ bytes: UnsafeRawBufferPointer, sendCounts: [Int],
        into received: UnsafeMutableRawBufferPointer, receiveCounts: [Int]
    ) -> any PendingExchange {
        precondition(sendCounts == [bytes.count] && receiveCounts == sendCounts && received.count == bytes.count)
        received.copyMemory(from: bytes)
        return DoneExchange()
    }

    package func send(_ bytes: UnsafeRawBufferPointer, to destination: Int) {
        preconditionFailure("a single rank has nobody to send to")
    }

    package func receive(_ bytes: UnsafeMutableRawBufferPointer, from source: Int) {
        preconditionFailure("a single rank has nobody to receive from")
    }

    package func sideMessages() -> any SideMessages { preconditionFailure("a single rank has nobody to talk to") }

    package var meanwhile: (() throws(CollectiveError) -> Void)?

    package func barrier() {}
    package func finish() {}
    package func abort(exitCode: Int32) -> Never { _exit(exitCode) }
}
