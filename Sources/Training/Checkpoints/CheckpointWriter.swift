import Glibc
import Memory
import System

/// A thread that writes one checkpoint at a time while the caller goes on; it ends with its owner.
final class CheckpointWriter {
    private let desk = CheckpointDesk()
    private let thread: ThreadGroup

    /// Starts the thread.
    /// - Parameter processors: where it may run: all of the rank's, though the caller may be pinned to one of them.
    /// - Throws: `ThreadError`.
    init(processors: [Int]) throws {
        // Not this object, which may be gone before the thread runs.
        thread = try ThreadGroup(count: 1) { [desk] _ in
            Processors.restrict(to: processors)
            // A fifth of a core's share where all cores compute: on Linux this is the calling thread's own.
            setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 6)
            desk.serve()
        }
    }

    deinit {
        desk.end()
        thread.join()
    }

    /// Begins to write; the writer must be idle, and the tensors must stay as they are until the outcome is there.
    /// - Parameter interval: seconds until the next checkpoint, by which the writing is to be done; nil: not known yet.
    func start(_ write: CheckpointWrite, of tensors: any CheckpointSource, interval: Double?) {
        desk.start(write, of: tensors, interval: interval)
    }

    /// Makes an arena's pages present while there is nothing to write.
    func populate(_ arena: Arena) { desk.populate(arena) }

    /// What came of the last one, once, when it has ended.
    func takeOutcome() -> CheckpointWrite.Outcome? { desk.takeOutcome() }

    /// Something is being written.
    var isBusy: Bool { desk.isWriting }

    /// Waits until nothing is being written.
    /// - Parameters:
    ///   - interval: seconds after which `meanwhile` is called again and again.
    ///   - advanced: called when the writing has advanced.
    func wait<Failure: Error>(
        every interval: Double = 0.5, advanced: () -> Void, meanwhile: () throws(Failure) -> Void
    ) throws(Failure) { try desk.wait(every: interval, advanced: advanced, meanwhile: meanwhile) }

    func wait(advanced: () -> Void) { desk.wait(every: 0.5, advanced: advanced, meanwhile: {}) }
}

/// What the writer's thread and its owner share.
///
/// `@unchecked Sendable`: the lock guards every mutable member.
private final class CheckpointDesk: @unchecked Sendable {
    /// The thread rests so many times as long as it worked, as long as nobody waits for it: checksums and copies into the page cache
    /// take the memory and a core from the steps, whatever the thread's priority. Less where the next checkpoint comes sooner.
    private static let rest = 15.0
    /// The share of the time until the next checkpoint by which all pieces are to be written; what the disk then needs comes after.
    private static let shareOfInterval = 0.6

    private let condition = ConditionLock()
    private typealias Job = (write: CheckpointWrite, tensors: any CheckpointSource, deadline: Double)
    private var job: Job?
    /// Memory to be made present while there is nothing to write, and the next piece of it.
    private var unused: (arena: Arena, piece: Int)?
    private var outcome: CheckpointWrite.Outcome?
    private var isBusy = false
    private var isEnding = false
    /// Somebody waits for the writing.
    private var isAwaited = false
    private var progress = 0

    /// Lets the thread end when it has written what it was given.
    func end() {
        condition.withLock {
            isEnding = true
            condition.broadcast()
        }
    }

    func start(_ write: CheckpointWrite, of tensors: any CheckpointSource, interval: Double?) {
        condition.withLock {
            precondition(!isBusy, "one checkpoint at a time")
            (job, isBusy) = ((write, tensors, Stopwatch.now + Self.shareOfInterval * (interval ?? .infinity)), true)
            condition.broadcast()
        }
    }

    func populate(_ arena: Arena) {
        condition.withLock {
            unused = (arena, 0)
            condition.broadcast()
        }
    }

    func takeOutcome() -> CheckpointWrite.Outcome? {
        condition.withLock {
            defer { outcome = nil }
            return outcome
        }
    }

    var isWriting: Bool { condition.withLock { isBusy } }

    func wait<Failure: Error>(
        every interval: Double, advanced: () -> Void, meanwhile: () throws(Failure) -> Void
    ) throws(Failure) {
        var seen = 0
        condition.withLock {
            isAwaited = true
            condition.broadcast()
        }
        defer { condition.withLock { isAwaited = false } }
        while true {
            let (isDone, reached) = condition.withLock {
                if isBusy { condition.wait(seconds: interval) }
                return (!isBusy, progress)
            }
            if isDone { return }
            try meanwhile()
            if reached != seen { advanced() }
            seen = reached
        }
    }

    private enum Work {
        case write(Job)
        case populate(Arena, Int)
        case nothing
    }

    private func nextWork() -> Work {
        condition.withLock {
            while true {
                if let next = job {
                    job = nil
                    return .write(next)
                }
                if isEnding { return .nothing }
                if let next = unused, next.piece < next.arena.pieces {
                    unused!.piece += 1
                    return .populate(next.arena, next.piece)
                }
                unused = nil
                condition.wait()
            }
        }
    }

    /// The thread's life.
    func serve() {
        while true {
            let next: Job
            switch nextWork() {
            case .nothing: return
            case .populate(let arena, let piece):
                // Without rests: a second's work in all, and the thread's priority lets the steps go first.
                arena.populate(piece)
                continue
            case .write(let job): next = job
            }
            var began = Stopwatch.now
            var pieces = 0
            func advanced(_ waited: Double) {
                let now = Stopwatch.now
                let worked = now - began - waited
                pieces = max(pieces - 1, 1)
                let spare = (next.deadline - now) / Double(pieces) - worked
                let end = now + min(Self.rest * worked, spare)
                condition.withLock {
                    progress += 1
                    while !isAwaited && !isEnding && Stopwatch.now < end { condition.wait(seconds: end - Stopwatch.now) }
                }
                began = Stopwatch.now
            }
            let result: CheckpointWrite.Outcome
            do {
                // A pause before another try is no work to rest from.
                let paused = {
                    self.condition.withLock { self.progress += 1 }
                    began = Stopwatch.now
                }
                result = try next.write.run(
                    advanced: paused,
                    begins: {
                        pieces = next.tensors.pieces
                        next.tensors.begin()
                    }
                ) { kind, index, writer in
                    try next.tensors.append(kind, index, to: writer, advanced: advanced)
                }
            } catch {
                preconditionFailure("a copy is written without asking any rank: \(error)")
            }
            condition.withLock {
                (outcome, isBusy) = (result, false)
                condition.broadcast()
            }
        }
    }
}
