package import Collectives
import Memory
import System

/// Rank 0's half of `PartMessages`: the thread that sends and receives calls `begin`, `poll` and `end`; another one takes the
/// values, `next` and `advance`.
///
/// `@unchecked Sendable`: the lock guards what both threads use; messages under way are the first one's alone.
package final class PartReceiver: @unchecked Sendable {
    /// Room for a message.
    private final class Slot {
        let values: UnsafeMutablePointer<Float>
        let question: UnsafeMutablePointer<Int64>
        var count = 0
        /// The try it was asked for in.
        var attempt = 0
        var sending: (any PendingExchange)?
        var arriving: (any PendingExchange)?

        init(_ values: UnsafeMutablePointer<Float>) {
            self.values = values
            question = .allocate(capacity: 1)
        }

        deinit { question.deallocate() }
    }

    private final class Owner {
        let rank: Int
        let count: Int
        /// Guarded: floats asked for in this try; room that is free, and what has come and is to be taken.
        var asked = 0
        var free: [Slot]
        var full: [Slot] = []
        var taken = 0
        /// The first thread's.
        var underWay: [Slot] = []
        let goodbye: Slot

        init(rank: Int, count: Int, slots: [Slot]) {
            self.rank = rank
            self.count = count
            free = slots
            goodbye = Slot(slots[0].values)
        }
    }

    private let condition = ConditionLock()
    private let ranks: Int
    private let messages: any SideMessages
    private let owners: [Owner]
    private let arena: Arena
    /// Guarded.
    private var attempt = 0
    private var isClosed = false
    /// The first thread's.
    private var isActive = false
    private var isEnding = false

    /// - Parameter counts: floats of each rank's part.
    /// - Throws: `ArenaError`.
    package init(counts: [Int], messages: any SideMessages) throws {
        ranks = counts.count
        self.messages = messages
        let arena = try Arena(capacity: PartMessages.bytes(ranks: counts.count))
        self.arena = arena
        let length = PartMessages.length(ranks: counts.count)
        owners = (1..<counts.count).map { rank in
            Owner(
                rank: rank, count: counts[rank],
                slots: (0..<PartMessages.ahead).map { _ in Slot(arena.carve(Float.self, count: length).baseAddress!) })
        }
    }

    // MARK: The thread that sends and receives

    /// Everybody has been let go.
    package var isIdle: Bool { !isActive }

    /// A checkpoint begins: the owners listen, or will soon.
    package func begin() {
        precondition(isIdle, "one checkpoint at a time")
        restart()
        (isActive, isEnding) = (true, false)
    }

    /// The checkpoint is written, or given up: nothing more will be asked for.
    package func end() { isEnding = isActive }

    /// Moves along, without waiting.
    package func poll() throws(CollectiveError) {
        guard isActive else { return }
        for owner in owners {
            while let slot = owner.underWay.first, try slot.sending!.poll(), try slot.arriving!.poll() {
                owner.underWay.removeFirst()
                condition.withLock {
                    if slot.attempt == attempt {
                        owner.full.append(slot)
                        condition.broadcast()
                    } else {
                        owner.free.append(slot)
                    }
                }
            }
            while !isEnding, let slot = nextQuestion(to: owner) { try ask(owner, slot) }
        }
        if isEnding { try sayGoodbye() }
    }

    private func nextQuestion(to owner: Owner) -> Slot? {
        condition.withLock {
            guard owner.asked < owner.count, let slot = owner.free.popLast() else { return nil }
            let length = PartMessages.length(ranks: ranks)
            let number = owner.asked / length
            slot.question.pointee = Int64(number)
            slot.count = PartMessages.range(number, of: owner.count, ranks: ranks).count
            slot.attempt = attempt
            owner.asked += slot.count
            return slot
        }
    }

    private func ask(_ owner: Owner, _ slot: Slot) throws(CollectiveError) {
        // Room first, so that nothing arrives that nobody expects.
        slot.arriving = try messages.startReceive(
            UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(start: slot.values, count: slot.count)), from: owner.rank)
        slot.sending = try messages.startSend(UnsafeRawBufferPointer(start: slot.question, count: 8), to: owner.rank)
        owner.underWay.append(slot)
    }

    private func sayGoodbye() throws(CollectiveError) {
        guard owners.allSatisfy({ $0.underWay.isEmpty }) else { return }
        var areGone = true
        for owner in owners {
            let slot = owner.goodbye
            if slot.sending == nil {
                slot.question.pointee = PartMessages.end
                slot.sending = try messages.startSend(UnsafeRawBufferPointer(start: slot.question, count: 8), to: owner.rank)
            }
            if try !slot.sending!.poll() { areGone = false }
        }
        guard areGone else { return }
        for owner in owners { owner.goodbye.sending = nil }
        isActive = false
    }

    // MARK: The thread that takes the values

    /// Begins with the first values again.
    package func restart() {
        condition.withLock {
            attempt += 1
            for owner in owners {
                owner.free += owner.full
                (owner.full, owner.asked, owner.taken) = ([], 0, 0)
            }
        }
    }

    /// The next values of `rank`'s part, at least one and at most `count`, when they are there; valid until `advance`.
    /// - Returns: nil when nothing will come any more (`close`).
    package func next(_ count: Int, of rank: Int) -> UnsafeBufferPointer<Float>? {
        let owner = owners[rank - 1]
        return condition.withLock {
            while owner.full.isEmpty {
                if isClosed { return nil }
                condition.wait()
            }
            let slot = owner.full[0]
            return UnsafeBufferPointer(start: slot.values + owner.taken, count: min(count, slot.count - owner.taken))
        }
    }

    /// Goes on behind values that `next` gave.
    package func advance(_ count: Int, of rank: Int) {
        let owner = owners[rank - 1]
        condition.withLock {
            owner.taken += count
            guard owner.taken == owner.full[0].count else { return }
            owner.free.append(owner.full.removeFirst())
            owner.taken = 0
        }
    }

    /// Lets go a thread that waits for values: the run ends.
    package func close() {
        condition.withLock {
            isClosed = true
            condition.broadcast()
        }
    }
}
