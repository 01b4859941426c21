import CKernels

/// A convolution whose result goes into max pooling and nowhere else. A row of windows is convolved, pooled while it is in the cache, and
/// forgotten. The gradient of the weights is made of the windows' winners alone: that of all other values is 0.
///
/// Pooled values have the bits of `Convolution2D` and `Pooling` one after the other; the gradient's sums have an order of their own,
/// the same for each set of kernels.
package struct PooledConvolution: Sendable {
    package let convolution: Convolution2D
    package let pooling: Pooling

    /// - Parameter window: of pooling, which fits the convolution's result.
    /// - Returns: nil where it would not be faster: where Winograd's way is taken, which makes blocks of its own; for maps too narrow to be
    ///   read by vectors; for windows of one place, which all win; for weights too many to be added to after each row of windows.
    package init?(_ convolution: Convolution2D, window: Int) {
        let run = convolution.kernel * convolution.inputChannels
        let readColumns = (convolution.outputWidth - 1) * convolution.stride + convolution.kernel
        guard convolution.isDirect, window > 1, convolution.weightCount <= 1 << 16,
            run >= 8 || convolution.kernel > 1 && readColumns * convolution.inputChannels >= 8
        else { return nil }
        self.convolution = convolution
        pooling = Pooling(
            height: convolution.outputHeight, width: convolution.outputWidth, channels: convolution.outputChannels, window: window,
            instructionSet: convolution.instructionSet)
    }

    /// Items a sample: rows of windows.
    package var items: Int { pooling.items }

    /// Floats of scratch that a thread needs.
    package var scratchCount: Int { readCount + max(bandCount, sumsCount + 2 * pooling.outputWidth + pooling.window * pooling.window) }

    /// The convolution's rows of a row of windows.
    private func rows(_ item: Int) -> Range<Int> { item * pooling.window..<(item + 1) * pooling.window }
    /// Floats of what such rows read, with zeros around.
    private var readCount: Int { convolution.direct.scratchCount(rows: pooling.window) }
    /// Floats of such rows.
    private var bandCount: Int { pooling.window * pooling.width * pooling.channels }

    /// A row of windows.
    /// - Parameters:
    ///   - x, normalization, step, packed, bias: as of `Convolution2D.forward`.
    ///   - y: the sample's pooled (H', W', O), the item's row overwritten. rectified, winners: as of `Pooling.maximum`.
    ///   - scratch: `scratchCount` floats of this thread.
    package func forward(
        x: UnsafePointer<Float>, normalization: InputNormalization? = nil, step: Int? = nil, packed: UnsafePointer<Float>,
        bias: UnsafePointer<Float>?, rectified: Bool, y: UnsafeMutablePointer<Float>, winners: UnsafeMutablePointer<UInt8>, item: Int,
        scratch: UnsafeMutablePointer<Float>
    ) {
        let rows = rows(item)
        // As if it were the whole result, of which only these rows are written and read.
        let whole = scratch + readCount - rows.lowerBound * pooling.width * pooling.channels
        convolution.direct.run(
            x: x, normalization: normalization, pixelStep: step, packed: packed, bias: bias, rectified: false, accumulating: false, y: whole,
            rows: rows, scratch: scratch, set: convolution.instructionSet)
        pooling.maximum(x: whole, y: y, winners: winners, rectified: rectified, item: item)
    }

    // MARK: Weight gradient

    /// Floats of a row of the kernel, and of its sums: whole vectors.
    private var run: Int { convolution.kernel * convolution.inputChannels }
    private var paddedRun: Int { (run + 7) / 8 * 8 }
    /// Floats of a lane's sums.
    private var sumsCount: Int { convolution.outputChannels * convolution.kernel * paddedRun }

    /// Lanes that the batch is cut into, a function of the shape and the number of samples alone; each needs
    /// `Convolution2D.partialCount` floats.
    package func lanes(samples: Int) -> Int {
        min(samples * items, max(4, min(16, (1 << 20) / convolution.weightCount)))
    }

    /// One lane's part of the gradients of weights and bias: the sum over its rows of windows, in order.
    /// - Parameters:
    ///   - x: (samples, H, W, C). normalization, step: as of `forward`.
    ///   - dy, y, winners: (samples, H', W', O), of the pooled values; y nil: they were not rectified.
    ///   - partial: `partialCount` floats of this lane, overwritten: weights, then bias.
    ///   - scratch: `scratchCount` floats of this thread.
    package func weightGradient(
        x: UnsafePointer<Float>, normalization: InputNormalization? = nil, step: Int? = nil, dy: UnsafePointer<Float>,
        y: UnsafePointer<Float>?, winners: UnsafePointer<UInt8>, samples: Int, lane: Int, partial: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>
    ) {
        partial.update(repeating: 0, count: convolution.partialCount)
        let sums = scratch + readCount
        sums.update(repeating: 0, count: sumsCount)
        let kept = sums + sumsCount
        let whole = UnsafeMutableRawPointer(kept + pooling.outputWidth)
            .bindMemory(to: Int32.self, capacity: pooling.outputWidth + pooling.window * pooling.window)
        let places = whole + pooling.outputWidth
        var work = dtrain_winner_gradient()
        (work.kept, work.keptPlaces, work.places) = (kept, whole, UnsafePointer(places))
        (work.columns, work.channels) = (pooling.outputWidth, pooling.channels)
        (work.taps, work.run) = (convolution.kernel, run)
        (work.g, work.bias) = (sums, partial + convolution.weightCount)
        let xStep = convolution.stride * (step ?? convolution.inputChannels)
        work.xWindow = pooling.window * xStep
        let sampleCount = convolution.height * convolution.width * (step ?? convolution.inputChannels)
        let (lanes, total) = (lanes(samples: samples), samples * items)
        for unit in total * lane / max(1, lanes)..<total * (lane + 1) / max(1, lanes) {
            let (sample, item) = (unit / items, unit % items)
            let view = convolution.direct.view(x + sample * sampleCount, normalization, pixelStep: step, rows: rows(item), scratch: scratch)
            work.x = view.start
            work.xTap = view.rowStep
            for row in 0..<pooling.window {
                for column in 0..<pooling.window {
                    places[row * pooling.window + column] = Int32(row * convolution.stride * view.rowStep + column * xStep)
                }
            }
            let start = sample * pooling.outputCount + item * pooling.outputWidth * pooling.channels
            (work.dy, work.winners) = (dy + start, winners + start)
            work.y = y.map { $0 + start }
            switch convolution.instructionSet {
            case .v3: dtrain_winner_gradient_3(&work)
            case .v4: dtrain_winner_gradient_4(&work)
            }
        }
        unpack(sums, into: partial)
    }

    /// From the vectors' order, (O, k, vectors), to that of the weights, (k, k · C, O).
    private func unpack(_ sums: UnsafePointer<Float>, into weights: UnsafeMutablePointer<Float>) {
        for o in 0..<convolution.outputChannels {
            for tap in 0..<convolution.kernel {
                let from = sums + (o * convolution.kernel + tap) * paddedRun
                for t in 0..<run {
                    // The last vector ends where the row ends; of rows shorter than a vector all but the first do.
                    let isLast = t >= paddedRun - 8
                    let place = isLast && (run >= 8 || tap > 0) ? t + paddedRun - run : t
                    weights[(tap * run + t) * convolution.outputChannels + o] = from[place]
                }
            }
        }
    }
}
