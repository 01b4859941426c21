package import Kernels
package import Tensors

/// One rank's network: parameters, activations, forward and backward over arenas allocated once.
///
/// Not Sendable: one thread calls it, and it lends the work to its team.
package final class HandNetwork {
    package let configuration: NetworkConfiguration
    package let table: ParameterTable
    /// `table.count` floats.
    package let parameters: UnsafeMutablePointer<Float>
    /// Samples a call can take.
    package let maximumSamples: Int
    /// (samples, outputs) of the last forward call.
    package let outputs: UnsafeMutablePointer<Float>
    /// (samples, hidden) of the last forward call.
    package let hidden: UnsafeMutablePointer<Float>
    /// (samples, outputs): the gradient that reached the last layer before its head, after `beginBackward`.
    package let outputGradient: UnsafeMutablePointer<Float>

    /// Seconds spent in each part of the step since they were last reset.
    package var times = PartTimes()

    private let team: WorkerTeam
    /// Holds the memory of all tensors for as long as the network lives.
    private let arena: Arena
    private let convolution: ConvolutionPool
    /// (samples, flattened): pooled activations; `finishBackward` leaves their gradient in the same place.
    private let pooled: UnsafeMutablePointer<Float>
    private let winners: UnsafeMutablePointer<UInt8>
    /// (samples, hidden): gradient of the hidden layer's pre-activations, after `beginBackward`.
    package let hiddenGradient: UnsafeMutablePointer<Float>
    private let dense1: LargeDense
    /// Gradients of the small parameters, laid out as the table's first `smallCount`.
    private let smallGradients: UnsafeMutableBufferPointer<Float>
    /// (samples, 208): convolution gradients a sample, summed in order of the samples.
    private let convolutionGradients: UnsafeMutablePointer<Float>
    private let scratch: [UnsafeMutablePointer<Float>]

    /// Floats of a weight tile: with its gradient it stays in a 1 MiB level-2 cache.
    package static let tileCount = 1 << 17

    /// Bytes of arena that a network needs.
    package static func bytes(_ configuration: NetworkConfiguration, maximumSamples: Int, threads: Int) -> Int {
        let plan = Plan(configuration, samples: maximumSamples)
        return plan.floats.reduce(0) { $0 + Arena.bytes(Float.self, count: $1) }
            + Arena.bytes(UInt8.self, count: plan.winners)
            + threads * Arena.bytes(Float.self, count: plan.scratch)
            + LargeDense.bytes(
                inputs: configuration.flattened, outputs: configuration.hidden, maximumSamples: maximumSamples,
                threads: threads)
    }

    /// Carves a network from `arena`; parameters are zero until initialised or loaded.
    /// - Precondition: `configuration.problem` is nil, and the arena has `bytes(_:maximumSamples:threads:)` left.
    package init(
        _ configuration: NetworkConfiguration, maximumSamples: Int, team: WorkerTeam, kernels: DenseKernels = .auto,
        arena: Arena
    ) {
        self.configuration = configuration
        self.maximumSamples = maximumSamples
        self.team = team
        self.arena = arena
        table = configuration.table
        let plan = Plan(configuration, samples: maximumSamples)
        convolution = plan.convolution
        func floats(_ count: Int) -> UnsafeMutablePointer<Float> {
            arena.carve(Float.self, count: count).baseAddress!
        }
        parameters = floats(plan.parameters)
        outputs = floats(plan.outputs)
        outputGradient = floats(plan.outputs)
        hidden = floats(plan.hidden)
        hiddenGradient = floats(plan.hidden)
        pooled = floats(plan.pooled)
        dense1 = LargeDense(
            inputs: configuration.flattened, outputs: configuration.hidden, maximumSamples: maximumSamples, team: team,
            kernels: kernels, arena: arena)
        smallGradients = arena.carve(Float.self, count: plan.smallGradients)
        convolutionGradients = floats(plan.convolutionGradients)
        winners = arena.carve(UInt8.self, count: plan.winners).baseAddress!
        scratch = (0..<team.count).map { _ in floats(plan.scratch) }
        BLAS.useCallingThreadOnly()
    }

    /// What is carved, in floats.
    private struct Plan {
        let convolution: ConvolutionPool
        let parameters, outputs, hidden, pooled, smallGradients, convolutionGradients, winners, scratch: Int

        init(_ configuration: NetworkConfiguration, samples: Int) {
            convolution = ConvolutionPool(
                height: configuration.height, width: configuration.width, pool: configuration.pool)
            let table = configuration.table
            parameters = table.count
            outputs = samples * configuration.outputs
            hidden = samples * configuration.hidden
            pooled = samples * configuration.flattened
            smallGradients = table.smallCount
            convolutionGradients = samples * (ConvolutionPool.weightCount + ConvolutionPool.channels)
            winners = samples * configuration.flattened
            scratch = convolution.scratchCount
        }

        var floats: [Int] {
            [
                parameters, outputs, outputs, hidden, hidden, pooled, smallGradients, convolutionGradients,
            ]
        }
    }

    private func parameter(_ name: String) -> UnsafeMutablePointer<Float> {
        parameters + table[name].range.lowerBound
    }

    private func smallGradient(_ name: String) -> UnsafeMutablePointer<Float> {
        smallGradients.baseAddress! + table[name].range.lowerBound
    }

    // MARK: Forward

    /// Outputs of `samples` images.
    /// - Parameters:
    ///   - input: (samples, height, width).
    ///   - samples: at most `maximumSamples`; 0 is allowed.
    /// - Returns: `outputs`, (samples, 48).
    @discardableResult
    package func forward(input: UnsafePointer<Float>, samples: Int) -> UnsafePointer<Float> {
        precondition(samples <= maximumSamples)
        guard samples > 0 else { return UnsafePointer(outputs) }
        let (weights, bias) = (parameter("conv1.weight"), parameter("conv1.bias"))
        times.measure(.convolutionForward) {
            team.forEach(samples) { sample, thread in
                convolution.forward(
                    image: input + sample * convolution.inputCount, weights: weights, bias: bias,
                    output: pooled + sample * convolution.outputCount,
                    winners: winners + sample * convolution.outputCount, scratch: scratch[thread])
            }
        }
        times.measure(.dense1Forward) {
            dense1.forward(
                x: pooled, weights: parameter("fc1.weight"), bias: parameter("fc1.bias"), samples: samples, y: hidden)
        }
        times.measure(.dense2) { forwardDense2(samples: samples) }
        return UnsafePointer(outputs)
    }

    private func forwardDense2(samples: Int) {
        let (inputs, units) = (configuration.hidden, configuration.outputs)
        Dense.forward(
            x: hidden, weights: parameter("fc2.weight"), rows: 0..<inputs, samples: samples, inputs: inputs,
            outputs: units, partial: outputs)
        let bias = parameter("fc2.bias")
        for sample in 0..<samples {
            Dense.finish(
                partials: outputs, lanes: 1, sample: sample, samples: samples, outputs: units, bias: bias,
                rectified: false, y: outputs)
        }
        configuration.head.forward(outputs, count: samples * units)
    }

    /// Pooled values of the last forward call that ReLU cut off.
    package func deadPooledCount(samples: Int) -> Int {
        let block = configuration.flattened
        let counts = UnsafeMutablePointer<Int>.allocate(capacity: max(1, samples))
        defer { counts.deallocate() }
        team.forEach(samples) { sample, _ in
            let codes = winners + sample * block
            var count = 0
            for index in 0..<block where codes[index] == ConvolutionPool.dead { count += 1 }
            counts[sample] = count
        }
        return (0..<samples).reduce(0) { $0 + counts[$1] }
    }

    // MARK: Backward

    /// Gradient of the mean squared error down to the hidden layer's pre-activations: all that can be checked before any
    /// weight changes.
    /// - Parameters:
    ///   - labels: (samples, 48).
    ///   - scale: 1 / (values the mean is taken over, on all ranks).
    package func beginBackward(labels: UnsafePointer<Float>, samples: Int, scale: Float) {
        let (units, count) = (configuration.outputs, samples * configuration.outputs)
        times.measure(.dense2) {
            SquaredError.backward(
                outputs: outputs, labels: labels, count: count, scale: scale, gradient: outputGradient)
            configuration.head.backward(outputs: outputs, gradient: outputGradient, count: count)
            Dense.weightGradient(
                x: hidden, dy: outputGradient, rows: 0..<configuration.hidden, samples: samples,
                inputs: configuration.hidden, outputs: units, gradient: smallGradient("fc2.weight"))
            Dense.biasGradient(
                dy: outputGradient, samples: samples, outputs: units, gradient: smallGradient("fc2.bias"))
            Dense.inputGradient(
                dy: outputGradient, weights: parameter("fc2.weight"), rows: 0..<configuration.hidden, samples: samples,
                inputs: configuration.hidden, outputs: units, dx: hiddenGradient)
            Dense.rectifierBackward(y: hidden, dy: hiddenGradient, count: samples * configuration.hidden)
            Dense.biasGradient(
                dy: hiddenGradient, samples: samples, outputs: configuration.hidden,
                gradient: smallGradient("fc1.bias"))
        }
    }

    /// The rest of the backward pass; hands every gradient to `sink`, which may change the weights at once.
    /// - Parameters:
    ///   - input: what `forward` was given.
    package func finishBackward(input: UnsafePointer<Float>, samples: Int, sink: any GradientSink) throws {
        let parameter = table["fc1.weight"]
        times.measure(.dense1Backward) { dense1.beginBackward(dy: hiddenGradient, samples: samples) }
        for bucket in sink.buckets(of: parameter) {
            times.measure(.dense1Backward) {
                dense1.backward(
                    parameter, bucket: bucket, x: pooled, dy: hiddenGradient,
                    weights: parameters + parameter.range.lowerBound, samples: samples, sink: sink)
            }
            try sink.bucketFinished(parameter, rows: bucket)
        }
        times.measure(.convolutionBackward) { backwardConvolution(input: input, samples: samples) }
        try sink.smallFinished(smallGradients)
    }

    private func backwardConvolution(input: UnsafePointer<Float>, samples: Int) {
        let values = ConvolutionPool.weightCount + ConvolutionPool.channels
        team.forEach(samples) { sample, thread in
            let gradients = convolutionGradients + sample * values
            convolution.backward(
                image: input + sample * convolution.inputCount, gradient: pooled + sample * convolution.outputCount,
                winners: winners + sample * convolution.outputCount, weightGradient: gradients,
                biasGradient: gradients + ConvolutionPool.weightCount, scratch: scratch[thread])
        }
        let (weights, bias) = (smallGradient("conv1.weight"), smallGradient("conv1.bias"))
        weights.update(repeating: 0, count: ConvolutionPool.weightCount)
        bias.update(repeating: 0, count: ConvolutionPool.channels)
        for sample in 0..<samples {
            let gradients = convolutionGradients + sample * values
            for index in 0..<ConvolutionPool.weightCount { weights[index] += gradients[index] }
            for index in 0..<ConvolutionPool.channels { bias[index] += gradients[ConvolutionPool.weightCount + index] }
        }
    }
}
