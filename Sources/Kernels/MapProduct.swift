import CKernels

/// Products of a sample's map, (positions, channels), with small matrices, by the convolutions' register blocks: a BLAS would pack
/// both for as little work as this. Every sum has one order, on every processor.
package enum MapProduct {
    /// Floats behind a matrix that may be read.
    package static let slack = 32

    /// y = x · w, or added to y.
    /// - Parameters:
    ///   - x: (positions, inputs), `xStep` floats from a position to the next.
    ///   - w: (inputs, outputs), `wStep` floats from a row to the next, and `slack` floats behind.
    ///   - y: (positions, outputs), `yStep` floats from a position to the next.
    package static func multiply(
        x: UnsafePointer<Float>, xStep: Int, w: UnsafePointer<Float>, wStep: Int, positions: Int, inputs: Int, outputs: Int,
        y: UnsafeMutablePointer<Float>, yStep: Int, accumulating: Bool = false, set: InstructionSet = .best
    ) {
        var work = dtrain_convolution_rows()
        work.x = x
        work.xStep = xStep
        work.wStep = wStep
        work.yStep = yStep
        (work.rows, work.columns, work.taps, work.run) = (1, positions, 1, inputs)
        work.accumulates = accumulating ? 1 : 0
        var start = 0
        while start < outputs {
            let width = DirectConvolution.stripWidth(at: start, of: outputs)
            work.w = w + start
            work.y = y + start
            work.width = Int32(width)
            work.channels = Int32(min(width, outputs - start))
            switch set {
            case .v3: dtrain_convolve_rows_3(&work)
            case .v4: dtrain_convolve_rows_4(&work)
            }
            start += width
        }
    }

    /// Positions that all blocks go over before the next: their memory stays in the level-1 cache, and each block asks for its share
    /// of what comes next.
    private static let positionsAtOnce = 32

    /// sums = x^T · y: over some positions in order, and these sums in order.
    /// - Parameters:
    ///   - x: (positions, rows), `xStep` floats from a position to the next. y: (positions, columns), `yStep` floats.
    ///   - sums: (rows, columns), overwritten.
    package static func reduce(
        x: UnsafePointer<Float>, xStep: Int, y: UnsafePointer<Float>, yStep: Int, positions: Int, rows: Int, columns: Int,
        sums: UnsafeMutablePointer<Float>, set: InstructionSet = .best
    ) {
        sums.update(repeating: 0, count: rows * columns)
        var work = dtrain_convolution_gradient()
        work.xStep = xStep
        work.dyStep = yStep
        work.g = sums
        work.gStep = columns
        (work.rows, work.taps, work.run) = (1, 1, rows)
        work.channels = Int32(columns)
        for first in stride(from: 0, to: positions, by: positionsAtOnce) {
            work.x = x + first &* xStep
            work.dy = y + first &* yStep
            work.columns = min(positionsAtOnce, positions &- first)
            switch set {
            case .v3: dtrain_convolve_gradient_3(&work)
            case .v4: dtrain_convolve_gradient_4(&work)
            }
        }
    }
}
