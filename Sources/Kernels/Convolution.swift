import Memory

/// A 5x5 convolution of one channel to eight, bias, ReLU and max pooling in one pass.
///
/// y[i, j, c] = max(0, max over the window of (bias[c] + sum over k, l of x[i + k - 2, j + l - 2] · w[k, l, c]))
/// with zeros outside the image (TensorFlow's SAME) and windows of `pool` x `pool` at stride `pool`.
/// Eight channels are one SIMD register; each sum runs in the order of (k, l) with fused multiply-add.
///
/// Most of a conditioned depth frame is background, 0. Windows that see nothing else all have the same value, bit for bit,
/// so they are filled in rather than computed, or left out altogether; see `ActiveWindows`.
package struct ConvolutionPool: Sendable {
    package static let kernel = 5
    package static let channels = 8
    /// Values of `weights`: (5, 5, 1, 8).
    package static let weightCount = kernel * kernel * channels
    /// Winner code of a pooled value that ReLU cut off: no gradient passes.
    package static let dead: UInt8 = 255

    package let height: Int
    package let width: Int
    /// Window and stride: 2 or 4.
    package let pool: Int

    private let shift: Int
    private let paddedStride: Int

    /// - Precondition: `pool` is 2 or 4, and divides `height` and `width`.
    package init(height: Int, width: Int, pool: Int) {
        precondition((pool == 2 || pool == 4) && height % pool == 0 && width % pool == 0)
        self.height = height
        self.width = width
        self.pool = pool
        shift = pool == 2 ? 1 : 2
        // Room for a block of four columns past the edge and for reading eight floats at the last pixel.
        paddedStride = (width + 4 + 8 + 7) / 8 * 8
    }

    package var pooledHeight: Int { height / pool }
    package var pooledWidth: Int { width / pool }
    /// Pooled values of one image: (height / pool, width / pool, 8).
    package var outputCount: Int { pooledHeight * pooledWidth * Self.channels }
    package var inputCount: Int { height * width }
    /// Floats of scratch one thread needs; must be zero at first use and is kept for one purpose.
    package var scratchCount: Int { (height + 5) * paddedStride + sumCount }

    /// Floats of the backward pass's running sums: five registers a channel.
    private var sumCount: Int { Self.channels * 5 * 8 }

    /// Copies an image into the middle of the zero-bordered scratch.
    private func pad(_ image: UnsafePointer<Float>, into scratch: UnsafeMutablePointer<Float>) {
        for row in 0..<height {
            (scratch + (row + 2) * paddedStride + 2).update(from: image + row * width, count: width)
        }
    }

    /// What a window that sees background alone is worth, (8), after ReLU.
    /// - Parameters:
    ///   - weights, bias: as for `forward`.
    package func background(weights: UnsafePointer<Float>, bias: UnsafePointer<Float>) -> SIMD8<Float> {
        let taps = Taps(weights)
        let value = backgroundBlock(taps, UnsafeRawPointer(bias).load(as: SIMD8<Float>.self)).a0
        return value.replacing(with: 0, where: value .<= 0)
    }

    /// One image forward.
    /// - Parameters:
    ///   - image: (height, width), number `number` in `active`, which `findActive` made.
    ///   - fillsBackground: whether the windows that are not active are written too.
    ///   - weights: (5, 5, 1, 8), 32-byte aligned. bias: (8), 32-byte aligned.
    ///   - output: overwritten, (height / pool, width / pool, 8). NaN weights and biases make their channel NaN; a NaN
    ///     pixel reaches at least the windows whose first pixel is within two rows and columns of it.
    ///   - winners: overwritten, same shape: which pixel of its window won (row · pool + column), or `dead`.
    ///   - scratch: `scratchCount` floats of this thread.
    package func forward(
        image: UnsafePointer<Float>, number: Int, active: ActiveWindows, fillsBackground: Bool,
        weights: UnsafePointer<Float>, bias: UnsafePointer<Float>,
        output: UnsafeMutablePointer<Float>, winners: UnsafeMutablePointer<UInt8>, scratch: UnsafeMutablePointer<Float>
    ) {
        pad(image, into: scratch)
        let taps = Taps(weights)
        let bias = UnsafeRawPointer(bias).load(as: SIMD8<Float>.self)
        let constant = Winner(backgroundBlock(taps, bias).a0)
        for row in 0..<pooledHeight {
            let corner = scratch + (row << shift) * paddedStride
            let line = row * pooledWidth * Self.channels
            let columns = active.range(row: row, image: number)
            if fillsBackground { fill(constant, 0..<columns.lowerBound, output + line, winners + line) }
            if pool == 2 {
                forwardRow2(corner, columns, taps, bias, output + line, winners + line)
            } else {
                forwardRow4(corner, columns, taps, bias, output + line, winners + line)
            }
            if fillsBackground { fill(constant, columns.upperBound..<pooledWidth, output + line, winners + line) }
        }
    }

    private func fill(
        _ winner: Winner, _ columns: Range<Int>, _ output: UnsafeMutablePointer<Float>, _ winners: UnsafeMutablePointer<UInt8>
    ) {
        for column in columns { winner.store(output + column &* 8, winners + column &* 8) }
    }

    /// A block that sees zeros alone: each of its values is the same sum, in the same order.
    private func backgroundBlock(_ taps: Taps, _ bias: SIMD8<Float>) -> Block {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 6 * 8) { patch in
            patch.initialize(repeating: 0)
            return Block(at: patch.baseAddress!, stride: 8, taps: taps, bias: bias)
        }
    }

    private func forwardRow2(
        _ corner: UnsafePointer<Float>, _ columns: Range<Int>, _ taps: Taps, _ bias: SIMD8<Float>,
        _ output: UnsafeMutablePointer<Float>, _ winners: UnsafeMutablePointer<UInt8>
    ) {
        var column = columns.lowerBound
        while column < columns.upperBound {
            let block = Block(at: corner + column &* 2, stride: paddedStride, taps: taps, bias: bias)
            var first = Winner(block.a0)
            first.challenge(block.a1, code: 1)
            first.challenge(block.b0, code: 2)
            first.challenge(block.b1, code: 3)
            first.store(output + column &* 8, winners + column &* 8)
            if column &+ 1 < columns.upperBound {
                var second = Winner(block.a2)
                second.challenge(block.a3, code: 1)
                second.challenge(block.b2, code: 2)
                second.challenge(block.b3, code: 3)
                let next = column &* 8 &+ 8
                second.store(output + next, winners + next)
            }
            column &+= 2
        }
    }

    private func forwardRow4(
        _ corner: UnsafePointer<Float>, _ columns: Range<Int>, _ taps: Taps, _ bias: SIMD8<Float>,
        _ output: UnsafeMutablePointer<Float>, _ winners: UnsafeMutablePointer<UInt8>
    ) {
        for column in columns {
            let at = corner + column &* 4
            let upper = Block(at: at, stride: paddedStride, taps: taps, bias: bias)
            var winner = Winner(upper.a0)
            winner.challenge(upper.a1, code: 1)
            winner.challenge(upper.a2, code: 2)
            winner.challenge(upper.a3, code: 3)
            winner.challenge(upper.b0, code: 4)
            winner.challenge(upper.b1, code: 5)
            winner.challenge(upper.b2, code: 6)
            winner.challenge(upper.b3, code: 7)
            let lower = Block(at: at + 2 &* paddedStride, stride: paddedStride, taps: taps, bias: bias)
            winner.challenge(lower.a0, code: 8)
            winner.challenge(lower.a1, code: 9)
            winner.challenge(lower.a2, code: 10)
            winner.challenge(lower.a3, code: 11)
            winner.challenge(lower.b0, code: 12)
            winner.challenge(lower.b1, code: 13)
            winner.challenge(lower.b2, code: 14)
            winner.challenge(lower.b3, code: 15)
            winner.store(output + column &* 8, winners + column &* 8)
        }
    }

    /// One image backward: the gradients of weights and bias. (No gradient of the image: nothing lies below.)
    ///
    /// dw[k, l, c] = sum over windows of g[window, c] · x[winner + (k - 2, l - 2)], db[c] = sum of g; only winners are visited.
    /// - Parameters:
    ///   - image, number, active: as for `forward`.
    ///   - background: nil when `gradient` holds every window's gradient. Else it holds the active windows' alone, `background`
    ///     tells by numbers above 0 which channels live in the others, and the caller adds to their bias gradient the sum of
    ///     the gradients of *all* windows: what the active ones have in that sum is taken off here.
    ///   - gradient: (height / pool, width / pool, 8), the gradient of `output`.
    ///   - weightGradient: overwritten, (5, 5, 1, 8). biasGradient: overwritten, (8).
    package func backward(
        image: UnsafePointer<Float>, number: Int, active: ActiveWindows, background: SIMD8<Float>?,
        gradient: UnsafePointer<Float>, winners: UnsafePointer<UInt8>, weightGradient: UnsafeMutablePointer<Float>,
        biasGradient: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>
    ) {
        pad(image, into: scratch)
        let sums = UnsafeMutableRawPointer(scratch + scratchCount - sumCount).bindMemory(
            to: SIMD8<Float>.self, capacity: Self.channels * 5)
        sums.update(repeating: .zero, count: Self.channels * 5)
        var biasSums = SIMD8<Float>.zero
        let isLiving = background.map { .!($0 .<= 0) } ?? SIMDMask(repeating: false)
        for row in 0..<pooledHeight {
            // Windows that are not active add products that are all 0 to the taps' gradients.
            let columns = active.range(row: row, image: number)
            let line = row &* pooledWidth &* 8
            addBias(
                background == nil ? 0..<pooledWidth : columns, gradient + line, winners + line, isLiving, &biasSums)
            for channel in 0..<Self.channels {
                backwardRow(
                    row, channel, columns, gradient: gradient, winners: winners, scratch: scratch,
                    sums: sums + channel &* 5)
            }
        }
        for channel in 0..<Self.channels {
            biasGradient[channel] = biasSums[channel]
            for k in 0..<5 {
                for l in 0..<5 { weightGradient[(k * 5 + l) * 8 + channel] = sums[channel * 5 + k][l] }
            }
        }
    }

    /// Adds the gradients of a row's living winners to the channels' sums, windows in order; of channels that live in the
    /// background, it takes off every gradient.
    @inline(__always)
    private func addBias(
        _ columns: Range<Int>, _ gradient: UnsafePointer<Float>, _ winners: UnsafePointer<UInt8>,
        _ isLiving: SIMDMask<SIMD8<Int32>>, _ sums: inout SIMD8<Float>
    ) {
        for column in columns {
            let g = UnsafeRawPointer(gradient + column &* 8).loadUnaligned(as: SIMD8<Float>.self)
            let codes = UnsafeRawPointer(winners + column &* 8).loadUnaligned(as: SIMD8<UInt8>.self)
            let isDead = SIMD8<Int32>(truncatingIfNeeded: codes) .== Int32(Self.dead)
            sums += g.replacing(with: 0, where: isDead) - g.replacing(with: 0, where: .!isLiving)
        }
    }

    @inline(__always)
    private func backwardRow(
        _ row: Int, _ channel: Int, _ columns: Range<Int>, gradient: UnsafePointer<Float>,
        winners: UnsafePointer<UInt8>, scratch: UnsafePointer<Float>, sums: UnsafeMutablePointer<SIMD8<Float>>
    ) {
        var (s0, s1, s2, s3, s4) = (sums[0], sums[1], sums[2], sums[3], sums[4])
        let line = row &* pooledWidth &* 8 &+ channel
        let corner = scratch + (row << shift) &* paddedStride
        let mask = pool &- 1
        for column in columns {
            let code = winners[line &+ column &* 8]
            if code == Self.dead { continue }
            let g = gradient[line &+ column &* 8]
            let factor = SIMD8<Float>(repeating: g)
            let rowOffset: Int = (Int(code) >> shift) &* paddedStride
            let columnOffset: Int = (column << shift) &+ (Int(code) & mask)
            let patch = UnsafeRawPointer(corner + (rowOffset &+ columnOffset))
            let stride = paddedStride &* 4
            s0.addProduct(patch.loadUnaligned(as: SIMD8<Float>.self), factor)
            s1.addProduct((patch + stride).loadUnaligned(as: SIMD8<Float>.self), factor)
            s2.addProduct((patch + 2 &* stride).loadUnaligned(as: SIMD8<Float>.self), factor)
            s3.addProduct((patch + 3 &* stride).loadUnaligned(as: SIMD8<Float>.self), factor)
            s4.addProduct((patch + 4 &* stride).loadUnaligned(as: SIMD8<Float>.self), factor)
        }
        sums[0] = s0
        sums[1] = s1
        sums[2] = s2
        sums[3] = s3
        sums[4] = s4
    }
}

/// The convolution's weights: for each tap the eight channels', as a register.
private struct Taps {
    private let weights: UnsafeRawPointer

    /// - Parameter weights: (5, 5, 1, 8), 32-byte aligned.
    @inline(__always)
    init(_ weights: UnsafePointer<Float>) { self.weights = UnsafeRawPointer(weights) }

    @inline(__always)
    subscript(tap: Int) -> SIMD8<Float> { weights.load(fromByteOffset: tap &* 32, as: SIMD8<Float>.self) }
}

/// Two rows by four columns of the convolution, eight channels each: eight registers, while five hold a row of taps.
private struct Block {
    var a0, a1, a2, a3: SIMD8<Float>
    var b0, b1, b2, b3: SIMD8<Float>

    @inline(__always)
    init(at corner: UnsafePointer<Float>, stride: Int, taps: Taps, bias: SIMD8<Float>) {
        a0 = bias
        a1 = bias
        a2 = bias
        a3 = bias
        b0 = bias
        b1 = bias
        b2 = bias
        b3 = bias
        var row = corner
        for line in 0..<5 {
            let tap = line &* 5
            let (w0, w1, w2, w3, w4) = (taps[tap], taps[tap &+ 1], taps[tap &+ 2], taps[tap &+ 3], taps[tap &+ 4])
            Self.accumulate(row, w0, w1, w2, w3, w4, &a0, &a1, &a2, &a3)
            Self.accumulate(row + stride, w0, w1, w2, w3, w4, &b0, &b1, &b2, &b3)
            row += stride
        }
    }

    /// One row of taps over eight pixels, each broadcast once.
    @inline(__always)
    private static func accumulate(
        _ row: UnsafePointer<Float>, _ w0: SIMD8<Float>, _ w1: SIMD8<Float>, _ w2: SIMD8<Float>, _ w3: SIMD8<Float>,
        _ w4: SIMD8<Float>, _ s0: inout SIMD8<Float>, _ s1: inout SIMD8<Float>, _ s2: inout SIMD8<Float>,
        _ s3: inout SIMD8<Float>
    ) {
        var pixel = SIMD8<Float>(repeating: row[0])
        s0.addProduct(pixel, w0)
        pixel = SIMD8(repeating: row[1])
        s0.addProduct(pixel, w1)
        s1.addProduct(pixel, w0)
        pixel = SIMD8(repeating: row[2])
        s0.addProduct(pixel, w2)
        s1.addProduct(pixel, w1)
        s2.addProduct(pixel, w0)
        pixel = SIMD8(repeating: row[3])
        s0.addProduct(pixel, w3)
        s1.addProduct(pixel, w2)
        s2.addProduct(pixel, w1)
        s3.addProduct(pixel, w0)
        pixel = SIMD8(repeating: row[4])
        s0.addProduct(pixel, w4)
        s1.addProduct(pixel, w3)
        s2.addProduct(pixel, w2)
        s3.addProduct(pixel, w1)
        pixel = SIMD8(repeating: row[5])
        s1.addProduct(pixel, w4)
        s2.addProduct(pixel, w3)
        s3.addProduct(pixel, w2)
        pixel = SIMD8(repeating: row[6])
        s2.addProduct(pixel, w4)
        s3.addProduct(pixel, w3)
        pixel = SIMD8(repeating: row[7])
        s3.addProduct(pixel, w4)
    }
}

/// The largest value of a window so far, and where it was, for eight channels. Of equal values the first wins.
private struct Winner {
    var best: SIMD8<Float>
    var code = SIMD8<Int32>.zero

    @inline(__always)
    init(_ first: SIMD8<Float>) { best = first }

    @inline(__always)
    mutating func challenge(_ value: SIMD8<Float>, code challenger: Int32) {
        let wins = value .> best
        best.replace(with: value, where: wins)
        code.replace(with: SIMD8(repeating: challenger), where: wins)
    }

    /// ReLU and store. `<=` is false for NaN, which therefore passes on.
    @inline(__always)
    func store(_ output: UnsafeMutablePointer<Float>, _ winners: UnsafeMutablePointer<UInt8>) {
        let dead = best .<= 0
        UnsafeMutableRawPointer(output).storeBytes(of: best.replacing(with: 0, where: dead), as: SIMD8<Float>.self)
        let codes = code.replacing(with: SIMD8(repeating: Int32(ConvolutionPool.dead)), where: dead)
        UnsafeMutableRawPointer(winners).storeBytes(
            of: SIMD8<UInt8>(truncatingIfNeeded: codes), as: SIMD8<UInt8>.self)
    }
}
