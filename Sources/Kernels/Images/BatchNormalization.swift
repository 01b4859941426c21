/// Batch normalisation's passes over rows (rows, C), where a row is a position of a sample:
///
///     y = gamma · (x - mean) / sqrt(variance + epsilon) + beta = scale · x + shift
///
/// with the mean and the (biased) variance over all rows of all ranks. Statistics are sums in Double over blocks of rows; a
/// block's size depends on the channels alone, each block is summed in order of its rows and the blocks in order, so bits do not
/// depend on threads. The caller's items are the blocks.
package struct BatchNormalization: Sendable, Equatable {
    package let channels: Int

    package init(channels: Int) { self.channels = channels }

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
        let start = x + rows.lowerBound &* channels
        forEachGroup { c in
            var (sum, squares) = (SIMD8<Double>.zero, SIMD8<Double>.zero)
            var row = start + c
            for _ in 0..<rows.count {
                let value = SIMD8<Double>(UnsafePointer(row).eight(0))
                sum += value
                squares.addProduct(value, value)
                row += channels
            }
            store(sum, squares, partial, c)
        } rest: { c in
            var (sum, squares) = (0.0, 0.0)
            for row in 0..<rows.count {
                let value = Double(start[row &* channels &+ c])
                sum += value
                squares.addProduct(value, value)
            }
            (partial[c], partial[channels + c]) = (sum, squares)
        }
    }

    /// y = scale · x + shift, plus a summand, rectified if asked for.
    /// - Parameters:
    ///   - x, y: (rows, C), all rows: `rows` of y overwritten; y may be x.
    ///   - summand: (rows, C), may be y; nil for none.
    package func normalize(
        x: UnsafePointer<Float>, scale: UnsafePointer<Float>, shift: UnsafePointer<Float>,
        adding summand: UnsafePointer<Float>? = nil, rectified: Bool, y: UnsafeMutablePointer<Float>, rows: Range<Int>
    ) {
        for row in rows {
            let start = row &* channels
            forEachGroup { c in
                var value = shift.eight(c).addingProduct(scale.eight(c), x.eight(start &+ c))
                if let summand { value += summand.eight(start &+ c) }
                y.store(rectified ? value.rectified : value, start &+ c)
            } rest: { c in
                var value = shift[c].addingProduct(scale[c], x[start &+ c])
                if let summand { value += summand[start &+ c] }
                y[start &+ c] = rectified && value <= 0 ? 0 : value
            }
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

    @inline(__always)
    private func masked(_ gradient: SIMD8<Float>, x: SIMD8<Float>, _ mask: Mask, _ c: Int, _ index: Int) -> SIMD8<Float> {
        switch mask {
        case .none: gradient
        case .recomputed(let scale, let shift): gradient.masked(by: shift.eight(c).addingProduct(scale.eight(c), x))
        case .result(let y): gradient.masked(by: y.eight(index))
        }
    }

    @inline(__always)
    private func masked(_ gradient: Float, x: Float, _ mask: Mask, _ c: Int, _ index: Int) -> Float {
        switch mask {
        case .none: gradient
        case .recomputed(let scale, let shift): shift[c].addingProduct(scale[c], x) <= 0 ? 0 : gradient
        case .result(let y): y[index] <= 0 ? 0 : gradient
        }
    }

    /// A block's sums of dy and of dy · (x - mean) · inverse: the gradients of beta and gamma.
    /// - Parameters:
    ///   - x, dy: (rows, C), all rows. partial: (2, C) of this block, overwritten.
    package func gradientSums(
        x: UnsafePointer<Float>, dy: UnsafePointer<Float>, mask: Mask, mean: UnsafePointer<Float>,
        inverse: UnsafePointer<Float>, rows: Range<Int>, partial: UnsafeMutablePointer<Double>
    ) {
        let first = rows.lowerBound &* channels
        forEachGroup { c in
            var (sum, products) = (SIMD8<Double>.zero, SIMD8<Double>.zero)
            let (average, factor) = (mean.eight(c), inverse.eight(c))
            var index = first &+ c
            for _ in 0..<rows.count {
                let value = x.eight(index)
                let gradient = masked(dy.eight(index), x: value, mask, c, index)
                let wide = SIMD8<Double>(gradient)
                sum += wide
                products.addProduct(wide, SIMD8<Double>((value - average) * factor))
                index &+= channels
            }
            store(sum, products, partial, c)
        } rest: { c in
            var (sum, products) = (0.0, 0.0)
            for row in 0..<rows.count {
                let index = first &+ row &* channels &+ c
                let gradient = Double(masked(dy[index], x: x[index], mask, c, index))
                sum += gradient
                products.addProduct(gradient, Double((x[index] - mean[c]) * inverse[c]))
            }
            (partial[c], partial[channels + c]) = (sum, products)
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
    ///   - masked: (rows, C), overwritten with the masked dy, the gradient of what was added to the result; nil for none.
    package func inputGradient(
        x: UnsafePointer<Float>, dy: UnsafePointer<Float>, mask: Mask, scale: UnsafePointer<Float>, slope: UnsafePointer<Float>,
        offset: UnsafePointer<Float>, masked summandGradient: UnsafeMutablePointer<Float>? = nil,
        dx: UnsafeMutablePointer<Float>, rows: Range<Int>
    ) {
        for row in rows {
            let start = row &* channels
            forEachGroup { c in
                let value = x.eight(start &+ c)
                let gradient = masked(dy.eight(start &+ c), x: value, mask, c, start &+ c)
                let result = offset.eight(c).addingProduct(slope.eight(c), value).addingProduct(scale.eight(c), gradient)
                summandGradient?.store(gradient, start &+ c)
                dx.store(result, start &+ c)
            } rest: { c in
                let value = x[start &+ c]
                let gradient = masked(dy[start &+ c], x: value, mask, c, start &+ c)
                summandGradient?[start &+ c] = gradient
                dx[start &+ c] = offset[c].addingProduct(slope[c], value).addingProduct(scale[c], gradient)
            }
        }
    }

    /// Eight channels at a time, then the rest one at a time.
    @inline(__always)
    private func forEachGroup(_ body: (Int) -> Void, rest: (Int) -> Void) {
        var c = 0
        while c &+ 8 <= channels {
            body(c)
            c &+= 8
        }
        while c < channels {
            rest(c)
            c &+= 1
        }
    }

    @inline(__always)
    private func store(_ a: SIMD8<Double>, _ b: SIMD8<Double>, _ partial: UnsafeMutablePointer<Double>, _ c: Int) {
        UnsafeMutableRawPointer(partial + c).storeBytes(of: a, as: SIMD8<Double>.self)
        UnsafeMutableRawPointer(partial + (channels &+ c)).storeBytes(of: b, as: SIMD8<Double>.self)
    }
}
