extension Convolution2D {
    /// Rows of an item: about a million multiply-adds.
    private static func rowsPerItem(_ rows: Int, work: Int) -> Int { min(rows, max(1, (1 << 20) / max(1, work))) }

    /// Rows of y of an item.
    var forwardRows: Int { Self.rowsPerItem(outputHeight, work: outputWidth * weightCount) }
    /// Rows of each phase of dx of an item.
    var inputRows: Int { Self.rowsPerItem((height + stride - 1) / stride, work: multiplyAdds / height * stride) }

    // MARK: Forward

    /// Floats of the weights packed for `forward`.
    package var forwardPackedCount: Int { winograd?.packedCount ?? direct.packedCount }
    /// Items a sample of `forward`: blocks of rows of y.
    package var forwardItems: Int { winograd?.items ?? (outputHeight + forwardRows - 1) / forwardRows }

    /// Packs an item of the weights for `forward`, once for each step's weights.
    package func packForward(_ weights: UnsafePointer<Float>, into packed: UnsafeMutablePointer<Float>, item: Int) {
        if let winograd {
            return winograd.pack(
                weights, tapStep: inputChannels * outputChannels, inputStep: outputChannels, outputStep: 1, turned: false,
                inputs: winograd.packInputs(item: item, of: packItems), into: packed, set: instructionSet)
        }
        let first = item * inputChannels
        direct.pack(
            weights + first * outputChannels, rowStep: outputChannels, columnStep: 1, rows: first..<first + inputChannels,
            into: packed)
    }

    /// y = conv(x) + bias, for a block of rows of y.
    /// - Parameters:
    ///   - x: the sample's (H, W, C). normalization: what is done to it on the way.
    ///   - step: of a 1x1 convolution of stride 1, floats from a position of x to the next; nil: C.
    ///   - packed: from `packForward`. bias: (O), or nil for none.
    ///   - rectified: y = max(0, y); NaN stays.
    ///   - y: the sample's (H', W', O): the item's rows are overwritten.
    ///   - scratch: `scratchCount` floats of this thread.
    package func forward(
        x: UnsafePointer<Float>, normalization: InputNormalization? = nil, step: Int? = nil, packed: UnsafePointer<Float>,
        bias: UnsafePointer<Float>?, rectified: Bool = false,
        y: UnsafeMutablePointer<Float>, item: Int, scratch: UnsafeMutablePointer<Float>
    ) {
        if let winograd {
            return winograd.run(
                x: x, normalization: normalization, packed: packed, bias: bias, rectified: rectified, accumulating: false, y: y,
                item: item, scratch: scratch, set: instructionSet)
        }
        let rows = item * forwardRows..<min(outputHeight, (item + 1) * forwardRows)
        direct.run(
            x: x, normalization: normalization, pixelStep: step, packed: packed, bias: bias, rectified: rectified,
            accumulating: false, y: y, rows: rows, scratch: scratch, set: instructionSet)
    }

    /// Positions of y that an item of `forward` makes.
    package func positions(ofForwardItem item: Int) -> Range<Int> {
        let rows = winograd.map { $0.itemTileRows * $0.size } ?? forwardRows
        return min(outputHeight, item * rows) * outputWidth..<min(outputHeight, (item + 1) * rows) * outputWidth
    }

    // MARK: Input gradient

    /// Floats of the weights packed for `inputGradient`.
    package var backwardPackedCount: Int { inputWinograd?.packedCount ?? phases.reduce(0) { $0 + $1.packedCount } }
    /// Items a sample of `inputGradient`: blocks of rows of dx.
    package var inputGradientItems: Int {
        inputWinograd?.items ?? ((height + stride - 1) / stride + inputRows - 1) / inputRows
    }

    /// Positions of x whose gradient an item makes, with stride 1.
    package func positions(ofInputItem item: Int) -> Range<Int> {
        let rows = inputWinograd.map { $0.itemTileRows * $0.size } ?? inputRows
        return min(height, item * rows) * width..<min(height, (item + 1) * rows) * width
    }

    /// Packs an item of the weights for `inputGradient`: transposed, and the kernel turned round.
    package func packBackward(_ weights: UnsafePointer<Float>, into packed: UnsafeMutablePointer<Float>, item: Int) {
        if let inputWinograd {
            return inputWinograd.pack(
                weights, tapStep: inputChannels * outputChannels, inputStep: 1, outputStep: outputChannels, turned: true,
                inputs: inputWinograd.packInputs(item: item, of: packItems), into: packed, set: instructionSet)
        }
        let (k, l) = (item / kernel, item % kernel)
        let index = k % stride * stride + l % stride
        let phase = phases[index]
        let place = (phase.kernelHeight - 1 - k / stride) * phase.kernelWidth + phase.kernelWidth - 1 - l / stride
        let start = phases[..<index].reduce(0) { $0 + $1.packedCount }
        phase.pack(
            weights + item * inputChannels * outputChannels, rowStep: 1, columnStep: outputChannels,
            rows: place * outputChannels..<(place + 1) * outputChannels, into: packed + start)
    }

    /// dx = the gradient of x, for a block of rows of x.
    /// - Parameters:
    ///   - dy: the sample's (H', W', O). packed: from `packBackward`.
    ///   - dx: the sample's (H, W, C): the item's rows are overwritten, or added to where `accumulating`.
    ///   - scratch: `scratchCount` floats of this thread.
    package func inputGradient(
        dy: UnsafePointer<Float>, packed: UnsafePointer<Float>, dx: UnsafeMutablePointer<Float>, accumulating: Bool = false,
        item: Int, scratch: UnsafeMutablePointer<Float>
    ) {
        if let inputWinograd {
            return inputWinograd.run(
                x: dy, packed: packed, bias: nil, rectified: false, accumulating: accumulating, y: dx, item: item,
                scratch: scratch, set: instructionSet)
        }
        var packed = packed
        for phase in phases {
            let first = min(phase.rows, item * inputRows)
            phase.run(
                x: dy, packed: packed, bias: nil, rectified: false, accumulating: accumulating, y: dx,
                rows: first..<min(phase.rows, first + inputRows), scratch: scratch, set: instructionSet)
            packed += phase.packedCount
        }
    }
}
