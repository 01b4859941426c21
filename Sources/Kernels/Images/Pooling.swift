import CKernels

/// Pooling of NHWC images over windows of `window` x `window` side by side: rows and columns past the last whole window are
/// ignored, and get no gradient.
///
/// Shapes: x (H, W, C), y (H', W', C) with H' = H / window, W' = W / window. An item is a row of y.
package struct Pooling: Sendable, Equatable {
    package let height, width, channels, window: Int
    package let outputHeight, outputWidth: Int
    /// The kernels that max pooling runs on; all give the same bits.
    package let instructionSet: InstructionSet

    /// - Precondition: the window fits the image, and has at most 256 places.
    package init(height: Int, width: Int, channels: Int, window: Int, instructionSet: InstructionSet = .best) {
        precondition(window > 0 && window <= 16 && height >= window && width >= window, "window \(window) does not fit")
        self.height = height
        self.width = width
        self.channels = channels
        self.window = window
        self.instructionSet = instructionSet
        outputHeight = height / window
        outputWidth = width / window
    }

    /// Floats of a sample's x.
    package var inputCount: Int { height * width * channels }
    /// Floats of a sample's y.
    package var outputCount: Int { outputHeight * outputWidth * channels }
    /// Items a sample: rows of y.
    package var items: Int { outputHeight }
    /// Rows of x that belong to an item: the last one has those past the last window too.
    private func inputRows(_ item: Int) -> Range<Int> {
        item * window..<(item == outputHeight - 1 ? height : (item + 1) * window)
    }

    /// The largest value of each window; of equal ones the first, in the order of rows and columns. A NaN wins.
    /// - Parameters:
    ///   - x: the sample's (H, W, C). y: its (H', W', C), the item's row overwritten.
    ///   - winners: (H', W', C): place of the winner in its window, row · window + column.
    ///   - rectified: y = max(0, y).
    package func maximum(
        x: UnsafePointer<Float>, y: UnsafeMutablePointer<Float>, winners: UnsafeMutablePointer<UInt8>, rectified: Bool = false,
        item: Int
    ) {
        let start = item &* outputWidth &* channels
        var work = work
        work.x = x + item &* window &* width &* channels
        work.y = y + start
        work.winners = winners + start
        work.rectifies = rectified ? 1 : 0
        switch instructionSet {
        case .v3: dtrain_max_pool_3(&work)
        case .v4: dtrain_max_pool_4(&work)
        }
    }

    /// Each window's gradient goes to its winner.
    /// - Parameters:
    ///   - dy: (H', W', C). winners: from `maximum`.
    ///   - y: the pooled values where they were rectified, which gives no gradient where y is 0; else nil.
    ///   - dx: (H, W, C), the item's rows overwritten.
    package func maximumBackward(
        dy: UnsafePointer<Float>, winners: UnsafePointer<UInt8>, y: UnsafePointer<Float>? = nil, dx: UnsafeMutablePointer<Float>,
        item: Int
    ) {
        clearBorders(dx, item: item)
        let start = item &* outputWidth &* channels
        var work = work
        work.dx = dx + item &* window &* width &* channels
        work.dy = dy + start
        work.winners = UnsafeMutablePointer(mutating: winners + start)
        if let y {
            work.y = UnsafeMutablePointer(mutating: y + start)
            work.rectifies = 1
        }
        switch instructionSet {
        case .v3: dtrain_max_unpool_3(&work)
        case .v4: dtrain_max_unpool_4(&work)
        }
    }

    private var work: dtrain_pooling {
        var work = dtrain_pooling()
        work.rowStep = width &* channels
        work.channels = channels
        work.columns = outputWidth
        work.window = Int32(window)
        return work
    }

    /// The mean of each window, summed in the order of rows and columns.
    /// - Parameters:
    ///   - x: the sample's (H, W, C). y: its (H', W', C), the item's row overwritten.
    package func average(x: UnsafePointer<Float>, y: UnsafeMutablePointer<Float>, item: Int) {
        let rowStep = width &* channels
        let share = 1 / Float(window * window)
        for column in 0..<outputWidth {
            let source = x + (item &* window &* rowStep &+ column &* window &* channels)
            let target = y + (item &* outputWidth &+ column) &* channels
            var c = 0
            while c &+ 8 <= channels {
                var sum = SIMD8<Float>.zero
                for i in 0..<window { for j in 0..<window { sum += source.eight(i &* rowStep &+ j &* channels &+ c) } }
                target.store(sum * share, c)
                c &+= 8
            }
            while c < channels {
                var sum: Float = 0
                for i in 0..<window { for j in 0..<window { sum += source[i &* rowStep &+ j &* channels &+ c] } }
                target[c] = sum * share
                c &+= 1
            }
        }
    }

    /// Each window's gradient is divided equally.
    /// - Parameters:
    ///   - dy: (H', W', C). dx: (H, W, C), the item's rows overwritten.
    package func averageBackward(dy: UnsafePointer<Float>, dx: UnsafeMutablePointer<Float>, item: Int) {
        clearBorders(dx, item: item)
        let share = 1 / Float(window * window)
        for i in 0..<window {
            for column in 0..<outputWidth {
                let source = dy + (item &* outputWidth &+ column) &* channels
                for j in 0..<window {
                    let target = dx + ((item &* window &+ i) &* width &+ column &* window &+ j) &* channels
                    for c in 0..<channels { target[c] = source[c] * share }
                }
            }
        }
    }

    private func clearBorders(_ dx: UnsafeMutablePointer<Float>, item: Int) {
        let rows = inputRows(item)
        let used = outputWidth * window
        for row in rows {
            let start = row < outputHeight * window ? used : 0
            (dx + (row * width + start) * channels).update(repeating: 0, count: (width - start) * channels)
        }
    }
}

/// The mean over all positions of each channel: x (positions, C), y (C).
package enum GlobalAverage {
    /// One sample's y, positions in order.
    package static func forward(x: UnsafePointer<Float>, positions: Int, channels: Int, y: UnsafeMutablePointer<Float>) {
        y.update(repeating: 0, count: channels)
        for position in 0..<positions {
            let row = x + position &* channels
            for c in 0..<channels { y[c] += row[c] }
        }
        let share = 1 / Float(positions)
        for c in 0..<channels { y[c] *= share }
    }

    /// One sample's dx, overwritten.
    package static func backward(dy: UnsafePointer<Float>, positions: Int, channels: Int, dx: UnsafeMutablePointer<Float>) {
        let share = 1 / Float(positions)
        for position in 0..<positions {
            let row = dx + position &* channels
            for c in 0..<channels { row[c] = dy[c] * share }
        }
    }
}
