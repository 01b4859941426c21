/// Nearest-neighbour upsampling by two of NHWC images: y[2h + i, 2w + j] = x[h, w] for i, j of 0, 1.
///
/// Shapes: x (H, W, C), y (2H, 2W, C). An item is a row of x.
package struct Upsampling: Sendable, Equatable {
    package let height, width, channels: Int

    package init(height: Int, width: Int, channels: Int) {
        self.height = height
        self.width = width
        self.channels = channels
    }

    /// Items a sample.
    package var items: Int { height }

    /// - Parameters:
    ///   - x: the sample's (H, W, C). y: its (2H, 2W, C), the item's two rows overwritten.
    ///   - summand: (2H, 2W, C) that is added, may be y itself; nil for none.
    package func forward(
        x: UnsafePointer<Float>, adding summand: UnsafePointer<Float>? = nil, y: UnsafeMutablePointer<Float>, item: Int
    ) {
        for i in 0..<2 {
            for column in 0..<width {
                let source = x + (item &* width &+ column) &* channels
                for j in 0..<2 {
                    let start = ((2 &* item &+ i) &* 2 &* width &+ 2 &* column &+ j) &* channels
                    let target = y + start
                    if let summand {
                        let other = summand + start
                        for c in 0..<channels { target[c] = other[c] + source[c] }
                    } else {
                        for c in 0..<channels { target[c] = source[c] }
                    }
                }
            }
        }
    }

    /// dx = the sum of the four gradients, rows first.
    /// - Parameters:
    ///   - dy: (2H, 2W, C). dx: (H, W, C), the item's row overwritten, or added to where `accumulating`.
    package func backward(dy: UnsafePointer<Float>, dx: UnsafeMutablePointer<Float>, accumulating: Bool = false, item: Int) {
        let rowStep = 2 &* width &* channels
        for column in 0..<width {
            let above = dy + (4 &* item &* width &+ 2 &* column) &* channels
            let below = above + rowStep
            let target = dx + (item &* width &+ column) &* channels
            for c in 0..<channels {
                let sum = (above[c] + above[channels &+ c]) + (below[c] + below[channels &+ c])
                target[c] = accumulating ? target[c] + sum : sum
            }
        }
    }
}
