import CKernels

extension Convolution2D {
    /// Rows of y whose products are summed in registers at once: enough positions to make up for adding them to memory.
    var gradientRows: Int { min(outputHeight, max(1, (143 + outputWidth) / outputWidth)) }
    private var gradientBlocks: Int { (outputHeight + gradientRows - 1) / gradientRows }

    /// Floats of one lane's part of the gradients: weights, then bias.
    package var partialCount: Int { weightCount + outputChannels }

    /// Lanes that the batch is cut into: a function of the shape and the number of samples alone. Large weights have fewer,
    /// as each lane holds a gradient.
    package func weightGradientLanes(samples: Int) -> Int {
        if let lanes = winograd?.gradientLanes(samples: samples), lanes > 0 { return lanes }
        return min(samples * gradientBlocks, max(4, min(16, (1 << 20) / weightCount)))
    }

    /// One lane's part of the gradients of weights and bias: the sum over its blocks of rows, in order.
    /// - Parameters:
    ///   - x: (samples, H, W, C). normalization, step: as of `forward`. dy: (samples, H', W', O).
    ///   - partial: `partialCount` floats of this lane, overwritten: weights, then bias.
    ///   - withBias: false leaves the bias's part as it is.
    ///   - scratch: `scratchCount` floats of this thread.
    package func weightGradient(
        x: UnsafePointer<Float>, normalization: InputNormalization? = nil, step: Int? = nil, dy: UnsafePointer<Float>, samples: Int, lane: Int,
        partial: UnsafeMutablePointer<Float>,
        withBias: Bool = true, scratch: UnsafeMutablePointer<Float>
    ) {
        guard let winograd, winograd.gradientLanes(samples: samples) > 0 else {
            return directWeightGradient(
                x: x, normalization: normalization, step: step, samples: samples, lane: lane, partial: partial, withBias: withBias,
                scratch: scratch
            ) { sample, _ in dy + sample &* outputCount }
        }
        partial.update(repeating: 0, count: withBias ? partialCount : weightCount)
        let lanes = weightGradientLanes(samples: samples)
        func units(_ total: Int) -> Range<Int> { total * lane / lanes..<total * (lane + 1) / lanes }
        winograd.weightGradient(
            x: x, normalization: normalization, dy: dy, units: units(samples * winograd.gradientUnits), gradient: partial, scratch: scratch,
            set: instructionSet)
        if withBias { biasGradient(dy: dy, units: units(samples * gradientBlocks), bias: partial + weightCount) }
    }

    /// The same, with a product for each term, where dy is asked for sample by sample.
    /// - Parameters:
    ///   - scratch: as of `weightGradient`; free for whoever gives dy, while it is asked.
    ///   - dy: gives a sample's (H', W', O), which stays as it is until the next is asked for. `isWhole`: the sample begins in this
    ///     lane; it may end in the next, which then asks for it again.
    /// - Precondition: `isDirect`, or Winograd's way takes no lanes.
    package func directWeightGradient(
        x: UnsafePointer<Float>, normalization: InputNormalization? = nil, step: Int? = nil, samples: Int, lane: Int,
        partial: UnsafeMutablePointer<Float>, withBias: Bool,
        scratch: UnsafeMutablePointer<Float>, dy: (_ sample: Int, _ isWhole: Bool) -> UnsafePointer<Float>
    ) {
        partial.update(repeating: 0, count: withBias ? partialCount : weightCount)
        let lanes = weightGradientLanes(samples: samples)
        let total = samples * gradientBlocks
        let bias = withBias ? partial + weightCount : nil
        var (current, gradient) = (-1, x)
        for unit in total * lane / lanes..<total * (lane + 1) / lanes {
            let (sample, block) = (unit / gradientBlocks, unit % gradientBlocks)
            if sample != current { (current, gradient) = (sample, dy(sample, block == 0)) }
            let rows = block * gradientRows..<min(outputHeight, (block + 1) * gradientRows)
            let view = direct.view(
                x + sample * height * width * (step ?? inputChannels), normalization, pixelStep: step, rows: rows,
                scratch: scratch)
            var work = gradientWork(dy: gradient, rows: rows, bias: bias)
            work.x = view.start
            work.xRow = view.rowStep * stride
            work.xTap = view.rowStep
            work.xStep = stride * (step ?? inputChannels)
            work.taps = kernel
            work.run = kernel * inputChannels
            work.g = partial
            work.gStep = outputChannels
            run(&work)
        }
    }

    /// The bias's part alone.
    private func biasGradient(
        dy: UnsafePointer<Float>, units: Range<Int>, bias: UnsafeMutablePointer<Float>
    ) {
        for unit in units {
            let (sample, block) = (unit / gradientBlocks, unit % gradientBlocks)
            var work = gradientWork(
                dy: dy + sample * outputCount, rows: block * gradientRows..<min(outputHeight, (block + 1) * gradientRows),
                bias: bias)
            work.x = dy
            run(&work)
        }
    }

    private func gradientWork(
        dy: UnsafePointer<Float>, rows: Range<Int>, bias: UnsafeMutablePointer<Float>?
    ) -> dtrain_convolution_gradient {
        var work = dtrain_convolution_gradient()
        work.dy = dy + rows.lowerBound * outputWidth * outputChannels
        work.dyStep = outputChannels
        work.dyRow = outputWidth * outputChannels
        work.rows = rows.count
        work.columns = outputWidth
        work.channels = Int32(outputChannels)
        work.bias = bias
        return work
    }

    private func run(_ work: inout dtrain_convolution_gradient) {
        switch instructionSet {
        case .v3: dtrain_convolve_gradient_3(&work)
        case .v4: dtrain_convolve_gradient_4(&work)
        }
    }

    private static var sumBlock: Int { 4096 }

    /// Items of `sumWeightGradient`.
    package var sumItems: Int { (partialCount + Self.sumBlock - 1) / Self.sumBlock }

    /// Adds the lanes' parts in order, for a block of elements.
    /// - Parameters:
    ///   - partials: (lanes, `partialCount`).
    ///   - weights: the gradient of the weights. bias: that of the bias, or nil for none. Overwritten.
    package func sumWeightGradient(
        partials: UnsafePointer<Float>, lanes: Int, weights: UnsafeMutablePointer<Float>, bias: UnsafeMutablePointer<Float>?,
        item: Int
    ) {
        let elements = item * Self.sumBlock..<min(partialCount, (item + 1) * Self.sumBlock)
        func sum(_ range: Range<Int>, into target: UnsafeMutablePointer<Float>) {
            let first = partials + range.lowerBound
            for index in 0..<range.count { target[index] = first[index] }
            for lane in 1..<max(1, lanes) {
                let source = first + lane * partialCount
                for index in 0..<range.count { target[index] += source[index] }
            }
        }
        let weightPart = elements.clamped(to: 0..<weightCount)
        if !weightPart.isEmpty { sum(weightPart, into: weights + weightPart.lowerBound) }
        let biasPart = elements.clamped(to: weightCount..<partialCount)
        if let bias, !biasPart.isEmpty { sum(biasPart, into: bias + (biasPart.lowerBound - weightCount)) }
    }
}
