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
    ///   - x: (samples, H, W, C). dy: (samples, H', W', O).
    ///   - partial: `partialCount` floats of this lane, overwritten: weights, then bias.
    ///   - withBias: false leaves the bias's part as it is.
    ///   - scratch: `scratchCount` floats of this thread.
    package func weightGradient(
        x: UnsafePointer<Float>, dy: UnsafePointer<Float>, samples: Int, lane: Int, partial: UnsafeMutablePointer<Float>,
        withBias: Bool = true, scratch: UnsafeMutablePointer<Float>
    ) {
        partial.update(repeating: 0, count: withBias ? partialCount : weightCount)
        let lanes = weightGradientLanes(samples: samples)
        func units(_ total: Int) -> Range<Int> { total * lane / lanes..<total * (lane + 1) / lanes }
        let bias = withBias ? partial + weightCount : nil
        if let winograd, winograd.gradientLanes(samples: samples) > 0 {
            winograd.weightGradient(
                x: x, dy: dy, units: units(samples * winograd.gradientUnits), gradient: partial, scratch: scratch,
                set: instructionSet)
            if let bias { biasGradient(dy: dy, units: units(samples * gradientBlocks), bias: bias) }
            return
        }
        let units = units(samples * gradientBlocks)
        for unit in units {
            let (sample, block) = (unit / gradientBlocks, unit % gradientBlocks)
            let rows = block * gradientRows..<min(outputHeight, (block + 1) * gradientRows)
            let view = direct.view(x + sample * inputCount, rows: rows, scratch: scratch)
            var work = gradientWork(dy: dy, sample: sample, rows: rows, bias: bias)
            work.x = view.start
            work.xRow = view.rowStep * stride
            work.xTap = view.rowStep
            work.xStep = stride * inputChannels
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
                dy: dy, sample: sample, rows: block * gradientRows..<min(outputHeight, (block + 1) * gradientRows), bias: bias)
            work.x = dy
            run(&work)
        }
    }

    private func gradientWork(
        dy: UnsafePointer<Float>, sample: Int, rows: Range<Int>, bias: UnsafeMutablePointer<Float>?
    ) -> dtrain_convolution_gradient {
        var work = dtrain_convolution_gradient()
        work.dy = dy + (sample * outputCount + rows.lowerBound * outputWidth * outputChannels)
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
