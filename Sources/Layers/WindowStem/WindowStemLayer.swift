package import Kernels
package import Memory
import System

/// The window stem at work.
package final class WindowStemLayer: Layer {
    /// (samples, units) of the last forward call.
    package let hidden: UnsafeMutablePointer<Float>
    /// (samples, units): gradient of the fully connected layer's values before its ReLU, after `beginBackward`.
    package private(set) var hiddenGradient: UnsafeMutablePointer<Float>!

    /// The share of windows that see something other than background, in the last forward call.
    package private(set) var activeShare = 1.0
    /// Whether the last forward call left background out of the large layer's products.
    package private(set) var isSparse = false

    /// Seconds spent in each part of the step since they were last reset.
    package var times = PartTimes()

    package let units: Int
    /// Inputs of the fully connected layer.
    package let flattened: Int
    /// The fully connected layer. Of a network that holds it in part only, to be given before the first forward call.
    package var windowLayer: (any WindowLayer)!
    /// How the windows are cut into blocks.
    package let blocks: WindowBlocks

    let convolutionWeight, convolutionBias, weight, bias: LayerParameter
    private let convolution: ConvolutionPool
    /// (samples, flattened): pooled activations; `finishBackward` leaves their gradient in the same place.
    private let pooled: UnsafeMutablePointer<Float>
    /// Per sample of the last forward call: largest magnitude of the image and of the pooled values, (samples, 2).
    let peaks: UnsafeMutablePointer<Float>
    /// Per sample: what `WindowLayer.predict` is given.
    private let scales: UnsafeMutablePointer<Float>
    private let winners: UnsafeMutablePointer<UInt8>
    /// Which windows of the last forward call's images see something other than background.
    private let active: ActiveWindows
    /// What a window of background was worth in the last forward call.
    private var background = SIMD8<Float>.zero
    /// What the layer above the windows was given in the last forward call.
    private var windows: WindowBatch!
    /// (samples, 208): convolution gradients a sample, summed in order of the samples.
    private let convolutionGradients: UnsafeMutablePointer<Float>
    private let scratch: [UnsafeMutablePointer<Float>]
    private let team: WorkerTeam

    package var needsOutput: Bool { true }

    init(_ description: WindowStem, _ input: Shape, _ builder: inout LayerBuilder) {
        units = description.units
        flattened = description.flattened(of: input)
        blocks = description.windowBlocks(of: input)
        convolution = ConvolutionPool(height: input.height, width: input.width, pool: description.pool)
        team = builder.team
        convolutionWeight = builder.parameter()
        convolutionBias = builder.parameter()
        weight = builder.parameter()
        bias = builder.parameter()
        let samples = builder.samples
        hidden = builder.activation(Shape(vector: units))
        pooled = builder.carver.floats(samples * flattened)
        if builder.division.rows[weight.parameter.name] == nil {
            windowLayer = LocalWindowLayer(
                outputs: units, blocks: blocks, maximumSamples: samples, team: team, threads: builder.threads,
                kernels: description.kernels, &builder.carver)
        }
        convolutionGradients = builder.carver.floats(samples * (ConvolutionPool.weightCount + ConvolutionPool.channels))
        peaks = builder.carver.floats(samples * 2)
        scales = builder.carver.floats(samples)
        winners = builder.carver.carve(UInt8.self, count: samples * flattened).baseAddress!
        let bounds = ActiveWindows.boundCount(rows: convolution.pooledHeight, capacity: samples)
        active = ActiveWindows(
            rows: convolution.pooledHeight, columns: convolution.pooledWidth, capacity: samples,
            bounds: builder.carver.carve(Int32.self, count: bounds).baseAddress!)
        scratch = builder.carver.floats(convolution.scratchCount, of: builder.threads)
    }

    package func planBackward(_ plan: inout GradientPlan) {}

    // MARK: Forward

    package func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        let predicts = pass.mode == .evaluation
        convolve(x, samples: pass.samples, predicts: predicts)
        try times.measure(.dense1Forward) {
            guard predicts else {
                return try windowLayer.forward(windows, weights: weight.values, bias: bias.values, y: hidden)
            }
            // An image's values must be a function of the image and the weights alone.
            for sample in 0..<pass.samples { scales[sample] = ExactSum.scale(peak: peaks[2 * sample + 1]) }
            try windowLayer.predict(
                windows, weights: weight.values, weightsVersion: pass.weightsVersion, bias: bias.values, scales: scales,
                y: hidden)
        }
        return hidden
    }

    private func convolve(_ input: UnsafePointer<Float>, samples: Int, predicts: Bool) {
        let (weights, bias) = (convolutionWeight.values, convolutionBias.values)
        times.measure(.convolutionForward) {
            team.forEach(samples) { sample, _ in
                convolution.findActive(input + sample * convolution.inputCount, number: sample, in: active)
            }
            activeShare = active.share(images: samples)
            isSparse = predicts || windowLayer.leavesOutBackground(activeShare: activeShare)
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
        windows = WindowBatch(
            outputs: units, blocks: blocks, active: active, samples: samples, background: background, x: pooled,
            stride: flattened)
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

    /// Pooled values of the last forward call that ReLU cut off.
    package func deadPooledCount(samples: Int) -> Int {
        let block = flattened
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

    package func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        beginBackward(dy, samples: pass.samples)
        try finishBackward(pass)
        return nil
    }

    /// The gradient down to the values before the ReLU: all that can be checked before any weight changes.
    /// - Parameter dy: (samples, units), overwritten, a buffer of the pass's pool.
    package func beginBackward(_ dy: UnsafeMutablePointer<Float>, samples: Int) {
        hiddenGradient = dy
        Kernels.Dense.rectifierBackward(y: hidden, dy: dy, count: samples * units)
        Kernels.Dense.biasGradient(dy: dy, samples: samples, outputs: units, gradient: bias.gradient)
    }

    /// Gives back what `beginBackward` was given.
    package func abandonBackward(_ pass: Pass) { pass.pool.give(hiddenGradient) }

    /// The rest of the backward pass; hands every gradient to the sink, which may change the weights at once.
    package func finishBackward(_ pass: Pass) throws {
        guard let sink = pass.sink, let input = pass.input else { preconditionFailure("a backward pass without a sink") }
        var backgroundGradient = SIMD8<Float>.zero
        try times.measure(.dense1Backward) {
            backgroundGradient = try windowLayer.backward(
                windows, parameter: weight.parameter, weights: weight.values, dy: hiddenGradient, columnSums: bias.gradient,
                sink: sink)
        }
        try times.measure(.convolutionBackward) {
            try backwardConvolution(
                input: input, samples: pass.samples, background: isSparse ? (background, backgroundGradient) : nil, sink: sink)
        }
        try pass.finished(bias)
        try pass.finished(convolutionBias)
        try pass.finished(convolutionWeight)
        pass.pool.give(hiddenGradient)
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
        let (weights, bias) = (convolutionWeight.gradient, convolutionBias.gradient)
        weights.update(repeating: 0, count: ConvolutionPool.weightCount)
        for index in 0..<ConvolutionPool.channels { bias[index] = background?.gradient[index] ?? 0 }
        for sample in 0..<samples {
            let gradients = convolutionGradients + sample * values
            for index in 0..<ConvolutionPool.weightCount { weights[index] += gradients[index] }
            for index in 0..<ConvolutionPool.channels { bias[index] += gradients[ConvolutionPool.weightCount + index] }
        }
    }
}

// MARK: What can be said of gradients before they are made

extension WindowStemLayer {
    /// The fully connected layer's weights.
    package var largeParameter: Parameter { weight.parameter }

    /// Whether a parameter's gradient is not known yet after `beginBackward`.
    package func makesLater(_ parameter: Parameter) -> Bool {
        [convolutionWeight, convolutionBias, weight].contains { $0.parameter == parameter }
    }

    /// Bounds of the gradients that are still to be made after `beginBackward`; see `Network.gradientBound`.
    package func gradientBounds(samples: Int, largestWeight: Double) -> [Double] {
        var dense = 0.0
        var convolution = 0.0
        let positions = Double(flattened / ConvolutionPool.channels)
        for sample in 0..<samples {
            let largest = Double(Magnitude.peak(hiddenGradient + sample * units, count: units))
            dense += Double(peaks[2 * sample + 1]) * largest
            convolution += (1 + Double(peaks[2 * sample])) * positions * largestWeight * largest * Double(units)
        }
        return [dense, convolution]
    }

    /// Largest magnitudes of what a sample of the last step went through: image, pooled values, hidden values, gradient.
    package func peaks(of sample: Int) -> [Float] {
        [
            peaks[2 * sample], peaks[2 * sample + 1], Magnitude.peak(hidden + sample * units, count: units),
            hiddenGradient == nil ? 0 : Magnitude.peak(hiddenGradient + sample * units, count: units),
        ]
    }
}
