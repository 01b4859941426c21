import System
import Testing

@Suite("Division into contiguous parts")
struct PartTests {
    @Test("parts follow each other, cover all, and differ by at most one", arguments: 1...7, [0, 1, 5, 24, 100, 1001])
    func covers(count: Int, total: Int) {
        let parts = (0..<count).map { part($0, of: count, total: total) }
        #expect(parts.first?.lowerBound == 0)
        #expect(parts.last?.upperBound == total)
        for (a, b) in zip(parts, parts.dropFirst()) {
            #expect(a.upperBound == b.lowerBound)
            #expect(a.count == b.count || a.count == b.count + 1)
        }
        #expect(parts[0].count - parts[count - 1].count <= 1)
    }

    @Test("a batch of 100 over 3 ranks")
    func example() {
        #expect((0..<3).map { part($0, of: 3, total: 100) } == [0..<34, 34..<67, 67..<100])
    }
}
