import CLinux

/// What the backward pass of every block shares.
package struct SparseGradient {
    /// (b, n): gradient of the layer's products.
    package let dy: UnsafePointer<Float>
    /// The same as (n / 16, b, 16), by `TiledDense.pack(dy:into:)`.
    package let packed: UnsafePointer<Float>
    /// (n): D, the column sums of dy.
    package let columnSums: UnsafePointer<Float>

    package init(dy: UnsafePointer<Float>, packed: UnsafePointer<Float>, columnSums: UnsafePointer<Float>) {
        self.dy = dy
        self.packed = packed
        self.columnSums = columnSums
    }
}

/// What becomes of a gradient.
private protocol GradientTarget {
    /// Takes eight gradients at a place of the layer's weights, counted in floats from the first row in hand.
    func take(_ gradient: SIMD8<Float>, at offset: Int)
    /// Asks for the lines from a place on.
    func prefetch(_ offset: Int)
}

extension WindowBatch {
    /// Gradients of some windows: of x, in the place of x, where the window is active; and of its rows of w, written to
    /// `gradient`.
    /// - Parameters:
    ///   - windows: of an image, numbered from its first.
    ///   - row: their first row in `weights` and column in x.
    ///   - gradient: overwritten, (windows · 8, n).
    ///   - scratch: `scratchCount(samples:)` floats of this thread.
    package func backward(
        windows: Range<Int>, row: Int, weights: UnsafePointer<Float>, _ shared: SparseGradient,
        gradient: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>
    ) {
        backward(windows: windows, row: row, weights: weights, shared, Stored(gradient - row &* outputs), scratch)
    }

    /// Gradients of some windows, and Adam's update of their weights at once: the gradient never leaves the registers.
    /// - Parameter row: the windows' first row in the arrays of `immediate` and column in x.
    package func backward(
        windows: Range<Int>, row: Int, _ shared: SparseGradient, immediate: ImmediateUpdate, scratch: UnsafeMutablePointer<Float>
    ) {
        backward(windows: windows, row: row, weights: immediate.weights, shared, Updated(immediate), scratch)
    }

    @inline(__always)
    private func backward(
        windows: Range<Int>, row: Int, weights: UnsafePointer<Float>, _ shared: SparseGradient, _ target: some GradientTarget,
        _ scratch: UnsafeMutablePointer<Float>
    ) {
        let room = Scratch(scratch, samples: samples)
        var first = row
        for window in windows {
            let windowRow = window / blocks.columns
            let column = window &- windowRow &* blocks.columns
            let count = WindowBlocks.collect(
                active, row: windowRow, columns: column..<column &+ 1, images: samples, into: room.list)
            if count > 0 {
                pack(x + first, room.list, count, into: room.values)
                for half in 0..<2 {
                    inputGradient(
                        weights + (first &+ 4 &* half) &* outputs, shared.dy, room.list, count, x + (first &+ 4 &* half))
                }
            }
            weightGradient(first, count, shared, target, room)
            first &+= Self.channels
        }
    }

    /// x - c of a window as (2, images, 4).
    @inline(__always)
    private func pack(
        _ x: UnsafePointer<Float>, _ list: UnsafePointer<Int32>, _ count: Int, into values: UnsafeMutablePointer<Float>
    ) {
        let (low, high) = (UnsafeMutableRawPointer(values), UnsafeMutableRawPointer(values + 4 &* count))
        for index in 0..<count {
            let value = UnsafeRawPointer(x + Int(list[index]) &* stride).loadUnaligned(as: SIMD8<Float>.self) - background
            low.storeBytes(of: value.lowHalf, toByteOffset: 16 &* index, as: SIMD4<Float>.self)
            high.storeBytes(of: value.highHalf, toByteOffset: 16 &* index, as: SIMD4<Float>.self)
        }
    }

    /// The gradient of a window's eight rows of weights.
    @inline(__always)
    private func weightGradient(
        _ first: Int, _ count: Int, _ shared: SparseGradient, _ target: some GradientTarget, _ room: Scratch
    ) {
        let dyStep = samples &* Self.strip
        for strip in 0..<outputs / Self.strip {
            let dy = UnsafeRawPointer(shared.packed + strip &* dyStep)
            let column = strip &* Self.strip
            // The next window's lines one after the other, as many as this strip has.
            let ahead = (first &+ Self.channels) &* outputs &+ column &* Self.channels
            for line in 0..<Self.channels { target.prefetch(ahead &+ line &* Self.strip) }
            let sums = UnsafeRawPointer(shared.columnSums + column)
            for half in 0..<2 {
                var block = QuarterBlock(
                    background: half == 0 ? background.lowHalf : background.highHalf,
                    sums.loadUnaligned(as: SIMD8<Float>.self), (sums + 32).loadUnaligned(as: SIMD8<Float>.self))
                var factors = UnsafePointer(room.values + half &* 4 &* count)
                for index in 0..<count {
                    block.accumulate(factors, dy + Int(room.list[index]) &* 64)
                    factors += 4
                }
                let offset = (first &+ 4 &* half) &* outputs &+ column
                target.take(block.a0, at: offset)
                target.take(block.a1, at: offset &+ 8)
                target.take(block.b0, at: offset &+ outputs)
                target.take(block.b1, at: offset &+ outputs &+ 8)
                target.take(block.c0, at: offset &+ 2 &* outputs)
                target.take(block.c1, at: offset &+ 2 &* outputs &+ 8)
                target.take(block.d0, at: offset &+ 3 &* outputs)
                target.take(block.d1, at: offset &+ 3 &* outputs &+ 8)
            }
        }
    }

    /// dx of four rows of w for some images, each sum over the columns in eight interleaved parts, added pairwise at the end.
    @inline(__always)
    private func inputGradient(
        _ w: UnsafePointer<Float>, _ dy: UnsafePointer<Float>, _ list: UnsafePointer<Int32>, _ count: Int,
        _ dx: UnsafeMutablePointer<Float>
    ) {
        let step = outputs &* 4
        let (w, dy) = (UnsafeRawPointer(w), UnsafeRawPointer(dy))
        var index = 0
        while index &+ 3 <= count {
            let (i0, i1, i2) = (Int(list[index]), Int(list[index &+ 1]), Int(list[index &+ 2]))
            let (d0, d1, d2) = (dy + i0 &* step, dy + i1 &* step, dy + i2 &* step)
            var (first, second, third) = (FourSums(), FourSums(), FourSums())
            var offset = 0
            while offset < step {
                let wi = w + offset
                let v0 = d0.loadUnaligned(fromByteOffset: offset, as: SIMD8<Float>.self)
                let v1 = d1.loadUnaligned(fromByteOffset: offset, as: SIMD8<Float>.self)
                let v2 = d2.loadUnaligned(fromByteOffset: offset, as: SIMD8<Float>.self)
                var row = wi.loadUnaligned(as: SIMD8<Float>.self)
                first.s0.addProduct(row, v0)
                second.s0.addProduct(row, v1)
                third.s0.addProduct(row, v2)
                row = (wi + step).loadUnaligned(as: SIMD8<Float>.self)
                first.s1.addProduct(row, v0)
                second.s1.addProduct(row, v1)
                third.s1.addProduct(row, v2)
                row = (wi + 2 &* step).loadUnaligned(as: SIMD8<Float>.self)
                first.s2.addProduct(row, v0)
                second.s2.addProduct(row, v1)
                third.s2.addProduct(row, v2)
                row = (wi + 3 &* step).loadUnaligned(as: SIMD8<Float>.self)
                first.s3.addProduct(row, v0)
                second.s3.addProduct(row, v1)
                third.s3.addProduct(row, v2)
                offset &+= 32
            }
            first.store(dx + i0 &* stride)
            second.store(dx + i1 &* stride)
            third.store(dx + i2 &* stride)
            index &+= 3
        }
        while index < count {
            let image = Int(list[index])
            var sums = FourSums()
            var offset = 0
            while offset < step {
                sums.accumulate(
                    w + offset, step, (dy + image &* step).loadUnaligned(fromByteOffset: offset, as: SIMD8<Float>.self))
                offset &+= 32
            }
            sums.store(dx + image &* stride)
            index &+= 1
        }
    }
}

/// Eight accumulators: four rows by sixteen columns.
private struct QuarterBlock {
    var a0, a1, b0, b1, c0, c1, d0, d1: SIMD8<Float>

    /// Begins with the product of four factors and a row of sixteen.
    @inline(__always)
    init(background: SIMD4<Float>, _ low: SIMD8<Float>, _ high: SIMD8<Float>) {
        (a0, a1) = (background[0] * low, background[0] * high)
        (b0, b1) = (background[1] * low, background[1] * high)
        (c0, c1) = (background[2] * low, background[2] * high)
        (d0, d1) = (background[3] * low, background[3] * high)
    }

    /// Adds the product of four factors and a row of sixteen.
    @inline(__always)
    mutating func accumulate(_ factors: UnsafePointer<Float>, _ row: UnsafeRawPointer) {
        let low = row.loadUnaligned(as: SIMD8<Float>.self)
        let high = row.loadUnaligned(fromByteOffset: 32, as: SIMD8<Float>.self)
        var factor = SIMD8<Float>(repeating: factors[0])
        a0.addProduct(factor, low)
        a1.addProduct(factor, high)
        factor = SIMD8(repeating: factors[1])
        b0.addProduct(factor, low)
        b1.addProduct(factor, high)
        factor = SIMD8(repeating: factors[2])
        c0.addProduct(factor, low)
        c1.addProduct(factor, high)
        factor = SIMD8(repeating: factors[3])
        d0.addProduct(factor, low)
        d1.addProduct(factor, high)
    }
}

private struct Stored: GradientTarget {
    private let gradient: UnsafeMutableRawPointer

    init(_ gradient: UnsafeMutablePointer<Float>) { self.gradient = UnsafeMutableRawPointer(gradient) }

    @inline(__always)
    func take(_ values: SIMD8<Float>, at offset: Int) {
        gradient.storeBytes(of: values, toByteOffset: 4 &* offset, as: SIMD8<Float>.self)
    }

    @inline(__always)
    func prefetch(_ offset: Int) {}
}

private struct Updated: GradientTarget {
    private let immediate: ImmediateUpdate
    private let w, m, v: UnsafeMutableRawPointer

    init(_ immediate: ImmediateUpdate) {
        self.immediate = immediate
        w = UnsafeMutableRawPointer(immediate.weights)
        m = UnsafeMutableRawPointer(immediate.firstMoment)
        v = UnsafeMutableRawPointer(immediate.secondMoment)
    }

    @inline(__always)
    func take(_ values: SIMD8<Float>, at offset: Int) {
        let offset = 4 &* offset
        immediate.update.applyVector(w + offset, m + offset, v + offset, gradient: values)
    }

    @inline(__always)
    func prefetch(_ offset: Int) {
        let offset = 4 &* offset
        dtrain_prefetch(w + offset)
        dtrain_prefetch(m + offset)
        dtrain_prefetch(v + offset)
    }
}
