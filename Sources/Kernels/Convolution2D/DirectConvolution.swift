import CKernels

/// A convolution with any zeros around the image and any place of its result, by register blocks over packed weights: a
/// forward pass, or one phase of an input gradient.
struct DirectConvolution: Sendable, Equatable {
    /// Of the image it reads.
    let height, width, inputs: Int
    /// Channels it makes.
    let outputs: Int
    let kernelHeight, kernelWidth, stride: Int
    /// Rows and columns of zeros above and left of the image; below and right as many as the result needs.
    let top, left: Int
    /// Of its result.
    let rows, columns: Int
    /// Floats from the result's start to its first position, from a position to the next, and from a row to the next.
    let offset, step, rowStep: Int

    /// Terms of each sum.
    var depth: Int { kernelHeight * kernelWidth * inputs }

    /// Channels of the strip that starts at channel `start`, as packed: 8, 16 or 32.
    static func stripWidth(at start: Int, of outputs: Int) -> Int {
        let left = outputs - start
        return left > 16 ? 32 : left > 8 ? 16 : 8
    }

    /// Floats of its packed weights: (strips, depth, width of the strip), zeros past the last channel.
    var packedCount: Int {
        var (start, total) = (0, 0)
        while start < outputs {
            let width = Self.stripWidth(at: start, of: outputs)
            total += width
            start += width
        }
        return total * depth
    }

    /// Columns of the image that a row of the result reads.
    private var readColumns: Int { (columns - 1) * stride + kernelWidth }
    /// Rows of the image that `count` rows of the result read.
    private func readRows(_ count: Int) -> Int { (count - 1) * stride + kernelHeight }

    /// Floats of scratch for `count` rows of the result.
    func scratchCount(rows count: Int) -> Int {
        guard depth > 0, rows > 0, columns > 0 else { return 0 }
        return readRows(min(count, rows)) * readColumns * inputs
    }

    /// Packs `count` rows of a matrix (depth, outputs), as of row `first`.
    /// - Parameters:
    ///   - weights: its row `first`. rowStep, columnStep: floats from a row to the next, from a column to the next.
    func pack(
        _ weights: UnsafePointer<Float>, rowStep: Int, columnStep: Int, rows: Range<Int>, into packed: UnsafeMutablePointer<Float>
    ) {
        var (start, strip) = (0, packed)
        while start < outputs {
            let width = Self.stripWidth(at: start, of: outputs)
            let count = min(width, outputs - start)
            var source = weights + start * columnStep
            var target = strip + rows.lowerBound * width
            for _ in rows {
                if columnStep == 1 {
                    for o in 0..<count { target[o] = source[o] }
                } else {
                    for o in 0..<count { target[o] = source[o &* columnStep] }
                }
                for o in count..<max(count, width) { target[o] = 0 }
                source += rowStep
                target += width
            }
            strip += depth * width
            start += width
        }
    }

    /// The part of an image that some rows of the result read, with its zeros.
    struct View {
        /// First row and column read.
        let start: UnsafePointer<Float>
        /// Floats from a row of the image to the next.
        let rowStep: Int
    }

    /// What `range` of the result's rows reads: the image itself where nothing outside it is read and nothing is done to it, else
    /// a copy with the zeros in `scratch`.
    func view(
        _ x: UnsafePointer<Float>, _ normalization: InputNormalization?, pixelStep: Int? = nil, rows range: Range<Int>,
        scratch: UnsafeMutablePointer<Float>
    ) -> View {
        if let pixelStep {
            precondition(kernelHeight * kernelWidth * stride == 1 && normalization == nil, "only plain products read so")
            return View(start: x + range.lowerBound * width * pixelStep, rowStep: width * pixelStep)
        }
        return view(
            x, normalization, firstRow: range.lowerBound * stride - top, rows: readRows(range.count), columns: readColumns,
            scratch: scratch)
    }

    /// Rows of the image as of `firstRow`, which may be negative, and columns as of -left; either may reach beyond its end.
    func view(
        _ x: UnsafePointer<Float>, _ normalization: InputNormalization?, firstRow: Int, rows count: Int, columns: Int,
        scratch: UnsafeMutablePointer<Float>
    ) -> View {
        let rowLength = width * inputs
        if normalization == nil && left == 0 && columns <= width && firstRow >= 0 && firstRow + count <= height {
            return View(start: x + firstRow * rowLength, rowStep: rowLength)
        }
        let targetLength = columns * inputs
        let margin = left * inputs
        let copied = min(rowLength, targetLength - margin)
        var target = scratch
        for row in firstRow..<firstRow + count {
            if row < 0 || row >= height {
                target.update(repeating: 0, count: targetLength)
            } else {
                target.update(repeating: 0, count: margin)
                if let normalization {
                    normalization.apply(x + row * rowLength, y: target + margin, positions: copied / inputs)
                } else {
                    (target + margin).update(from: x + row * rowLength, count: copied)
                }
                (target + margin + copied).update(repeating: 0, count: targetLength - margin - copied)
            }
            target += targetLength
        }
        return View(start: scratch, rowStep: targetLength)
    }

    /// Some rows of the result.
    func run(
        x: UnsafePointer<Float>, normalization: InputNormalization? = nil, pixelStep: Int? = nil, packed: UnsafePointer<Float>,
        bias: UnsafePointer<Float>?, rectified: Bool, accumulating: Bool,
        y: UnsafeMutablePointer<Float>, rows range: Range<Int>, scratch: UnsafeMutablePointer<Float>, set: InstructionSet
    ) {
        guard !range.isEmpty, columns > 0 else { return }
        var work = dtrain_convolution_rows()
        if depth > 0 {
            let view = view(x, normalization, pixelStep: pixelStep, rows: range, scratch: scratch)
            work.x = view.start
            work.xRow = view.rowStep * stride
            work.xTap = view.rowStep
            work.taps = kernelHeight
            work.run = kernelWidth * inputs
        } else {
            (work.x, work.taps) = (x, 0)
        }
        work.xStep = stride * (pixelStep ?? inputs)
        work.yStep = step
        work.yRow = rowStep
        work.rows = range.count
        work.columns = columns
        work.accumulates = accumulating ? 1 : 0
        work.rectifies = rectified ? 1 : 0
        var (start, strip) = (0, packed)
        while start < outputs {
            let width = Self.stripWidth(at: start, of: outputs)
            work.w = strip
            work.wStep = width
            work.bias = bias.map { $0 + start }
            work.y = y + (offset + range.lowerBound * rowStep + start)
            work.width = Int32(width)
            work.channels = Int32(min(width, outputs - start))
            switch set {
            case .v3: dtrain_convolve_rows_3(&work)
            case .v4: dtrain_convolve_rows_4(&work)
            }
            strip += depth * width
            start += width
        }
    }
}
