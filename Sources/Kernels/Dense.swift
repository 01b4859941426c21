import System

/// Products of a fully connected layer y = x · w + bias, x (b, k), w (k, n), y (b, n), by blocks of rows of w.
///
/// The calls work on one block each and run side by side on the worker team's threads.
package enum Dense {
    /// Partial product over the rows `rows` of w: partial = x[:, rows] · w[rows, :].
    /// - Parameters:
    ///   - partial: overwritten, (b, n).
    package static func forward(
        x: UnsafePointer<Float>, weights: UnsafePointer<Float>, rows: Range<Int>, samples: Int, inputs: Int, outputs: Int,
        partial: UnsafeMutablePointer<Float>
    ) {
        BLAS.gemm(
            m: samples, n: outputs, k: rows.count, a: x + rows.lowerBound, strideA: inputs,
            b: weights + rows.lowerBound * outputs, strideB: outputs, beta: 0, c: partial, strideC: outputs)
    }

    /// One sample's y = x · w + bias, without the BLAS, whose sums may depend on the number of samples and on a sample's place
    /// among them. Each sum runs over the even and over the odd rows of w, in order, then over both.
    /// - Parameters:
    ///   - x: (k). weights: (k, n). bias: (n). y: overwritten, (n).
    package static func forward(
        x: UnsafePointer<Float>, weights: UnsafePointer<Float>, bias: UnsafePointer<Float>, inputs: Int, outputs: Int,
        y: UnsafeMutablePointer<Float>
    ) {
        var column = 0
        while column < outputs / 24 * 24 {
            var (a0, a1, a2) = (SIMD8<Float>.zero, SIMD8<Float>.zero, SIMD8<Float>.zero)
            var (b0, b1, b2) = (a0, a1, a2)
            var row = UnsafeRawPointer(weights + column)
            for k in stride(from: 0, to: inputs &- 1, by: 2) {
                let (even, odd) = (SIMD8(repeating: x[k]), SIMD8(repeating: x[k &+ 1]))
                let next = row + outputs &* 4
                a0.addProduct(even, row.loadUnaligned(as: SIMD8<Float>.self))
                a1.addProduct(even, row.loadUnaligned(fromByteOffset: 32, as: SIMD8<Float>.self))
                a2.addProduct(even, row.loadUnaligned(fromByteOffset: 64, as: SIMD8<Float>.self))
                b0.addProduct(odd, next.loadUnaligned(as: SIMD8<Float>.self))
                b1.addProduct(odd, next.loadUnaligned(fromByteOffset: 32, as: SIMD8<Float>.self))
                b2.addProduct(odd, next.loadUnaligned(fromByteOffset: 64, as: SIMD8<Float>.self))
                row = next + outputs &* 4
            }
            if inputs % 2 != 0 {
                let even = SIMD8(repeating: x[inputs &- 1])
                a0.addProduct(even, row.loadUnaligned(as: SIMD8<Float>.self))
                a1.addProduct(even, row.loadUnaligned(fromByteOffset: 32, as: SIMD8<Float>.self))
                a2.addProduct(even, row.loadUnaligned(fromByteOffset: 64, as: SIMD8<Float>.self))
            }
            let (target, offset) = (UnsafeMutableRawPointer(y + column), UnsafeRawPointer(bias + column))
            target.storeBytes(of: a0 + b0 + offset.loadUnaligned(as: SIMD8<Float>.self), as: SIMD8<Float>.self)
            target.storeBytes(
                of: a1 + b1 + offset.loadUnaligned(fromByteOffset: 32, as: SIMD8<Float>.self), toByteOffset: 32,
                as: SIMD8<Float>.self)
            target.storeBytes(
                of: a2 + b2 + offset.loadUnaligned(fromByteOffset: 64, as: SIMD8<Float>.self), toByteOffset: 64,
                as: SIMD8<Float>.self)
            column &+= 24
        }
        for column in column..<max(column, outputs) {
            var (even, odd): (Float, Float) = (0, 0)
            for k in stride(from: 0, to: inputs &- 1, by: 2) {
                even.addProduct(x[k], weights[k &* outputs &+ column])
                odd.addProduct(x[k &+ 1], weights[(k &+ 1) &* outputs &+ column])
            }
            if inputs % 2 != 0 { even.addProduct(x[inputs &- 1], weights[(inputs &- 1) &* outputs &+ column]) }
            y[column] = even + odd + bias[column]
        }
    }

    /// Gradient of the rows `rows` of w: gradient = x[:, rows]^T · dy.
    /// - Parameters:
    ///   - dy: (b, n). gradient: overwritten, (rows, n).
    package static func weightGradient(
        x: UnsafePointer<Float>, dy: UnsafePointer<Float>, rows: Range<Int>, samples: Int, inputs: Int, outputs: Int,
        gradient: UnsafeMutablePointer<Float>
    ) {
        BLAS.gemm(
            transposeA: true, m: rows.count, n: outputs, k: samples, a: x + rows.lowerBound, strideA: inputs,
            b: dy, strideB: outputs, beta: 0, c: gradient, strideC: outputs)
    }

    /// Gradient of the inputs `rows`: dx[:, rows] = dy · w[rows, :]^T.
    /// - Parameters:
    ///   - dx: (b, k), its columns `rows` overwritten; may be x itself once the weight gradient of these rows is taken.
    package static func inputGradient(
        dy: UnsafePointer<Float>, weights: UnsafePointer<Float>, rows: Range<Int>, samples: Int, inputs: Int, outputs: Int,
        dx: UnsafeMutablePointer<Float>
    ) {
        BLAS.gemm(
            transposeB: true, m: samples, n: rows.count, k: outputs, a: dy, strideA: outputs,
            b: weights + rows.lowerBound * outputs, strideB: outputs, beta: 0, c: dx + rows.lowerBound, strideC: inputs)
    }

    /// One sample's y: the sum of its partial products in order of the lanes, plus bias, ReLU if asked for.
    /// - Parameters:
    ///   - partials: (lanes, b, n).
    ///   - y: row `sample` of (b, n) overwritten. NaN passes through ReLU.
    package static func finish(
        partials: UnsafePointer<Float>, lanes: Int, sample: Int, samples: Int, outputs: Int,
        bias: UnsafePointer<Float>, rectified: Bool, y: UnsafeMutablePointer<Float>
    ) {
        let target = y + sample * outputs
        let first = partials + sample * outputs
        for index in 0..<outputs { target[index] = first[index] }
        for lane in 1..<max(1, lanes) {
            let source = partials + (lane * samples + sample) * outputs
            for index in 0..<outputs { target[index] += source[index] }
        }
        for index in 0..<outputs { target[index] += bias[index] }
        if rectified {
            for index in 0..<outputs { target[index] = target[index] <= 0 ? 0 : target[index] }
        }
    }

    /// dy of a rectified layer: no gradient passes where y was cut off.
    /// - Parameters:
    ///   - y, dy: (count); dy is set to 0 where y is 0. Where y is NaN, dy stays as it is.
    package static func rectifierBackward(y: UnsafePointer<Float>, dy: UnsafeMutablePointer<Float>, count: Int) {
        for index in 0..<count { dy[index] = y[index] <= 0 ? 0 : dy[index] }
    }

    /// Bias gradient: the column sums of dy, samples in order.
    /// - Parameters:
    ///   - dy: (b, n). gradient: overwritten, (n).
    package static func biasGradient(
        dy: UnsafePointer<Float>, samples: Int, outputs: Int, gradient: UnsafeMutablePointer<Float>
    ) {
        for index in 0..<outputs { gradient[index] = 0 }
        for sample in 0..<samples {
            let row = dy + sample * outputs
            for index in 0..<outputs { gradient[index] += row[index] }
        }
    }
}
