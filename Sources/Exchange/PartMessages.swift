package import Collectives
import Memory

/// How parts of a checkpoint travel to rank 0: it asks an owner for one message after the other, by number, at most `ahead` at a
/// time, and for none (`end`) when it has all. So it holds a few MB of others' values, whatever they hold, may begin again after
/// a write that failed, and sets the pace.
package enum PartMessages {
    /// Messages of an owner that rank 0 has room for.
    static let ahead = 2
    /// Floats of a message: 4 MiB, less where there are many ranks.
    private static let most = 1 << 20, least = 1 << 14
    /// Floats that rank 0 has room for in all, 32 MiB, up to 256 ranks.
    private static let room = 8 << 20
    static let end: Int64 = -1

    static func length(ranks: Int) -> Int { max(least, min(most, room / (ahead * max(1, ranks - 1)))) }

    /// Bytes of rank 0's room.
    package static func bytes(ranks: Int) -> Int { (ranks - 1) * ahead * Arena.bytes(Float.self, count: length(ranks: ranks)) }

    /// Values of message `number` of a part.
    static func range(_ number: Int, of count: Int, ranks: Int) -> Range<Int> {
        let length = length(ranks: ranks)
        return number * length..<min(count, (number + 1) * length)
    }
}

/// An owner's half: it sends what rank 0 asks for, whenever `poll` is called.
package final class PartSender {
    private let part: UnsafeBufferPointer<Float>
    private let ranks: Int
    private let messages: any SideMessages
    private let question = UnsafeMutablePointer<Int64>.allocate(capacity: 1)
    private var incoming: (any PendingExchange)?
    private var outgoing: [any PendingExchange] = []

    /// - Parameter part: must stay, and stay as it is from `begin` until `isIdle`.
    package init(_ part: UnsafeBufferPointer<Float>, ranks: Int, messages: any SideMessages) {
        self.part = part
        self.ranks = ranks
        self.messages = messages
    }

    deinit { question.deallocate() }

    /// Nothing is asked for any more, and everything sent.
    package var isIdle: Bool { incoming == nil && outgoing.isEmpty }

    /// Lets rank 0 ask.
    package func begin() throws(CollectiveError) {
        precondition(isIdle, "one checkpoint at a time")
        try listen()
    }

    private func listen() throws(CollectiveError) {
        incoming = try messages.startReceive(UnsafeMutableRawBufferPointer(start: question, count: 8), from: 0)
    }

    /// Moves along, without waiting.
    /// - Returns: whether something was asked for.
    @discardableResult package func poll() throws(CollectiveError) -> Bool {
        while let first = outgoing.first, try first.poll() { outgoing.removeFirst() }
        var isAsked = false
        while let incoming, try incoming.poll() {
            isAsked = true
            self.incoming = nil
            let number = question.pointee
            if number == PartMessages.end { break }
            let range = PartMessages.range(Int(number), of: part.count, ranks: ranks)
            outgoing.append(try messages.startSend(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: part[range])), to: 0))
            try listen()
        }
        return isAsked
    }
}
