/// Aligned memory with a margin on both sides that nothing may write: finds a kernel that runs over its end.
package final class GuardedBuffer<Element: BitwiseCopyable & Equatable> {
    private static var margin: Int { 64 }
    private let memory: UnsafeMutablePointer<Element>
    private let outside: Element
    package let count: Int
    /// First element; 64-byte aligned where an element's size divides 64. Valid while the buffer is held in a variable:
    /// ask `isIntact` of it afterwards. Of buffers in an array too, which Swift gives up after the array's last use.
    package let start: UnsafeMutablePointer<Element>

    /// - Parameters:
    ///   - values: what it holds at first.
    ///   - outside: what fills the margins.
    package init(_ values: [Element], outside: Element) {
        count = values.count
        self.outside = outside
        let total = count + 2 * Self.margin
        memory = UnsafeMutableRawPointer.allocate(byteCount: total * MemoryLayout<Element>.stride, alignment: 64)
            .bindMemory(to: Element.self, capacity: total)
        memory.initialize(repeating: outside, count: total)
        start = memory + Self.margin
        for (index, value) in values.enumerated() { start[index] = value }
    }

    deinit { UnsafeMutableRawPointer(memory).deallocate() }

    package var values: [Element] { Array(UnsafeBufferPointer(start: start, count: count)) }

    /// The margins are as they were made.
    package var isIntact: Bool {
        (0..<Self.margin).allSatisfy { memory[$0] == outside && start[count + $0] == outside }
    }
}

extension GuardedBuffer<Float> {
    /// `count` floats to be overwritten: NaN at first, so that a place left out is found.
    package convenience init(overwriting count: Int) {
        self.init([Float](repeating: .nan, count: count), outside: -12_345)
    }

    /// The nearest floats to `values`.
    package convenience init(_ values: [Double]) { self.init(values.floats, outside: -12_345) }
}
