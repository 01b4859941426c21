import CKernels

/// Batch normalisation's passes over rows (rows, C), where a row is a position of a sample:
///
///     y = gamma · (x - mean) / sqrt(variance + epsilon) + beta = scale · x + shift
///
/// with the mean and the (biased) variance over all rows of all ranks. Statistics are sums in Double over blocks of rows; a
/// block's size depends on the channels alone, each block is summed in order of its rows and the blocks in order, so bits do not
/// depend on threads. The caller's items are the blocks.
package struct BatchNormalization: Sendable, Equatable {
    package let channels: Int
    /// The kernels it runs on; all give the same bits.
    package let instructionSet: InstructionSet

    package init(channels: Int, instructionSet: InstructionSet = .best) {
        self.channels = channels
        self.instructionSet = instructionSet
    }

    /// Rows of a block: 64 KiB of floats, at least 16 rows.
    package var blockRows: Int { max(16, 16_384 / channels) }
    /// Blocks of `rows` rows.
    package func blocks(rows: Int) -> Int { (rows + blockRows - 1) / blockRows }
    /// Rows of a block.
    package func rows(ofBlock block: Int, of rows: Int) -> Range<Int> {
        block * blockRows..<min(rows, (block + 1) * blockRows)
    }
    /// Doubles of a block's sums: two a channel.
    package var partialCount: Int { 2 * channels }

    /// Adds the blocks' sums in order: of one pair of sums a channel, (sum, sum of squares) or the gradients'.
    /// - Parameters:
    ///   - partials: (blocks, 2, C). totals: (2, C), overwritten.
    package func sum(partials: UnsafePointer<Double>, blocks: Int, into totals: UnsafeMutablePointer<Double>) {
        for index in 0..<partialCount { totals[index] = 0 }
        for block in 0..<blocks {
            let source = partials + block &* partialCount
            for index in 0..<partialCount { totals[index] += source[index] }
        }
    }

    /// What the passes need to know of a batch's statistics.
    /// - Parameters:
    ///   - totals: (2, C): sums of x and of x² over all ranks' `count` rows.
    ///   - mean, inverse, scale, shift: (C), overwritten; inverse is 1 / sqrt(variance + epsilon).
    ///   - variance: (C), biased, overwritten, or nil.
    package func prepare(
        totals: UnsafePointer<Double>, count: Int, epsilon: Double, gamma: UnsafePointer<Float>, beta: UnsafePointer<Float>,
        mean: UnsafeMutablePointer<Float>, inverse: UnsafeMutablePointer<Float>, variance: UnsafeMutablePointer<Float>?,
        scale: UnsafeMutablePointer<Float>, shift: UnsafeMutablePointer<Float>
    ) {
        for c in 0..<channels {
            let average = totals[c] / Double(count)
            let spread = max(0, totals[channels + c] / Double(count) - average * average)
            let factor = 1 / (spread + epsilon).squareRoot()
            mean[c] = Float(average)
            inverse[c] = Float(factor)
            variance?[c] = Float(spread)
            scale[c] = Float(Double(gamma[c]) * factor)
            shift[c] = Float(Double(beta[c]) - average * Double(gamma[c]) * factor)
        }
    }

    /// A block's sums of x and of x².
    /// - Parameters:
    ///   - x: (rows, C), all rows. partial: (2, C) of this block, overwritten.
    package func statistics(x: UnsafePointer<Float>, rows: Range<Int>, partial: UnsafeMutablePointer<Double>) {
        var work = work(x: x, rows: rows)
        work.sums = partial
        switch instructionSet {
        case .v3: dtrain_normalization_statistics_3(&work)
        case .v4: dtrain_normalization_statistics_4(&work)
        }
    }

    /// y = scale · x + shift, plus a summand, rectified if asked for.
    /// - Parameters:
    ///   - x, y: (rows, C), all rows: `rows` of y overwritten; y may be x.
    ///   - step: floats from a row of y to the next; nil: C.
    ///   - summand: (rows, C), may be y; nil for none.
    package func normalize(
        x: UnsafePointer<Float>, scale: UnsafePointer<Float>, shift: UnsafePointer<Float>,
        adding summand: UnsafePointer<Float>? = nil, rectified: Bool, y: UnsafeMutablePointer<Float>, step: Int? = nil,
        rows: Range<Int>
    ) {
        var work = work(x: x, rows: rows)
        let first = rows.lowerBound &* channels
        work.scale = scale
        work.shift = shift
        work.summand = summand.map { $0 + first }
        work.rectifies = rectified ? 1 : 0
        work.yStep = step ?? channels
        work.y = y + rows.lowerBound &* work.yStep
        switch instructionSet {
        case .v3: dtrain_normalize_3(&work)
        case .v4: dtrain_normalize_4(&work)
        }
    }

    /// Where a gradient stops because the result was rectified.
    package enum Mask {
        /// Nowhere.
        case none
        /// Where scale · x + shift is 0 or less: it is computed again, as `normalize` did.
        case recomputed(scale: UnsafePointer<Float>, shift: UnsafePointer<Float>)
        /// Where y (rows, C) is 0 or less.
        case result(UnsafePointer<Float>)
    }

    /// A block's sums of dy and of dy · (x - mean) · inverse: the gradients of beta and gamma.
    /// - Parameters:
    ///   - x, dy: (rows, C), all rows. step: floats from a row of dy to the next; nil: C.
    ///   - partial: (2, C) of this block, overwritten.
    package func gradientSums(
        x: UnsafePointer<Float>, dy: UnsafePointer<Float>, step: Int? = nil, mask: Mask, mean: UnsafePointer<Float>,
        inverse: UnsafePointer<Float>, rows: Range<Int>, partial: UnsafeMutablePointer<Double>
    ) {
        var work = work(x: x, rows: rows, dy: dy, step: step, mask: mask)
        work.mean = mean
        work.inverse = inverse
        work.sums = partial
        switch instructionSet {
        case .v3: dtrain_normalization_gradient_sums_3(&work)
        case .v4: dtrain_normalization_gradient_sums_4(&work)
        }
    }

    /// dx = gamma · inverse · (dy - mean of dy - x̂ · mean of dy·x̂) = scale · dy + slope · x + offset.
    /// - Parameters:
    ///   - totals: (2, C): the sums of `gradientSums` over all ranks' `count` rows.
    ///   - slope, offset: (C), overwritten.
    package func prepareBackward(
        totals: UnsafePointer<Double>, count: Int, mean: UnsafePointer<Float>, inverse: UnsafePointer<Float>,
        scale: UnsafePointer<Float>, slope: UnsafeMutablePointer<Float>, offset: UnsafeMutablePointer<Float>
    ) {
        for c in 0..<channels {
            let (average, product) = (totals[c] / Double(count), totals[channels + c] / Double(count))
            let factor = -Double(scale[c]) * product * Double(inverse[c])
            slope[c] = Float(factor)
            offset[c] = Float(-Double(scale[c]) * average - factor * Double(mean[c]))
        }
    }

    /// dx = scale · dy + slope · x + offset, dy masked.
    /// - Parameters:
    ///   - x, dy, dx: (rows, C), all rows: `rows` of dx overwritten; dx may be dy or x.
    ///   - step: floats from a row of dy to the next; nil: C.
    ///   - scale: that of a recomputed mask, if there is one.
    ///   - masked: (rows, C), overwritten with the masked dy, the gradient of what was added to the result; nil for none. May
    ///     be dy, where dx is not.
    package func inputGradient(
        x: UnsafePointer<Float>, dy: UnsafePointer<Float>, step: Int? = nil, mask: Mask, scale: UnsafePointer<Float>,
        slope: UnsafePointer<Float>, offset: UnsafePointer<Float>, masked summandGradient: UnsafeMutablePointer<Float>? = nil,
        dx: UnsafeMutablePointer<Float>, rows: Range<Int>
    ) {
        var work = work(x: x, rows: rows, dy: dy, step: step, mask: mask)
        let first = rows.lowerBound &* channels
        work.scale = scale
        work.slope = slope
        work.offset = offset
        work.masked = summandGradient.map { $0 + first }
        work.y = dx + first
        switch instructionSet {
        case .v3: dtrain_normalization_input_gradient_3(&work)
        case .v4: dtrain_normalization_input_gradient_4(&work)
        }
    }

    private func work(x: UnsafePointer<Float>, rows: Range<Int>) -> dtrain_normalization {
        var work = dtrain_normalization()
        work.x = x + rows.lowerBound &* channels
        work.rows = rows.count
        work.channels = channels
        return work
    }

    private func work(
        x: UnsafePointer<Float>, rows: Range<Int>, dy: UnsafePointer<Float>, step: Int?, mask: Mask
    ) -> dtrain_normalization {
        var work = work(x: x, rows: rows)
        work.dyStep = step ?? channels
        work.dy = dy + rows.lowerBound &* work.dyStep
        switch mask {
        case .none: break
        case .recomputed(let scale, let shift): (work.mask, work.scale, work.shift) = (1, scale, shift)
        case .result(let y): (work.mask, work.result) = (2, y + rows.lowerBound &* channels)
        }
        return work
    }
}
