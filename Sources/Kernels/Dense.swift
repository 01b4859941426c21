import Tensors

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
