import Glibc
import System
import Testing

struct LookoutTests {
    private struct Fault: Error {}

    @Test(arguments: [1, 3]) func theMainThreadLooksBetweenItemsButNotAfterEach(threads: Int) throws {
        let team = try WorkerTeam(count: threads)
        let main = pthread_self()
        var looks = 0
        let lookout = Lookout(team) {
            #expect(pthread_equal(main, pthread_self()) != 0)
            looks += 1
        }
        team.forEach(50) { _, thread in
            usleep(1000)
            lookout.itemDone(thread)
        }
        try lookout.check()
        #expect(looks >= 50 / threads / 2 && looks <= 50, "\(looks)")
        looks = 0
        let start = Stopwatch.now
        team.forEach(100_000) { _, thread in lookout.itemDone(thread) }
        #expect(Double(looks) <= (Stopwatch.now - start) / 50e-6 + 1, "\(looks)")
    }

    @Test func whatALookThrowsIsThrownAfterAllItemsAndOnce() throws {
        let team = try WorkerTeam(count: 1)
        let lookout = Lookout(team) { throw Fault() }
        var items = 0
        team.forEach(5) { _, thread in
            items += 1
            usleep(100)
            lookout.itemDone(thread)
        }
        #expect(items == 5)
        #expect(throws: Fault.self) { try lookout.check() }
        try lookout.check()
    }
}
