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

    /// The share of windows that see something other than background, in the last forward call.
    package private(set) var activeShare = 1.0
    /// Whether the last forward call left background out of the large layer's products.
    package private(set) var isSparse = false

    /// Seconds spent in each part of the step since they were last reset.
    package var times = PartTimes()

    private let team: WorkerTeam
    /// Holds the memory of all tensors for as long as the network lives.
    private let arena: Arena
    private let convolution: ConvolutionPool
    /// (samples, flattened): pooled activations; `finishBackward` leaves their gradient in the same place.
    private let pooled: UnsafeMutablePointer<Float>
    /// Per sample of the last forward call: largest magnitude of the image and of the pooled values, (samples, 2).
    let peaks: UnsafeMutablePointer<Float>
    private let winners: UnsafeMutablePointer<UInt8>
    /// (samples, hidden): gradient of the hidden layer's pre-activations, after `beginBackward`.
    package let hiddenGradient: UnsafeMutablePointer<Float>
    /// The layer above the windows. Of a network that holds it in part only, to be given before the first forward call.
    package var windowLayer: (any WindowLayer)!
    /// How the windows are cut into blocks.
    package let blocks: WindowBlocks
    /// Which windows of the last forward call's images see something other than background.
    private let active: ActiveWindows
    /// What a window of background was worth in the last forward call.
    private var background = SIMD8<Float>.zero
    /// What the layer above the windows was given in the last forward call.
    private var windows: SparseDense!
    /// Gradients of the small parameters, laid out as the table's first `smallCount`.
    let smallGradients: UnsafeMutableBufferPointer<Float>
    /// (samples, 208): convolution gradients a sample, summed in order of the samples.
    private let convolutionGradients: UnsafeMutablePointer<Float>
    private let scratch: [UnsafeMutablePointer<Float>]

    /// Floats of a weight tile: with its gradient it stays in a 1 MiB level-2 cache.
    package static let tileCount = 1 << 17

    /// Above this share of active windows the dense kernels are faster.
    package static let sparseLimit = 0.5

    /// Bytes of arena that a network needs.
    /// - Parameter largeRows: rows of the large layer that are held; nil: all, and its products are computed here.
    package static func bytes(
        _ configuration: NetworkConfiguration, maximumSamples: Int, threads: Int, largeRows: Int? = nil
    ) -> Int {
        let plan = Plan(configuration, samples: maximumSamples, largeRows: largeRows)
        return plan.floats.reduce(0) { $0 + Arena.bytes(Float.self, count: $1) }
            + Arena.bytes(UInt8.self, count: plan.winners)
            + Arena.bytes(Int32.self, count: plan.bounds)
            + threads * Arena.bytes(Float.self, count: plan.scratch)
            + (largeRows != nil
                ? 0
                : LocalWindowLayer.bytes(configuration, maximumSamples: maximumSamples, threads: threads))
    }

    /// Carves a network from `arena`; parameters are zero until initialised or loaded.
    /// - Parameter largeRows: rows of the large layer that are held, if not all: then `windowLayer` is to be set.
    /// - Precondition: `configuration.problem` is nil, and the arena has `bytes(_:maximumSamples:threads:largeRows:)` left.
    package init(
        _ configuration: NetworkConfiguration, maximumSamples: Int, team: WorkerTeam, kernels: DenseKernels = .auto,
        largeRows: Int? = nil, arena: Arena
    ) {
        self.configuration = configuration
        self.maximumSamples = maximumSamples
        self.team = team
        self.arena = arena
        table = configuration.table(largeRows: largeRows)
        blocks = configuration.windowBlocks
        let plan = Plan(configuration, samples: maximumSamples, largeRows: largeRows)
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
        if largeRows == nil {
            windowLayer = LocalWindowLayer(
                configuration, blocks: blocks, maximumSamples: maximumSamples, team: team, kernels: kernels, arena: arena)
        }
        smallGradients = arena.carve(Float.self, count: plan.smallGradients)
        convolutionGradients = floats(plan.convolutionGradients)
        peaks = floats(plan.peaks)
        winners = arena.carve(UInt8.self, count: plan.winners).baseAddress!
        active = ActiveWindows(
            rows: convolution.pooledHeight, columns: convolution.pooledWidth, capacity: maximumSamples,
            bounds: arena.carve(Int32.self, count: plan.bounds).baseAddress!)
        scratch = (0..<team.count).map { _ in floats(plan.scratch) }
        BLAS.useCallingThreadOnly()
    }

    /// What is carved, in floats.
    private struct Plan {
        let convolution: ConvolutionPool
        let parameters, outputs, hidden, pooled, smallGradients, convolutionGradients, peaks, winners, bounds, scratch: Int

        init(_ configuration: NetworkConfiguration, samples: Int, largeRows: Int?) {
            convolution = ConvolutionPool(
                height: configuration.height, width: configuration.width, pool: configuration.pool)
            let table = configuration.table(largeRows: largeRows)
            parameters = table.count
            outputs = samples * configuration.outputs
            hidden = samples * configuration.hidden
            pooled = samples * configuration.flattened
            smallGradients = table.smallCount
            convolutionGradients = samples * (ConvolutionPool.weightCount + ConvolutionPool.channels)
            peaks = samples * 2
            winners = samples * configuration.flattened
            bounds = ActiveWindows.boundCount(rows: convolution.pooledHeight, capacity: samples)
            scratch = convolution.scratchCount
        }

        var floats: [Int] {
            [
                parameters, outputs, outputs, hidden, hidden, pooled, smallGradients, convolutionGradients, peaks,
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
    ///   - samples: at most `maximumSamples`; 0 is allowed, and where the layer above the windows is divided all ranks call.
    /// - Returns: `outputs`, (samples, 48).
    /// - Throws: what a divided layer's communication throws.
    @discardableResult
    package func forward(input: UnsafePointer<Float>, samples: Int) throws -> UnsafePointer<Float> {
        precondition(samples <= maximumSamples)
        let (weights, bias) = (parameter("conv1.weight"), parameter("conv1.bias"))
        times.measure(.convolutionForward) {
            team.forEach(samples) { sample, _ in
                convolution.findActive(input + sample * convolution.inputCount, number: sample, in: active)
            }
            activeShare = active.share(images: samples)
            isSparse = windowLayer.leavesOutBackground(activeShare: activeShare)
            background = convolution.background(weights: weights, bias: bias)
            team.forEach(samples) { sample, thread in
                convolution.forward(
                    image: input + sample * convolution.inputCount, number: sample, active: active,
                    fillsBackground: !isSparse, weights: weights, bias: bias,
                    output: pooled + sample * convolution.outputCount,
                    winners: winners + sample * convolution.outputCount, scratch: scratch[thread])
                // Both are in cache here.
                peaks[2 * sample] = Magnitude.peak(
                    input + sample * convolution.inputCount, count: convolution.inputCount)
                peaks[2 * sample + 1] = pooledPeak(sample: sample)
            }
        }
        windows = SparseDense(
            outputs: configuration.hidden, blocks: blocks, active: active, samples: samples,
            background: background, x: pooled, stride: configuration.flattened)
        try times.measure(.dense1Forward) {
            try windowLayer.forward(windows, weights: parameter("fc1.weight"), bias: parameter("fc1.bias"), y: hidden)
        }
        times.measure(.dense2) { forwardDense2(samples: samples) }
        return UnsafePointer(outputs)
    }

    /// max |x| over a sample's pooled values, those left out included.
    private func pooledPeak(sample: Int) -> Float {
        let values = pooled + sample * convolution.outputCount
        guard isSparse else { return Magnitude.peak(values, count: convolution.outputCount) }
        let channels = ConvolutionPool.channels
        var peak = withUnsafeTemporaryAllocation(of: Float.self, capacity: channels) { room in
            for channel in 0..<channels { room[channel] = background[channel] }
            return Magnitude.peak(room.baseAddress!, count: channels)
        }
        for row in 0..<active.rows {
            let columns = active.range(row: row, image: sample)
            let first = (row * active.columns + columns.lowerBound) * channels
            let largest = Magnitude.peak(values + first, count: columns.count * channels)
            // Written so that NaN stays.
            if !(largest <= peak) { peak = largest }
        }
        return peak
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
            if isSparse {
                // Windows of background have no codes of their own.
                let deadChannels = (0..<ConvolutionPool.channels).count { windows.background[$0] == 0 }
                for row in 0..<active.rows {
                    let columns = active.range(row: row, image: sample)
                    let line = codes + row * active.columns * ConvolutionPool.channels
                    for index in columns.lowerBound * 8..<columns.upperBound * 8 where line[index] == ConvolutionPool.dead {
                        count += 1
                    }
                    count += (active.columns - columns.count) * deadChannels
                }
            } else {
                for index in 0..<block where codes[index] == ConvolutionPool.dead { count += 1 }
            }
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
        var backgroundGradient = SIMD8<Float>.zero
        try times.measure(.dense1Backward) {
            backgroundGradient = try windowLayer.backward(
                windows, parameter: parameter, weights: parameters + parameter.range.lowerBound, dy: hiddenGradient,
                columnSums: smallGradient("fc1.bias"), sink: sink)
        }
        try times.measure(.convolutionBackward) {
            try backwardConvolution(
                input: input, samples: samples, background: isSparse ? (background, backgroundGradient) : nil, sink: sink)
        }
        try sink.smallFinished(smallGradients)
    }

    /// - Parameter background: where background is left out: its value, and the gradient of that, over all windows.
    private func backwardConvolution(
        input: UnsafePointer<Float>, samples: Int, background: (value: SIMD8<Float>, gradient: SIMD8<Float>)?,
        sink: any GradientSink
    ) throws {
        let values = ConvolutionPool.weightCount + ConvolutionPool.channels
        try sink.forEach(samples, on: team) { sample, thread in
            let gradients = convolutionGradients + sample * values
            convolution.backward(
                image: input + sample * convolution.inputCount, number: sample, active: active,
                background: background?.value, gradient: pooled + sample * convolution.outputCount,
                winners: winners + sample * convolution.outputCount, weightGradient: gradients,
                biasGradient: gradients + ConvolutionPool.weightCount, scratch: scratch[thread])
        }
        let (weights, bias) = (smallGradient("conv1.weight"), smallGradient("conv1.bias"))
        weights.update(repeating: 0, count: ConvolutionPool.weightCount)
        for index in 0..<ConvolutionPool.channels { bias[index] = background?.gradient[index] ?? 0 }
        for sample in 0..<samples {
            let gradients = convolutionGradients + sample * values
            for index in 0..<ConvolutionPool.weightCount { weights[index] += gradients[index] }
            for index in 0..<ConvolutionPool.channels { bias[index] += gradients[ConvolutionPool.weightCount + index] }
        }
    }
}
