/// The consecutive ranges that cover `0 ..< count`, each of at most `limit` elements; none when `count` is 0.
///
/// MPI 3 takes counts as C `int`, so whatever is longer travels in pieces.
struct Pieces: Sequence, IteratorProtocol {
    private let count: Int
    private let limit: Int
    private var start = 0

    /// Covers `0 ..< count` in steps of `limit`, which is at least 1.
    init(of count: Int, limit: Int) {
        precondition(count >= 0 && limit > 0)
        self.count = count
        self.limit = limit
    }

    mutating func next() -> Range<Int>? {
        guard start < count else { return nil }
        let end = start + Swift.min(limit, count - start)
        defer { start = end }
        return start..<end
    }
}

extension Sequence where Element == Int {
    /// Where each part begins when parts of these counts lie one after the other.
    func offsets() -> [Int] {
        var next = 0
        return map { count in
            defer { next += count }
            return next
        }
    }
}
