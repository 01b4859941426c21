/// For each row of pooling windows, the windows that may see something other than zeros.
///
/// Zero is the background of a conditioned depth frame, and what lies outside the image. A window sees its pixels and two
/// more on each side. Of an image whose first pixel is not 0, every window counts as active.
struct ActiveColumns {
    /// First and last + 1 active window of each row.
    fileprivate let bounds: UnsafeMutableBufferPointer<Int32>

    func columns(ofRow row: Int) -> Range<Int> { Int(bounds[2 &* row])..<Int(bounds[2 &* row &+ 1]) }
}

extension ConvolutionPool {
    /// Finds the active columns of an image, (height, width), and lends them to `body`.
    func withActiveColumns(_ image: UnsafePointer<Float>, _ body: (ActiveColumns) -> Void) {
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: 2 * pooledHeight) { bounds in
            withUnsafeTemporaryAllocation(of: Int32.self, capacity: 2 * height) { pixels in
                let isSparse = image[0] == 0
                if isSparse {
                    for row in 0..<height {
                        let (first, end) = nonZero(image + row * width)
                        (pixels[2 * row], pixels[2 * row + 1]) = (Int32(first), Int32(end))
                    }
                }
                for row in 0..<pooledHeight {
                    var (first, end) = isSparse ? (width, 0) : (0, width)
                    if isSparse {
                        for line in max(0, row * pool - 2)..<min(height, (row + 1) * pool + 2) {
                            first = min(first, Int(pixels[2 * line]))
                            end = max(end, Int(pixels[2 * line + 1]))
                        }
                    }
                    let isEmpty = first >= end
                    bounds[2 * row] = isEmpty ? 0 : Int32(max(0, first - 2) / pool)
                    bounds[2 * row + 1] = isEmpty ? 0 : Int32(min(pooledWidth, (end + 1) / pool + 1))
                }
            }
            body(ActiveColumns(bounds: bounds))
        }
    }

    /// The first pixel of a row that is not 0, and the one after the last; (width, 0) where there is none. NaN is not 0.
    private func nonZero(_ row: UnsafePointer<Float>) -> (first: Int, end: Int) {
        let whole = width / 8 * 8
        func isZero(_ column: Int) -> Bool {
            all(UnsafeRawPointer(row + column).loadUnaligned(as: SIMD8<Float>.self) .== 0)
        }
        var first = 0
        while first < whole && isZero(first) { first &+= 8 }
        while first < width && row[first] == 0 { first &+= 1 }
        guard first < width else { return (width, 0) }
        var end = width
        while end > whole && row[end &- 1] == 0 { end &-= 1 }
        if end == whole {
            while isZero(end &- 8) { end &-= 8 }
            while row[end &- 1] == 0 { end &-= 1 }
        }
        return (first, end)
    }
}
