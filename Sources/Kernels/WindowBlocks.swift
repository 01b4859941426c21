/// The windows of an image cut into blocks of up to four neighbours in a row: the unit in which the first fully connected
/// layer's sparse kernels take its weights. A window's eight channels are eight rows of weights.
package struct WindowBlocks: Sendable {
    /// Windows of a block, but for the last of a row.
    package static let width = 4
    /// Rows of weights of a block at most.
    package static let maximumRows = width * ConvolutionPool.channels

    /// Columns of windows of an image.
    package let columns: Int
    /// Blocks in a row of windows.
    package let perRow: Int
    /// Blocks of an image.
    package let count: Int

    /// - Parameters:
    ///   - rows, columns: windows of an image.
    package init(rows: Int, columns: Int) {
        self.columns = columns
        perRow = (columns + Self.width - 1) / Self.width
        count = rows * perRow
    }

    /// The row of windows that a block lies in, and its columns there.
    package func place(_ block: Int) -> (row: Int, columns: Range<Int>) {
        let row = block / perRow
        let first = (block &- row &* perRow) &* Self.width
        return (row, first..<min(first &+ Self.width, columns))
    }

    /// The windows of a block, numbered from the image's first.
    package func windows(_ block: Int) -> Range<Int> {
        let (row, columns) = place(block)
        return row * self.columns + columns.lowerBound..<row * self.columns + columns.upperBound
    }

    /// Collects the images in which any of some windows of a row is active, in order.
    /// - Returns: how many there are.
    @inline(__always)
    static func collect(
        _ active: ActiveWindows, row: Int, columns: Range<Int>, images: Int, into list: UnsafeMutablePointer<Int32>
    ) -> Int {
        let windows = RowWindows(active, row: row, columns: columns)
        var count = 0
        for image in 0..<images {
            list[count] = Int32(image)
            count &+= windows.areActive(in: image) ? 1 : 0
        }
        return count
    }
}

/// Some neighbouring windows of a row.
private struct RowWindows {
    private let bounds: UnsafeMutablePointer<Int32>
    private let first, end: Int32

    @inline(__always)
    init(_ active: ActiveWindows, row: Int, columns: Range<Int>) {
        bounds = active.bounds + 2 &* row &* active.capacity
        (first, end) = (Int32(columns.lowerBound), Int32(columns.upperBound))
    }

    /// Whether any of them is active in an image.
    @inline(__always)
    func areActive(in image: Int) -> Bool { bounds[2 &* image] < end && bounds[2 &* image &+ 1] > first }
}

extension WindowBatch {
    /// Whether any image sees something other than background in a block.
    package func isActive(block: Int) -> Bool {
        let (row, columns) = blocks.place(block)
        let windows = RowWindows(active, row: row, columns: columns)
        return (0..<samples).contains { windows.areActive(in: $0) }
    }
}
