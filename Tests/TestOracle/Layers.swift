/// The layers of the network by their definitions, in Double, with plain loops: slow, and easy to believe.
///
/// The fast kernels are compared with these, and these with central differences. Shapes are row-major; images are NHWC.
package enum Layers {
    /// Rows and columns of the convolution kernel.
    package static let kernel = 5

    /// Sum over the 5x5 neighbourhood, zeros outside the image (SAME), plus bias.
    /// - Parameters:
    ///   - image: (height, width). weights: (5, 5, 1, channels). bias: (channels).
    /// - Returns: (height, width, channels).
    package static func convolution(
        image: [Double], height: Int, width: Int, weights: [Double], bias: [Double]
    ) -> [Double] {
        let channels = bias.count
        var result = [Double](repeating: 0, count: height * width * channels)
        for row in 0..<height {
            for column in 0..<width {
                for channel in 0..<channels {
                    var sum = bias[channel]
                    for k in 0..<kernel {
                        for l in 0..<kernel {
                            let (y, x) = (row + k - 2, column + l - 2)
                            guard y >= 0 && y < height && x >= 0 && x < width else { continue }
                            sum += image[y * width + x] * weights[(k * kernel + l) * channels + channel]
                        }
                    }
                    result[(row * width + column) * channels + channel] = sum
                }
            }
        }
        return result
    }

    /// Gradients of the convolution's weights and bias.
    /// - Parameters:
    ///   - gradient: of the convolution's result, (height, width, channels).
    package static func convolutionBackward(
        image: [Double], height: Int, width: Int, channels: Int, gradient: [Double]
    ) -> (weights: [Double], bias: [Double]) {
        var weights = [Double](repeating: 0, count: kernel * kernel * channels)
        var bias = [Double](repeating: 0, count: channels)
        for row in 0..<height {
            for column in 0..<width {
                for channel in 0..<channels {
                    let g = gradient[(row * width + column) * channels + channel]
                    if g == 0 { continue }
                    bias[channel] += g
                    for k in 0..<kernel {
                        for l in 0..<kernel {
                            let (y, x) = (row + k - 2, column + l - 2)
                            guard y >= 0 && y < height && x >= 0 && x < width else { continue }
                            weights[(k * kernel + l) * channels + channel] += g * image[y * width + x]
                        }
                    }
                }
            }
        }
        return (weights, bias)
    }

    /// max(0, x).
    package static func rectifier(_ values: [Double]) -> [Double] { values.map { max(0, $0) } }

    /// The gradient where x > 0, else 0.
    package static func rectifierBackward(_ values: [Double], gradient: [Double]) -> [Double] {
        zip(values, gradient).map { $0 > 0 ? $1 : 0 }
    }

    /// Largest value of each `pool` x `pool` window, and the element of `values` it was; of equal values the first, in
    /// the order (row, column).
    /// - Parameters:
    ///   - values: (height, width, channels).
    /// - Returns: both (height / pool, width / pool, channels).
    package static func maxPool(
        _ values: [Double], height: Int, width: Int, channels: Int, pool: Int
    ) -> (values: [Double], winners: [Int]) {
        var result: [Double] = []
        var winners: [Int] = []
        for row in 0..<height / pool {
            for column in 0..<width / pool {
                for channel in 0..<channels {
                    var (best, winner) = (-Double.infinity, -1)
                    for i in 0..<pool {
                        for j in 0..<pool {
                            let index = ((row * pool + i) * width + column * pool + j) * channels + channel
                            if values[index] > best { (best, winner) = (values[index], index) }
                        }
                    }
                    result.append(best)
                    winners.append(winner)
                }
            }
        }
        return (result, winners)
    }

    /// Each window's gradient goes to its winner.
    /// - Parameters:
    ///   - count: values the pooling took in.
    package static func maxPoolBackward(gradient: [Double], winners: [Int], count: Int) -> [Double] {
        var result = [Double](repeating: 0, count: count)
        for (winner, g) in zip(winners, gradient) { result[winner] += g }
        return result
    }

    /// x · w + bias.
    /// - Parameters:
    ///   - x: (samples, inputs). weights: (inputs, outputs). bias: (outputs).
    /// - Returns: (samples, outputs).
    package static func dense(_ x: [Double], weights: [Double], bias: [Double], samples: Int) -> [Double] {
        let outputs = bias.count
        let inputs = weights.count / outputs
        var result = [Double](repeating: 0, count: samples * outputs)
        for sample in 0..<samples {
            for output in 0..<outputs {
                var sum = bias[output]
                for input in 0..<inputs { sum += x[sample * inputs + input] * weights[input * outputs + output] }
                result[sample * outputs + output] = sum
            }
        }
        return result
    }

    /// Gradients of x, weights and bias of a dense layer.
    /// - Parameters:
    ///   - gradient: of the result, (samples, outputs).
    package static func denseBackward(
        _ x: [Double], weights: [Double], gradient: [Double], samples: Int, outputs: Int
    ) -> (x: [Double], weights: [Double], bias: [Double]) {
        let inputs = weights.count / outputs
        var dx = [Double](repeating: 0, count: samples * inputs)
        var dw = [Double](repeating: 0, count: inputs * outputs)
        var db = [Double](repeating: 0, count: outputs)
        for sample in 0..<samples {
            for output in 0..<outputs { db[output] += gradient[sample * outputs + output] }
            for input in 0..<inputs {
                var sum = 0.0
                for output in 0..<outputs {
                    let g = gradient[sample * outputs + output]
                    sum += g * weights[input * outputs + output]
                    dw[input * outputs + output] += g * x[sample * inputs + input]
                }
                dx[sample * inputs + input] = sum
            }
        }
        return (dx, dw, db)
    }

    /// Sum of (o - t)^2.
    package static func squaredError(_ outputs: [Double], labels: [Double]) -> Double {
        zip(outputs, labels).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    }

    /// Gradient of scale · sum of (o - t)^2.
    package static func squaredErrorBackward(_ outputs: [Double], labels: [Double], scale: Double) -> [Double] {
        zip(outputs, labels).map { 2 * scale * ($0 - $1) }
    }
}
