import Glibc
import Synchronization
import System
import Testing

@Suite("Worker team", .serialized)
struct WorkerTeamTests {
    /// Counters that threads may raise at once.
    private final class Counters: @unchecked Sendable {  // every element is atomic, and the array is constant
        private let counts: UnsafeMutablePointer<Atomic<Int>>
        let count: Int
        init(_ count: Int) {
            self.count = count
            counts = .allocate(capacity: max(1, count))
            for index in 0..<count { (counts + index).initialize(to: Atomic(0)) }
        }
        deinit {
            counts.deinitialize(count: count)
            counts.deallocate()
        }
        func raise(_ index: Int) { counts[index].add(1, ordering: .relaxed) }
        var values: [Int] { (0..<count).map { counts[$0].load(ordering: .relaxed) } }
    }

    @Test("every item is done exactly once", arguments: [1, 2, 3, 4, 9], [0, 1, 2, 3, 24, 1000])
    func itemsOnce(threads: Int, items: Int) throws {
        let team = try WorkerTeam(count: threads)
        let counters = Counters(items)
        let rounds = 50
        for _ in 0..<rounds {
            team.forEach(items) { item, thread in
                if (0..<threads).contains(thread) { counters.raise(item) }
            }
        }
        #expect(counters.values.allSatisfy { $0 == rounds })
    }

    @Test("beside a lead every item is done exactly once, the lead by the caller", arguments: [1, 2, 3, 9], [0, 1, 2, 24, 1000])
    func itemsBesideALead(threads: Int, items: Int) throws {
        let team = try WorkerTeam(count: threads)
        let counters = Counters(items)
        let caller = pthread_self()
        var leads = 0
        for _ in 0..<50 {
            let idle = try team.forEach(items, lead: { leads += pthread_equal(pthread_self(), caller) != 0 ? 1 : 1000 }) {
                item, _ in counters.raise(item)
            }
            #expect(idle >= 0)
        }
        #expect(leads == 50)
        #expect(counters.values.allSatisfy { $0 == 50 })
    }

    @Test("items go on while the lead runs, and what it takes beyond them is told")
    func idleBesideALead() throws {
        let team = try WorkerTeam(count: 2)
        let counters = Counters(8)
        let idle = try team.forEach(
            8,
            lead: {
                let start = Stopwatch.now
                while counters.values != [Int](repeating: 1, count: 8), Stopwatch.now - start < 10 { sched_yield() }
                usleep(50_000)
            }, { item, _ in counters.raise(item) })
        #expect(counters.values == [Int](repeating: 1, count: 8))
        #expect(idle > 0.02 && idle < 10)
    }

    private struct Broken: Error, Equatable {}

    @Test("a lead's error ends the call, and the team works on", arguments: [1, 2, 3])
    func leadFails(threads: Int) throws {
        let team = try WorkerTeam(count: threads)
        #expect(throws: Broken()) { _ = try team.forEach(5, lead: { throw Broken() }) { _, _ in } }
        try itemsBesideALead(threads: threads, items: 7)
    }

    @Test("run calls each thread once, the caller as thread 0", arguments: [1, 2, 3, 8])
    func run(threads: Int) throws {
        let team = try WorkerTeam(count: threads)
        let counters = Counters(threads)
        for _ in 0..<200 { team.run { counters.raise($0) } }
        #expect(counters.values == [Int](repeating: 200, count: threads))
        #expect(team.count == threads)
    }

    @Test("a count below 1 is one thread")
    func noThreads() throws {
        let team = try WorkerTeam(count: 0)
        var calls = 0
        team.run { _ in calls += 1 }
        #expect(team.count == 1 && calls == 1)
    }

    @Test("what one round wrote the next round reads on another thread")
    func visibility() throws {
        let team = try WorkerTeam(count: 3)
        let size = 3 * 1024
        let memory = UnsafeMutablePointer<Int>.allocate(capacity: size)
        defer { memory.deallocate() }
        memory.initialize(repeating: 0, count: size)
        nonisolated(unsafe) let values = memory
        for round in 1...300 {
            team.run { thread in
                let mine = part((thread + round) % 3, of: 3, total: size)
                for index in mine { values[index] += 1 }
            }
        }
        #expect((0..<size).allSatisfy { memory[$0] == 300 })
    }

    @Test("uneven items are taken over by whoever is free")
    func takingOver() throws {
        let team = try WorkerTeam(count: 2, spins: 0)
        let counters = Counters(2)
        // Thread 0's first item lasts until all the others are done, so thread 1 must take the rest of thread 0's part.
        let finished = Atomic<Int>(0)
        team.forEach(8) { item, thread in
            if item == 0 {
                while finished.load(ordering: .acquiring) < 7 {}
            } else {
                counters.raise(thread)
                finished.add(1, ordering: .releasing)
            }
        }
        #expect(counters.values.reduce(0, +) == 7)
    }

    @Test(
        "10,000 short rounds end soon, spinning or not, also with more threads than cores", .timeLimit(.minutes(15)),
        arguments: [1, 2, 4, 16], [0, 20_000])
    func shortRounds(threads: Int, spins: Int) throws {
        let team = try WorkerTeam(count: threads, spins: spins)
        let counters = Counters(threads)
        let start = Stopwatch.now
        for _ in 0..<10_000 { team.run { counters.raise($0) } }
        let seconds = Stopwatch.now - start
        #expect(counters.values.allSatisfy { $0 == 10_000 })
        // Alone on the machine a second; beside other work a round can wait for a time slice or two of 4 ms.
        #expect(seconds < 90, "\(seconds) s for 10,000 rounds")
    }

    @Test("teams are made and ended over and over, used or not, one inside another's life")
    func destruction() throws {
        for round in 0..<100 {
            let outer = try WorkerTeam(count: 1 + round % 4, spins: round % 2 * 1000)
            let counters = Counters(64)
            do {
                let inner = try WorkerTeam(count: 3, spins: 0)
                inner.forEach(64) { item, _ in counters.raise(item) }
            }
            _ = try WorkerTeam(count: 2)
            outer.forEach(64) { item, _ in counters.raise(item) }
            #expect(counters.values.allSatisfy { $0 == 2 })
        }
    }

    @Test("a team that another team's thread owns works")
    func nested() throws {
        let outer = try WorkerTeam(count: 2)
        let counters = Counters(20)
        outer.run { thread in
            let inner = try! WorkerTeam(count: 2, spins: 100)
            inner.forEach(10) { item, _ in counters.raise(thread * 10 + item) }
        }
        #expect(counters.values.allSatisfy { $0 == 1 })
    }

    @Test("work that is given to a team by its own items stops the program", arguments: [1, 2])
    func ownItems(threads: Int) async {
        let result: ExitTest.Result?
        // What the exit test runs cannot see the argument.
        if threads == 1 {
            result = await #expect(processExitsWith: .failure) {
                let team = try WorkerTeam(count: 1)
                team.forEach(2) { _, _ in team.forEach(2) { _, _ in } }
            }
        } else {
            result = await #expect(processExitsWith: .failure) {
                let team = try WorkerTeam(count: 2)
                team.forEach(2) { _, _ in team.forEach(2) { _, _ in } }
            }
        }
        #expect(result != nil)
    }

    @Test("threads that the system refuses are an error with a hint, and none stays")
    func refusedThreads() async {
        await #expect(processExitsWith: .success) {
            // Eight threads' stacks of 8 MiB and more do not fit any more.
            var status = [CChar](repeating: 0, count: 4096)
            let file = fopen("/proc/self/statm", "r")!
            fgets(&status, 4096, file)
            fclose(file)
            let pages = strtoul(status, nil, 10)
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit)
            limit.rlim_cur = pages * 4096 + 100 << 20
            guard setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0 else { exit(2) }
            do {
                _ = try WorkerTeam(count: 100)
                exit(3)
            } catch {
                exit("\(error)".contains("hint:") && "\(error)".contains("of 100: ") ? 0 : 4)
            }
        }
    }

    @Test("its threads, the caller too, take numbers below the normal range as 0", arguments: [1, 3])
    func subnormals(threads: Int) throws {
        let team = try WorkerTeam(count: threads)
        let counters = Counters(threads)
        let values = [Float.leastNormalMagnitude, Float.leastNonzeroMagnitude]
        team.run { thread in
            // Operands come from memory, so that the processor computes and not the compiler.
            if values[0] * 0.5 == 0 && values[1] * 0x1p100 == 0 && values[0] > 0 { counters.raise(thread) }
        }
        #expect(counters.values == [Int](repeating: 1, count: threads))
    }

    @Test("its threads are pinned one to a processor, where there are enough")
    func pinned() throws {
        let allowed = Processors.allowed()
        let pinned = Mutex([Int: [Int]]())
        let unpinned = Mutex([[Int]]())
        // On a thread of its own: pinning would stay with the test's.
        try ThreadGroup(count: 1) { _ in
            try! WorkerTeam(count: allowed.count, processors: allowed).run { thread in
                pinned.withLock { $0[thread] = Processors.allowed() }
            }
        }.join()
        try ThreadGroup(count: 1) { _ in
            try! WorkerTeam(count: allowed.count + 1, processors: allowed).run { _ in
                unpinned.withLock { $0.append(Processors.allowed()) }
            }
        }.join()
        #expect(pinned.withLock { $0 } == Dictionary(uniqueKeysWithValues: allowed.enumerated().map { ($0, [$1]) }))
        #expect(unpinned.withLock { $0 } == [[Int]](repeating: allowed, count: allowed.count + 1))
    }
}
