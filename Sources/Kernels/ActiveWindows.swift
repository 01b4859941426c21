/// Which pooling windows of each image of a batch may see something other than zeros: for each row of windows, one range of
/// columns that holds them all.
///
/// Zero is the background of a conditioned depth frame, and what lies outside the image. Windows outside the range see
/// background alone, so each of their channels has the same value, of all images and places: `ConvolutionPool.background`.
///
/// `@unchecked Sendable`: borrowed memory; each image's ranges are written by one thread, and read after that.
package struct ActiveWindows: @unchecked Sendable {
    /// Rows of windows of an image.
    package let rows: Int
    /// Columns of windows of an image.
    package let columns: Int
    /// Images there is room for.
    package let capacity: Int
    /// (rows, capacity, 2): first active column, and last + 1.
    package let bounds: UnsafeMutablePointer<Int32>

    /// - Parameter bounds: `boundCount(rows:capacity:)` values, lent.
    package init(rows: Int, columns: Int, capacity: Int, bounds: UnsafeMutablePointer<Int32>) {
        self.rows = rows
        self.columns = columns
        self.capacity = capacity
        self.bounds = bounds
    }

    package static func boundCount(rows: Int, capacity: Int) -> Int { 2 * rows * capacity }

    /// The active columns of a row of an image's windows.
    package func range(row: Int, image: Int) -> Range<Int> {
        let place = bounds + 2 &* (row &* capacity &+ image)
        return Int(place[0])..<Int(place[1])
    }

    /// Sets the active columns of a row of an image's windows.
    package func set(row: Int, image: Int, to range: Range<Int>) {
        let place = bounds + 2 &* (row &* capacity &+ image)
        (place[0], place[1]) = (Int32(range.lowerBound), Int32(range.upperBound))
    }

    /// The share of windows that is active among the first `images`; 1 where there are none.
    package func share(images: Int) -> Double {
        guard images > 0 else { return 1 }
        var active = 0
        for row in 0..<rows {
            for image in 0..<images { active += range(row: row, image: image).count }
        }
        return Double(active) / Double(images * rows * columns)
    }
}

extension ConvolutionPool {
    /// Finds the active windows of an image, (height, width). Of an image whose first pixel is not 0, every window counts as
    /// active.
    package func findActive(_ image: UnsafePointer<Float>, number: Int, in windows: ActiveWindows) {
        guard image[0] == 0 else {
            for row in 0..<pooledHeight { windows.set(row: row, image: number, to: 0..<pooledWidth) }
            return
        }
        for row in 0..<pooledHeight {
            // A window sees its pixels and two more on each side.
            let lines = max(0, row &* pool &- 2)..<min(height, (row &+ 1) &* pool &+ 2)
            let (first, end) = nonZero(image, lines: lines)
            windows.set(
                row: row, image: number,
                to: first < end ? max(0, first &- 2) / pool..<min(pooledWidth, (end &+ 1) / pool &+ 1) : 0..<0)
        }
    }

    /// The first column with a pixel that is not 0 in any of the lines, and the one after the last; (width, 0) where there is
    /// none. NaN is not 0.
    private func nonZero(_ image: UnsafePointer<Float>, lines: Range<Int>) -> (first: Int, end: Int) {
        func isZero(_ column: Int) -> Bool {
            for line in lines where image[line &* width &+ column] != 0 { return false }
            return true
        }
        func areZero(_ column: Int) -> Bool {
            for line in lines {
                let pixels = UnsafeRawPointer(image + (line &* width &+ column)).loadUnaligned(as: SIMD8<Float>.self)
                if any(pixels .!= 0) { return false }
            }
            return true
        }
        let whole = width / 8 * 8
        var first = 0
        while first < whole && areZero(first) { first &+= 8 }
        while first < width && isZero(first) { first &+= 1 }
        guard first < width else { return (width, 0) }
        var end = width
        while end > whole && isZero(end &- 1) { end &-= 1 }
        if end == whole {
            while areZero(end &- 8) { end &-= 8 }
            while isZero(end &- 1) { end &-= 1 }
        }
        return (first, end)
    }
}
