/// Two-dimensional convolutions by their definition, in Double.
package struct OracleConvolution: Sendable {
    package let height, width, inputChannels, outputChannels, kernel, stride, border: Int

    package init(
        height: Int, width: Int, inputChannels: Int, outputChannels: Int, kernel: Int, stride: Int, border: Int
    ) {
        self.height = height
        self.width = width
        self.inputChannels = inputChannels
        self.outputChannels = outputChannels
        self.kernel = kernel
        self.stride = stride
        self.border = border
    }

    package var outputHeight: Int { (height + 2 * border - kernel) / stride + 1 }
    package var outputWidth: Int { (width + 2 * border - kernel) / stride + 1 }

    /// Calls `body` for every product of the sum: indices of x, weights and y.
    private func forEachProduct(_ body: (_ x: Int, _ weight: Int, _ y: Int) -> Void) {
        for row in 0..<outputHeight {
            for column in 0..<outputWidth {
                for k in 0..<kernel {
                    for l in 0..<kernel {
                        let (h, w) = (row * stride + k - border, column * stride + l - border)
                        guard h >= 0 && h < height && w >= 0 && w < width else { continue }
                        for c in 0..<inputChannels {
                            for o in 0..<outputChannels {
                                body(
                                    (h * width + w) * inputChannels + c, ((k * kernel + l) * inputChannels + c) * outputChannels + o,
                                    (row * outputWidth + column) * outputChannels + o)
                            }
                        }
                    }
                }
            }
        }
    }

    /// One sample's result. x: (H, W, C). weights: (k, k, C, O). bias: (O).
    package func forward(_ x: [Double], weights: [Double], bias: [Double]) -> [Double] {
        var y = (0..<outputHeight * outputWidth * outputChannels).map { bias[$0 % outputChannels] }
        forEachProduct { y[$2] += x[$0] * weights[$1] }
        return y
    }

    /// One sample's gradients.
    package func backward(
        _ x: [Double], weights: [Double], gradient: [Double]
    ) -> (x: [Double], weights: [Double], bias: [Double]) {
        var dx = [Double](repeating: 0, count: x.count)
        var dw = [Double](repeating: 0, count: weights.count)
        var db = [Double](repeating: 0, count: outputChannels)
        for (index, value) in gradient.enumerated() { db[index % outputChannels] += value }
        forEachProduct {
            dx[$0] += gradient[$2] * weights[$1]
            dw[$1] += gradient[$2] * x[$0]
        }
        return (dx, dw, db)
    }
}
