extension TiledDense {
    /// Gradient of the inputs `rows`: dx[:, rows] = dy · w[rows, :]^T. Each sum runs over the columns in eight interleaved
    /// parts, added pairwise at the end.
    /// - Parameters:
    ///   - dy: (b, n). weights: (k, n).
    ///   - dx: (b, k), its columns `rows` overwritten.
    package func inputGradient(
        dy: UnsafePointer<Float>, weights: UnsafePointer<Float>, rows: Range<Int>, dx: UnsafeMutablePointer<Float>
    ) {
        var row = rows.lowerBound
        while row < rows.upperBound {
            // Four rows of w (16 KiB for 1024 columns) stay in the level-1 cache while all samples pass.
            let isWhole = row &+ 4 <= rows.upperBound
            let w = weights + row &* outputs
            var sample = 0
            while sample < samples {
                let left = samples &- sample
                let d = dy + sample &* outputs
                let target = dx + (sample &* inputs &+ row)
                if !isWhole {
                    for offset in 0..<rows.upperBound - row { target[offset] = dot(d, w + offset &* outputs) }
                    sample &+= 1
                } else if left == 1 {
                    gradientBlock1(w, d, target)
                    sample &+= 1
                } else if left == 2 || left == 4 {
                    gradientBlock2(w, d, target)
                    sample &+= 2
                } else {
                    gradientBlock3(w, d, target)
                    sample &+= 3
                }
            }
            row &+= 4
        }
    }

    /// Three samples by four rows: twelve accumulators.
    @inline(__always)
    private func gradientBlock3(
        _ w: UnsafePointer<Float>, _ d: UnsafePointer<Float>, _ target: UnsafeMutablePointer<Float>
    ) {
        let stride = outputs &* 4
        var (first, second, third) = (FourSums(), FourSums(), FourSums())
        let (w, d) = (UnsafeRawPointer(w), UnsafeRawPointer(d))
        var offset = 0
        while offset < stride {
            let (wi, di) = (w + offset, d + offset)
            let d0 = di.loadUnaligned(as: SIMD8<Float>.self)
            let d1 = (di + stride).loadUnaligned(as: SIMD8<Float>.self)
            let d2 = (di + 2 &* stride).loadUnaligned(as: SIMD8<Float>.self)
            var row = wi.loadUnaligned(as: SIMD8<Float>.self)
            first.s0.addProduct(row, d0)
            second.s0.addProduct(row, d1)
            third.s0.addProduct(row, d2)
            row = (wi + stride).loadUnaligned(as: SIMD8<Float>.self)
            first.s1.addProduct(row, d0)
            second.s1.addProduct(row, d1)
            third.s1.addProduct(row, d2)
            row = (wi + 2 &* stride).loadUnaligned(as: SIMD8<Float>.self)
            first.s2.addProduct(row, d0)
            second.s2.addProduct(row, d1)
            third.s2.addProduct(row, d2)
            row = (wi + 3 &* stride).loadUnaligned(as: SIMD8<Float>.self)
            first.s3.addProduct(row, d0)
            second.s3.addProduct(row, d1)
            third.s3.addProduct(row, d2)
            offset &+= 32
        }
        first.store(target)
        second.store(target + inputs)
        third.store(target + 2 &* inputs)
    }

    /// Two samples by four rows.
    @inline(__always)
    private func gradientBlock2(
        _ w: UnsafePointer<Float>, _ d: UnsafePointer<Float>, _ target: UnsafeMutablePointer<Float>
    ) {
        let stride = outputs &* 4
        var (first, second) = (FourSums(), FourSums())
        let (w, d) = (UnsafeRawPointer(w), UnsafeRawPointer(d))
        var offset = 0
        while offset < stride {
            let d0 = (d + offset).loadUnaligned(as: SIMD8<Float>.self)
            let d1 = (d + offset + stride).loadUnaligned(as: SIMD8<Float>.self)
            first.accumulate(w + offset, stride, d0)
            second.accumulate(w + offset, stride, d1)
            offset &+= 32
        }
        first.store(target)
        second.store(target + inputs)
    }

    /// One sample by four rows.
    @inline(__always)
    private func gradientBlock1(
        _ w: UnsafePointer<Float>, _ d: UnsafePointer<Float>, _ target: UnsafeMutablePointer<Float>
    ) {
        let stride = outputs &* 4
        var sums = FourSums()
        let (w, d) = (UnsafeRawPointer(w), UnsafeRawPointer(d))
        var offset = 0
        while offset < stride {
            sums.accumulate(w + offset, stride, (d + offset).loadUnaligned(as: SIMD8<Float>.self))
            offset &+= 32
        }
        sums.store(target)
    }

    /// One sample by one row, summed as the blocks do.
    private func dot(_ d: UnsafePointer<Float>, _ w: UnsafePointer<Float>) -> Float {
        var sum = SIMD8<Float>.zero
        for offset in stride(from: 0, to: outputs, by: 8) {
            sum.addProduct(
                UnsafeRawPointer(w + offset).loadUnaligned(as: SIMD8<Float>.self),
                UnsafeRawPointer(d + offset).loadUnaligned(as: SIMD8<Float>.self))
        }
        return FourSums.total(sum)
    }
}

/// Running sums of one sample with four rows of w, eight interleaved parts each.
struct FourSums {
    var s0 = SIMD8<Float>.zero
    var s1 = SIMD8<Float>.zero
    var s2 = SIMD8<Float>.zero
    var s3 = SIMD8<Float>.zero

    @inline(__always)
    init() {}

    @inline(__always)
    mutating func accumulate(_ w: UnsafeRawPointer, _ stride: Int, _ d: SIMD8<Float>) {
        s0.addProduct(w.loadUnaligned(as: SIMD8<Float>.self), d)
        s1.addProduct((w + stride).loadUnaligned(as: SIMD8<Float>.self), d)
        s2.addProduct((w + 2 &* stride).loadUnaligned(as: SIMD8<Float>.self), d)
        s3.addProduct((w + 3 &* stride).loadUnaligned(as: SIMD8<Float>.self), d)
    }

    /// The eight parts added pairwise.
    @inline(__always)
    static func total(_ sum: SIMD8<Float>) -> Float {
        let four = sum.evenHalf + sum.oddHalf
        let two = four.evenHalf + four.oddHalf
        return two.x + two.y
    }

    @inline(__always)
    func store(_ target: UnsafeMutablePointer<Float>) {
        UnsafeMutableRawPointer(target).storeBytes(
            of: SIMD4<Float>(Self.total(s0), Self.total(s1), Self.total(s2), Self.total(s3)), as: SIMD4<Float>.self)
    }
}
