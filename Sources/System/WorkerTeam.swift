import CLinux
import Glibc
import Synchronization

/// A fixed team of threads that compute together: the caller is thread 0, `count - 1` others wait for work.
///
/// Work is divided statically, and a thread that is done takes items over from the slower ones: on shared machines a
/// neighbour's load does not stop the team. Items must be independent, so results never depend on who computed what.
/// A waiting thread spins for a moment and then sleeps; where ranks outnumber cores it sleeps at once.
///
/// Its threads, the caller among them, take numbers below the normal range as 0: the first moment of a weight whose gradient
/// stays 0 decays into that range within 830 steps and would never leave it, and Adam is 2.5 times slower there.
package final class WorkerTeam: @unchecked Sendable {  // every mutable member is atomic or guarded by the generation counter
    /// Number of threads, the caller included.
    package let count: Int
    private let shared: TeamState
    private var threads: [pthread_t] = []
    /// How the processor takes numbers below the normal range outside the team.
    private let outside: UInt

    /// Starts `count - 1` threads.
    /// - Parameters:
    ///   - count: threads, the caller included; at least 1.
    ///   - processors: processors to pin to, thread i on `processors[i]`; empty: no pinning. Pins the caller too.
    ///   - spins: how often a waiting thread looks before it sleeps; a team of more threads than the process has
    ///     processors sleeps at once, as who spins keeps the processor from who works.
    /// - Throws: `ThreadError` where the system refuses a thread; those that were started have ended then.
    package init(count: Int, processors: [Int] = [], spins: Int = 20_000) throws(ThreadError) {
        self.count = max(1, count)
        outside = dtrain_flush_subnormals()
        dtrain_restore_subnormals(outside)
        let isCrowded = self.count > max(processors.count, Processors.allowed().count)
        shared = TeamState(count: self.count, spins: isCrowded ? 0 : spins)
        if self.count <= processors.count { Processors.pin(to: processors[0]) }
        for index in 1..<max(1, self.count) {
            let start = ThreadStart(
                state: shared, index: index, processor: self.count <= processors.count ? processors[index] : nil)
            let argument = Unmanaged.passRetained(start)
            var thread = pthread_t()
            let failure = pthread_create(
                &thread, nil,
                { argument in
                    let start = Unmanaged<ThreadStart>.fromOpaque(argument!).takeRetainedValue()
                    if let processor = start.processor { Processors.pin(to: processor) }
                    _ = dtrain_flush_subnormals()
                    start.state.serve(index: start.index)
                    return nil
                }, argument.toOpaque())
            guard failure == 0 else {
                argument.release()
                end()
                throw ThreadError(
                    description: "cannot start thread \(index + 1) of \(self.count): \(String(cString: strerror(failure))); "
                        + "hint: fewer --threads, or a higher limit (ulimit -u for threads, ulimit -v for address space)")
            }
            threads.append(thread)
        }
    }

    deinit { end() }

    private func end() {
        shared.stop()
        for thread in threads { pthread_join(thread, nil) }
        threads = []
    }

    /// Runs `body` once on each thread, with its number, and returns when all are done.
    /// - Precondition: neither this nor `forEach` of the team is under way: work of a team cannot give work to it.
    package func run(_ body: (_ thread: Int) -> Void) {
        shared.enter()
        defer { shared.leave() }
        runOnAll(body)
    }

    /// Runs `body` within an item, with numbers below the normal range as they are outside the team: what other ranks compute too.
    package func asOutside<Value>(_ body: () throws -> Value) rethrows -> Value {
        let control = dtrain_flush_subnormals()
        dtrain_restore_subnormals(outside)
        defer { dtrain_restore_subnormals(control) }
        return try body()
    }

    private func runOnAll(_ body: (_ thread: Int) -> Void) {
        let control = dtrain_flush_subnormals()
        defer { dtrain_restore_subnormals(control) }
        guard count > 1 else { return body(0) }
        withoutActuallyEscaping(body) { shared.run($0) }
    }

    /// Runs `body` for each item of 0 ..< items. Thread t starts with the t-th contiguous part.
    /// - Precondition: as for `run`.
    package func forEach(_ items: Int, _ body: (_ item: Int, _ thread: Int) -> Void) {
        shared.enter()
        defer { shared.leave() }
        forEachInside(items, body)
    }

    private func forEachInside(_ items: Int, _ body: (_ item: Int, _ thread: Int) -> Void) {
        guard count > 1, items > 1 else {
            let control = dtrain_flush_subnormals()
            defer { dtrain_restore_subnormals(control) }
            for item in 0..<items { body(item, 0) }
            return
        }
        shared.divide(items)
        runOnAll { work(on: $0, body) }
    }

    /// The same, while the caller's thread first runs `lead` and then joins in: what only that thread may do (communication)
    /// goes on beside the items. `lead` computes with subnormal numbers as everywhere else outside the team.
    /// - Returns: seconds that nobody had an item left while `lead` was still running; all of `lead` in a team of one.
    /// - Throws: what `lead` throws; whether the items are done then is not said.
    package func forEach(
        _ items: Int, lead: () throws -> Void, _ body: (_ item: Int, _ thread: Int) -> Void
    ) throws -> Double {
        shared.enter()
        defer { shared.leave() }
        guard count > 1, items > 0 else {
            let start = Stopwatch.now
            try lead()
            let seconds = Stopwatch.now - start
            forEachInside(items, body)
            return seconds
        }
        let control = dtrain_flush_subnormals()
        defer { dtrain_restore_subnormals(control) }
        var (failure, leadEnd) = (nil as (any Error)?, 0.0)
        shared.divide(items)
        runOnAll { thread in
            if thread == 0 {
                dtrain_restore_subnormals(control)
                do { try lead() } catch { failure = error }
                _ = dtrain_flush_subnormals()
                leadEnd = Stopwatch.now
            }
            work(on: thread, body)
            if thread != 0 { shared.noteEnd(thread) }
        }
        if let failure { throw failure }
        return max(0, leadEnd - shared.lastEnd)
    }

    /// Takes items until none is left: first those of the thread's own part, then those of the others.
    private func work(on thread: Int, _ body: (_ item: Int, _ thread: Int) -> Void) {
        for other in 0..<count {
            let victim = (thread + other) % count
            while let item = shared.take(from: victim) { body(item, thread) }
        }
    }
}

/// The contiguous part `index` of `total` items divided among `count`: sizes differ by at most one, larger ones first.
package func part(_ index: Int, of count: Int, total: Int) -> Range<Int> {
    let small = total / count
    let extra = total % count
    let start = index * small + min(index, extra)
    return start..<start + small + (index < extra ? 1 : 0)
}

private final class ThreadStart {
    let state: TeamState
    let index: Int
    let processor: Int?
    init(state: TeamState, index: Int, processor: Int?) {
        self.state = state
        self.index = index
        self.processor = processor
    }
}

/// What the threads of a team share. The job is written before the generation is raised (release) and read after (acquire).
private final class TeamState: @unchecked Sendable {
    private let count: Int
    private let spins: Int
    private let generation = Atomic<Int>(0)
    private let unfinished = Atomic<Int>(0)
    private let stopping = Atomic<Bool>(false)
    /// Whether the team is at work.
    private let isBusy = Atomic<Bool>(false)
    private var job: ((Int) -> Void)?
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let wake: UnsafeMutablePointer<pthread_cond_t>
    private let done: UnsafeMutablePointer<pthread_cond_t>
    /// Next item and end of each thread's part, a cache line apart.
    private let next: UnsafeMutablePointer<PaddedCounter>
    private var ends: [Int]
    /// When each thread found no item left, a cache line apart; each writes its own.
    private let finished: UnsafeMutablePointer<Double>
    private static let doublesOfALine = 8

    init(count: Int, spins: Int) {
        self.count = count
        self.spins = spins
        mutex = .allocate(capacity: 1)
        wake = .allocate(capacity: 1)
        done = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(wake, nil)
        pthread_cond_init(done, nil)
        next = .allocate(capacity: count)
        for index in 0..<count { (next + index).initialize(to: PaddedCounter()) }
        ends = Array(repeating: 0, count: count)
        finished = .allocate(capacity: count * Self.doublesOfALine)
        finished.initialize(repeating: 0, count: count * Self.doublesOfALine)
    }

    deinit {
        finished.deallocate()
        pthread_cond_destroy(wake)
        pthread_cond_destroy(done)
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
        wake.deallocate()
        done.deallocate()
        next.deinitialize(count: count)
        next.deallocate()
    }

    /// The parts, the job and the generation are those of one call: a second would lose the first one's items without a word.
    func enter() {
        precondition(
            !isBusy.exchange(true, ordering: .acquiring), "work was given to a team that is at work, maybe from its own items")
    }

    func leave() { isBusy.store(false, ordering: .releasing) }

    func run(_ body: @escaping (Int) -> Void) {
        job = body
        unfinished.store(count - 1, ordering: .relaxed)
        pthread_mutex_lock(mutex)
        generation.add(1, ordering: .releasing)
        pthread_cond_broadcast(wake)
        pthread_mutex_unlock(mutex)
        body(0)
        var left = spins
        while left > 0 && unfinished.load(ordering: .acquiring) > 0 {
            dtrain_spin_hint()
            left -= 1
        }
        pthread_mutex_lock(mutex)
        while unfinished.load(ordering: .acquiring) > 0 { pthread_cond_wait(done, mutex) }
        pthread_mutex_unlock(mutex)
        job = nil
    }

    func serve(index: Int) {
        var seen = 0
        while true {
            var left = spins
            while left > 0 && generation.load(ordering: .acquiring) == seen {
                dtrain_spin_hint()
                left -= 1
            }
            if generation.load(ordering: .acquiring) == seen {
                pthread_mutex_lock(mutex)
                while generation.load(ordering: .acquiring) == seen { pthread_cond_wait(wake, mutex) }
                pthread_mutex_unlock(mutex)
            }
            seen += 1
            if stopping.load(ordering: .acquiring) { return }
            Trace.worker(index) { job!(index) }
            if unfinished.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
                pthread_mutex_lock(mutex)
                pthread_cond_signal(done)
                pthread_mutex_unlock(mutex)
            }
        }
    }

    func stop() {
        stopping.store(true, ordering: .releasing)
        pthread_mutex_lock(mutex)
        generation.add(1, ordering: .releasing)
        pthread_cond_broadcast(wake)
        pthread_mutex_unlock(mutex)
    }

    func divide(_ items: Int) {
        for index in 0..<count {
            let range = part(index, of: count, total: items)
            next[index].value.store(range.lowerBound, ordering: .relaxed)
            ends[index] = range.upperBound
        }
    }

    func noteEnd(_ thread: Int) { finished[thread * Self.doublesOfALine] = Stopwatch.now }

    /// The latest of the threads other than the caller's, which is thread 0.
    var lastEnd: Double { (1..<count).reduce(0) { max($0, finished[$1 * Self.doublesOfALine]) } }

    func take(from index: Int) -> Int? {
        let item = next[index].value.add(1, ordering: .relaxed).oldValue
        return item < ends[index] ? item : nil
    }
}

private struct PaddedCounter: ~Copyable {
    let value = Atomic<Int>(0)
    let padding: (Int, Int, Int, Int, Int, Int, Int) = (0, 0, 0, 0, 0, 0, 0)
}
