import Collectives

/// Between simulated ranks. A message is there as soon as it was sent.
final class SimulatedSideMessages: SideMessages {
    /// The rendezvous' message space: exchanges count from 1, messages one by one have 0.
    private static let space = -1
    private let rank: Int
    private let rendezvous: Rendezvous

    init(rank: Int, rendezvous: Rendezvous) {
        self.rank = rank
        self.rendezvous = rendezvous
    }

    func startSend(_ bytes: UnsafeRawBufferPointer, to destination: Int) -> any PendingExchange {
        rendezvous.post([UInt8](bytes), from: rank, to: destination, exchange: Self.space)
        return DoneExchange()
    }

    func startReceive(_ bytes: UnsafeMutableRawBufferPointer, from source: Int) -> any PendingExchange {
        Arrival(bytes, source: source, rank: rank, rendezvous: rendezvous)
    }

    private final class Arrival: PendingExchange {
        private let bytes: UnsafeMutableRawBufferPointer
        private let source, rank: Int
        private let rendezvous: Rendezvous
        private var isDone = false

        init(_ bytes: UnsafeMutableRawBufferPointer, source: Int, rank: Int, rendezvous: Rendezvous) {
            self.bytes = bytes
            self.source = source
            self.rank = rank
            self.rendezvous = rendezvous
        }

        func poll() throws(CollectiveError) -> Bool {
            if !isDone, try rendezvous.has(from: source, to: rank, exchange: space) { try finish() }
            return isDone
        }

        func finish() throws(CollectiveError) {
            if isDone { return }
            let message = try rendezvous.take(from: source, to: rank, exchange: space)
            guard message.count == bytes.count else {
                throw .wrongLength(source: source, expected: bytes.count, received: message.count)
            }
            bytes.copyBytes(from: message)
            isDone = true
        }
    }
}
