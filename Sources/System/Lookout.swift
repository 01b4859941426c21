/// What a team's main thread looks after between the items that it works on, every 50 us: messages, which only it may move along.
package final class Lookout {
    private let team: WorkerTeam
    private let look: () throws -> Void
    private var last = 0.0
    private var failure: (any Error)?
    private static let every = 50e-6

    /// - Parameter look: called outside the team's arithmetic.
    package init(_ team: WorkerTeam, _ look: @escaping () throws -> Void) {
        self.team = team
        self.look = look
    }

    /// Called after each item by the thread that did it.
    package func itemDone(_ thread: Int) {
        guard thread == 0, failure == nil, Stopwatch.now - last >= Self.every else { return }
        do { try team.asOutside(look) } catch { failure = error }
        last = Stopwatch.now
    }

    /// Called after all items.
    /// - Throws: what a look threw.
    package func check() throws {
        defer { failure = nil }
        if let failure { throw failure }
    }
}
