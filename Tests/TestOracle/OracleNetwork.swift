/// The whole network in Double, layer by layer: convolution, ReLU, max pool, dense, ReLU, dense, head.
package struct OracleNetwork {
    package static let names = ["conv1.weight", "conv1.bias", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]

    package var height: Int
    package var width: Int
    package var pool: Int
    package var head: Head
    /// Under the names of the product's checkpoints, row-major.
    package var parameters: [String: [Double]]

    package init(height: Int, width: Int, pool: Int, head: Head, parameters: [String: [Double]]) {
        self.height = height
        self.width = width
        self.pool = pool
        self.head = head
        self.parameters = parameters
    }

    private func parameter(_ name: String) -> [Double] { parameters[name]! }
    private var channels: Int { parameter("conv1.bias").count }

    /// What a forward pass leaves behind.
    package struct Activations {
        /// (samples, height, width).
        package var input: [Double]
        /// (samples, height, width, channels), before ReLU.
        package var convolution: [Double]
        /// (samples, flattened).
        package var pooled: [Double]
        /// Elements of one sample's `convolution` that won, sample after sample.
        package var winners: [Int]
        /// (samples, hidden), before and after ReLU.
        package var hiddenSums: [Double]
        package var hidden: [Double]
        /// (samples, outputs), before and after the head.
        package var sums: [Double]
        package var outputs: [Double]
    }

    /// - Parameters:
    ///   - input: (samples, height, width).
    package func forward(_ input: [Double], samples: Int) -> Activations {
        let pixels = height * width
        var result = Activations(
            input: input, convolution: [], pooled: [], winners: [], hiddenSums: [], hidden: [], sums: [], outputs: [])
        for sample in 0..<samples {
            let convolution = Layers.convolution(
                image: Array(input[sample * pixels..<(sample + 1) * pixels]), height: height, width: width,
                weights: parameter("conv1.weight"), bias: parameter("conv1.bias"))
            let pooled = Layers.maxPool(
                Layers.rectifier(convolution), height: height, width: width, channels: channels, pool: pool)
            result.convolution += convolution
            result.pooled += pooled.values
            result.winners += pooled.winners
        }
        result.hiddenSums = Layers.dense(
            result.pooled, weights: parameter("fc1.weight"), bias: parameter("fc1.bias"), samples: samples)
        result.hidden = Layers.rectifier(result.hiddenSums)
        result.sums = Layers.dense(
            result.hidden, weights: parameter("fc2.weight"), bias: parameter("fc2.bias"), samples: samples)
        result.outputs = head.forward(result.sums)
        return result
    }

    /// scale · sum of squared errors.
    package func loss(_ input: [Double], labels: [Double], samples: Int, scale: Double) -> Double {
        scale * Layers.squaredError(forward(input, samples: samples).outputs, labels: labels)
    }

    /// Gradients of all parameters, by name.
    /// - Parameters:
    ///   - outputGradient: of the outputs, (samples, outputs).
    ///   - usingMagnitudes: every product of the backward pass is of absolute values. An element of the result then bounds
    ///     what was added up to make the gradient's element: rounding errors are multiples of it.
    package func gradients(
        _ activations: Activations, outputGradient: [Double], samples: Int, usingMagnitudes: Bool = false
    ) -> [String: [Double]] {
        func operand(_ values: [Double]) -> [Double] { usingMagnitudes ? values.magnitudes : values }
        let outputs = parameter("fc2.bias").count
        let units = parameter("fc1.bias").count
        let sums = operand(head.backward(activations.sums, gradient: operand(outputGradient)))
        let second = Layers.denseBackward(
            activations.hidden, weights: operand(parameter("fc2.weight")), gradient: sums, samples: samples,
            outputs: outputs)
        let hidden = Layers.rectifierBackward(activations.hiddenSums, gradient: second.x)
        let first = Layers.denseBackward(
            activations.pooled, weights: operand(parameter("fc1.weight")), gradient: hidden, samples: samples,
            outputs: units)
        var weights = [Double](repeating: 0, count: parameter("conv1.weight").count)
        var bias = [Double](repeating: 0, count: channels)
        let (pixels, flattened) = (height * width, activations.pooled.count / max(1, samples))
        for sample in 0..<samples {
            let part = sample * flattened..<(sample + 1) * flattened
            let unpooled = Layers.maxPoolBackward(
                gradient: Array(first.x[part]), winners: Array(activations.winners[part]), count: pixels * channels)
            let values = pixels * channels
            let convolution = Array(activations.convolution[sample * values..<(sample + 1) * values])
            let gradient = Layers.convolutionBackward(
                image: operand(Array(activations.input[sample * pixels..<(sample + 1) * pixels])), height: height,
                width: width, channels: channels,
                gradient: Layers.rectifierBackward(convolution, gradient: unpooled))
            for index in weights.indices { weights[index] += gradient.weights[index] }
            for index in bias.indices { bias[index] += gradient.bias[index] }
        }
        return [
            "conv1.weight": weights, "conv1.bias": bias, "fc1.weight": first.weights, "fc1.bias": first.bias,
            "fc2.weight": second.weights, "fc2.bias": second.bias,
        ]
    }

    /// How near any ReLU comes to its kink, or a window's winner to its runner-up: a smaller change of the sums takes the
    /// same branches.
    package func smallestMargin(_ activations: Activations) -> Double {
        var smallest = activations.hiddenSums.map { abs($0) }.min() ?? .infinity
        if head == .relu { smallest = min(smallest, activations.sums.map { abs($0) }.min() ?? .infinity) }
        let count = height * width * channels
        for start in stride(from: 0, to: activations.convolution.count, by: count) {
            for row in 0..<height / pool {
                for column in 0..<width / pool {
                    for channel in 0..<channels {
                        var window: [Double] = []
                        for i in 0..<pool {
                            for j in 0..<pool {
                                let pixel = (row * pool + i) * width + column * pool + j
                                window.append(activations.convolution[start + pixel * channels + channel])
                            }
                        }
                        window.sort(by: >)
                        smallest = min(smallest, abs(window[0]))
                        if window[0] > 0 { smallest = min(smallest, window[0] - window[1]) }
                    }
                }
            }
        }
        return smallest
    }
}
