import Collectives
import System

/// Where the threads of `Simulated` meet.
///
/// `@unchecked Sendable`: every mutable field is read and written only under the lock.
final class Rendezvous: @unchecked Sendable {
    /// What one rank brings to a collective. The pointers stay valid until `meet` returns to that rank.
    struct Contribution {
        var send = UnsafeRawBufferPointer(start: nil, count: 0)
        var receive = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        var bytes: [UInt8] = []
        var joined: UnsafeMutablePointer<[[UInt8]]>?
    }

    private struct Channel: Hashable {
        let source: Int
        let destination: Int
        /// Which alltoall it belongs to; 0 for messages one by one.
        let exchange: Int
    }

    private let size: Int
    private let condition = ConditionLock()
    private var generation = 0
    private var arrived: [Int: (call: String, contribution: Contribution)] = [:]
    private var disagreement: String?
    /// Why a rank has ended, by rank; nil as the reason of a normal end.
    private var ended: [Int: String?] = [:]
    private var messages: [Channel: [[UInt8]]] = [:]

    init(size: Int) { self.size = size }

    /// Waits for all ranks; the last one to come does the work of all, in rank order, and lets them go.
    ///
    /// - Parameters:
    ///   - call: name and common counts of the collective, the same on all ranks or else an error on all of them.
    ///   - combine: reads the contributions, in rank order, and writes through their `receive` pointers.
    func meet(
        rank: Int, call: String, _ contribution: Contribution, combine: ([Contribution]) -> Void
    ) throws(CollectiveError) {
        condition.lock()
        defer { condition.unlock() }
        let mine = generation
        arrived[rank] = (call, contribution)
        if arrived.count == size {
            let inOrder = (0..<size).map { arrived[$0]! }
            if Set(inOrder.map(\.call)).count > 1 {
                disagreement = inOrder.enumerated().map { "rank \($0) \($1.call)" }.joined(separator: ", ")
            } else {
                combine(inOrder.map(\.contribution))
            }
            arrived.removeAll()
            generation += 1
            condition.broadcast()
        }
        while generation == mine {
            // The work is done once the generation has changed, whoever ends after it.
            if let (peer, reason) = ended.min(by: { $0.key < $1.key }) {
                arrived[rank] = nil
                throw .peerEnded(call: call, peer: peer, reason: reason ?? "normally")
            }
            condition.wait()
        }
        if let disagreement { throw .callsDiffer(disagreement) }
    }

    /// Leaves a message for another rank, without waiting.
    func post(_ message: [UInt8], from source: Int, to destination: Int, exchange: Int = 0) {
        condition.lock()
        defer { condition.unlock() }
        messages[Channel(source: source, destination: destination, exchange: exchange), default: []].append(message)
        condition.broadcast()
    }

    /// Takes the oldest message of another rank, and waits for it.
    func take(from source: Int, to destination: Int, exchange: Int = 0) throws(CollectiveError) -> [UInt8] {
        condition.lock()
        defer { condition.unlock() }
        let channel = Channel(source: source, destination: destination, exchange: exchange)
        while messages[channel, default: []].isEmpty {
            try checkForEnd(of: source)
            condition.wait()
        }
        let message = messages[channel]!.removeFirst()
        // Exchanges are many, and each has a channel of its own.
        if messages[channel]!.isEmpty { messages[channel] = nil }
        return message
    }

    /// Whether a message of another rank is there. Throws where none will come any more.
    func has(from source: Int, to destination: Int, exchange: Int) throws(CollectiveError) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        let isThere = messages[Channel(source: source, destination: destination, exchange: exchange)] != nil
        if !isThere { try checkForEnd(of: source) }
        return isThere
    }

    private func checkForEnd(of source: Int) throws(CollectiveError) {
        if let failed = ended.first(where: { $0.key == source || $0.value != nil }) {
            throw .peerEnded(call: "receive", peer: failed.key, reason: failed.value ?? "normally")
        }
    }

    /// Tells the others that this rank takes part no more, so that they do not wait for it.
    func end(rank: Int, reason: String?) {
        condition.lock()
        defer { condition.unlock() }
        ended[rank] = .some(reason)
        condition.broadcast()
    }
}
