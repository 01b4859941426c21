package import Memory

/// Which elements of the parameter arena something is held for, and where: the ranges lie one after the other.
package struct HeldRanges: Sendable, Equatable {
    /// Places begin at multiples of this many floats: a cache line.
    private static let granule = 16

    /// Ascending and apart from each other; none is empty.
    package let ranges: [Range<Int>]
    /// Where each range begins in what is held.
    private let places: [Int]
    /// Floats that all of them take.
    package let count: Int

    /// - Parameter ranges: ascending and apart from each other; empty ones are left out.
    package init(_ ranges: [Range<Int>]) {
        self.ranges = ranges.filter { !$0.isEmpty }
        precondition(zip(self.ranges, self.ranges.dropFirst()).allSatisfy { $0.upperBound <= $1.lowerBound })
        var end = 0
        places = self.ranges.map { range in
            defer { end += (range.count + Self.granule - 1) / Self.granule * Self.granule }
            return end
        }
        count = end
    }

    /// Everything.
    package init(all table: ParameterTable) { self.init([0..<table.count]) }

    /// Where the elements of `range` are held, one after the other; nil when not all of them are, in one piece.
    /// - Complexity: O(log ranges).
    package func place(of range: Range<Int>) -> Int? {
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound <= range.lowerBound { low = middle + 1 } else { high = middle }
        }
        guard low < ranges.count, ranges[low].lowerBound <= range.lowerBound, range.upperBound <= ranges[low].upperBound
        else { return nil }
        return places[low] + range.lowerBound - ranges[low].lowerBound
    }
}
