/// A depth-wise convolution of NHWC images: each channel by a k x k kernel of its own, with zeros around.
///
/// Shapes: x (H, W, C), w (k, k, C), y (H', W', C) with H' = ceil(H / stride), and W' likewise. Every sum is of one order, so the
/// bits depend on nothing else. Memory limits it, not products: it has k² of them a value.
package struct DepthwiseConvolution: Sendable, Equatable {
    package let height, width, channels, kernel, stride: Int
    package let outputHeight, outputWidth: Int

    /// - Precondition: the kernel is odd.
    package init(height: Int, width: Int, channels: Int, kernel: Int, stride: Int = 1) {
        precondition(kernel % 2 == 1 && stride > 0 && height > 0 && width > 0, "kernel \(kernel), stride \(stride)")
        self.height = height
        self.width = width
        self.channels = channels
        self.kernel = kernel
        self.stride = stride
        outputHeight = (height - 1) / stride + 1
        outputWidth = (width - 1) / stride + 1
    }

    /// Floats of a sample's x.
    package var inputCount: Int { height * width * channels }
    /// Floats of a sample's y.
    package var outputCount: Int { outputHeight * outputWidth * channels }
    package var weightCount: Int { kernel * kernel * channels }
    private var border: Int { kernel / 2 }

    /// The places of the kernel that lie within the image, of an output row or column.
    private func taps(_ output: Int, extent: Int) -> Range<Int> {
        let first = output &* stride &- border
        return max(0, -first)..<min(kernel, extent &- first)
    }

    /// A row of y.
    /// - Parameters:
    ///   - x: the sample's. bias: (C), or nil. y: the sample's, the row overwritten.
    package func forward(
        x: UnsafePointer<Float>, weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?, y: UnsafeMutablePointer<Float>, row: Int
    ) {
        let rows = taps(row, extent: height)
        for column in 0..<outputWidth {
            let columns = taps(column, extent: width)
            let corner = (row &* stride &- border) &* width &+ column &* stride &- border
            let target = y + (row &* outputWidth &+ column) &* channels
            var c = 0
            while c &+ 8 <= channels {
                var sum = bias?.eight(c) ?? .zero
                for i in rows {
                    for j in columns {
                        sum.addProduct(x.eight((corner &+ i &* width &+ j) &* channels &+ c), weights.eight((i &* kernel &+ j) &* channels &+ c))
                    }
                }
                target.store(sum, c)
                c &+= 8
            }
            while c < channels {
                var sum = bias?[c] ?? 0
                for i in rows {
                    for j in columns {
                        sum.addProduct(x[(corner &+ i &* width &+ j) &* channels &+ c], weights[(i &* kernel &+ j) &* channels &+ c])
                    }
                }
                target[c] = sum
                c &+= 1
            }
        }
    }

    /// A row of dx.
    /// - Parameters:
    ///   - dy: the sample's. dx: the sample's, the row overwritten.
    package func inputGradient(
        dy: UnsafePointer<Float>, weights: UnsafePointer<Float>, dx: UnsafeMutablePointer<Float>, row: Int
    ) {
        let start = dx + row &* width &* channels
        start.update(repeating: 0, count: width &* channels)
        for i in 0..<kernel {
            let down = row &+ border &- i
            guard down >= 0, down % stride == 0, down / stride < outputHeight else { continue }
            for column in 0..<width {
                let target = start + column &* channels
                for j in 0..<kernel {
                    let right = column &+ border &- j
                    guard right >= 0, right % stride == 0, right / stride < outputWidth else { continue }
                    let source = dy + (down / stride &* outputWidth &+ right / stride) &* channels
                    add(source, times: weights + (i &* kernel &+ j) &* channels, to: target)
                }
            }
        }
    }

    /// Adds a sample's products to the weights' gradient.
    /// - Parameters:
    ///   - gradient: (k, k, C). bias: (C), which gains the sums of dy, or nil.
    package func weightGradient(
        x: UnsafePointer<Float>, dy: UnsafePointer<Float>, gradient: UnsafeMutablePointer<Float>, bias: UnsafeMutablePointer<Float>?
    ) {
        for row in 0..<outputHeight {
            let rows = taps(row, extent: height)
            for column in 0..<outputWidth {
                let columns = taps(column, extent: width)
                let corner = (row &* stride &- border) &* width &+ column &* stride &- border
                let source = dy + (row &* outputWidth &+ column) &* channels
                for i in rows {
                    for j in columns {
                        add(source, times: x + (corner &+ i &* width &+ j) &* channels, to: gradient + (i &* kernel &+ j) &* channels)
                    }
                }
                if let bias { for c in 0..<channels { bias[c] += source[c] } }
            }
        }
    }

    /// target += a b, channel by channel.
    @inline(__always)
    private func add(_ a: UnsafePointer<Float>, times b: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>) {
        var c = 0
        while c &+ 8 <= channels {
            target.store(target.eight(c).addingProduct(a.eight(c), b.eight(c)), c)
            c &+= 8
        }
        while c < channels {
            target[c].addProduct(a[c], b[c])
            c &+= 1
        }
    }
}
