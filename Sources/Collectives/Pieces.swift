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

/// Blocks of bytes cut into messages of at most `limit` bytes, all but the last of just as many: the same cuts for all blocks of the
/// same lengths.
struct BlockMessages: Sequence, IteratorProtocol {
    typealias Block = (address: Int, count: Int)
    private var blocks: ArraySlice<Block>
    private let limit: Int

    init(_ blocks: [Block], limit: Int) {
        self.blocks = blocks[...]
        self.limit = limit
    }

    mutating func next() -> [Block]? {
        var (message, room) = ([Block](), limit)
        while room > 0, let block = blocks.first {
            let count = Swift.min(block.count, room)
            if count > 0 { message.append((block.address, count)) }
            room -= count
            blocks.removeFirst()
            if count < block.count { blocks.insert((block.address + count, block.count - count), at: blocks.startIndex) }
        }
        return message.isEmpty ? nil : message
    }
}

extension Sequence where Element == Int {
    /// Where each part begins when parts of these counts lie one after the other.
    package func offsets() -> [Int] {
        var next = 0
        return map { count in
            defer { next += count }
            return next
        }
    }
}
