import Glibc

/// Passes over NHWC images by their definitions, in Double.
package enum ImageLayers {
    /// Mean of each `window` x `window` window; rows and columns past the last are ignored.
    package static func averagePool(_ x: [Double], height: Int, width: Int, channels: Int, window: Int) -> [Double] {
        var result: [Double] = []
        for row in 0..<height / window {
            for column in 0..<width / window {
                for c in 0..<channels {
                    var sum = 0.0
                    for i in 0..<window {
                        for j in 0..<window {
                            sum += x[((row * window + i) * width + column * window + j) * channels + c]
                        }
                    }
                    result.append(sum / Double(window * window))
                }
            }
        }
        return result
    }

    /// Each pixel four times.
    package static func upsample(_ x: [Double], height: Int, width: Int, channels: Int) -> [Double] {
        (0..<4 * height * width * channels).map { index in
            let (pixel, c) = (index / channels, index % channels)
            return x[(pixel / (2 * width) / 2 * width + pixel % (2 * width) / 2) * channels + c]
        }
    }

    /// Softmax over the rows of each column of (rows, channels).
    package static func positionSoftmax(_ x: [Double], channels: Int) -> [Double] {
        let rows = x.count / channels
        var y = x
        for c in 0..<channels {
            let values = (0..<rows).map { x[$0 * channels + c] }
            let peak = values.max()!
            let sum = values.reduce(0) { $0 + exp($1 - peak) }
            for row in 0..<rows { y[row * channels + c] = exp(values[row] - peak) / sum }
        }
        return y
    }

    /// gamma · (x - mean) / sqrt(variance + epsilon) + beta, statistics over the rows of (rows, channels).
    package static func batchNormalization(_ x: [Double], gamma: [Double], beta: [Double], epsilon: Double) -> [Double] {
        let channels = gamma.count
        let rows = x.count / channels
        var y = x
        for c in 0..<channels {
            let values = (0..<rows).map { x[$0 * channels + c] }
            let mean = values.reduce(0, +) / Double(rows)
            let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(rows)
            for row in 0..<rows {
                y[row * channels + c] = gamma[c] * (values[row] - mean) / (variance + epsilon).squareRoot() + beta[c]
            }
        }
        return y
    }
}
