import CKernels

/// A 3 x 3 convolution of stride 1 by Winograd's minimal filtering F(m x m, 3 x 3) (Lavin, Gray, "Fast algorithms for
/// convolutional neural networks", 2015): the image's tiles and the kernels are transformed, multiplied place by place,
/// and transformed back. It takes 2.25 (m = 2) or 4 times (m = 4) fewer multiplications and rounds more coarsely: its results
/// differ from the exact ones by some ulps of the sum of the products' magnitudes, more with m = 4.
struct WinogradConvolution: Sendable, Equatable {
    /// Its geometry.
    let direct: DirectConvolution
    /// Rows and columns of the result that a tile gives: 2 or 4.
    let size: Int

    /// The fastest size for a shape, nil where the direct way is faster, by the multiply-adds and what the transforms cost.
    init?(_ direct: DirectConvolution) {
        guard
            direct.kernelHeight == 3, direct.kernelWidth == 3, direct.stride == 1, direct.inputs % 8 == 0, direct.outputs % 8 == 0,
            direct.inputs >= 16, direct.outputs >= 16
        else { return nil }
        func cost(_ size: Int) -> Int {
            let tiles = ((direct.rows + size - 1) / size) * ((direct.columns + size - 1) / size)
            // Fewer tiles than a register block has rows leave the multipliers idle.
            return (size + 2) * (size + 2) * (max(8, tiles) * direct.inputs * direct.outputs + 8 * tiles * (direct.inputs + direct.outputs))
        }
        let size = cost(4) <= cost(2) ? 4 : 2
        guard cost(size) < direct.rows * direct.columns * direct.depth * direct.outputs else { return nil }
        self.direct = direct
        self.size = size
    }

    /// Places of a transformed tile.
    var places: Int { (size + 2) * (size + 2) }
    var tileColumns: Int { (direct.columns + size - 1) / size }
    var tileRows: Int { (direct.rows + size - 1) / size }
    /// Rows of tiles of an item: a register block of tiles and more.
    var itemTileRows: Int { min(tileRows, max(1, 12 / tileColumns)) }
    var items: Int { (tileRows + itemTileRows - 1) / itemTileRows }

    /// One place's weights, packed.
    private var placeProduct: DirectConvolution {
        DirectConvolution(
            height: 1, width: 1, inputs: direct.inputs, outputs: direct.outputs, kernelHeight: 1, kernelWidth: 1, stride: 1,
            top: 0, left: 0, rows: 1, columns: 1, offset: 0, step: direct.outputs, rowStep: 0)
    }
    /// Floats of the packed weights: (places, strips, inputs, width of the strip).
    var packedCount: Int { places * packedStep }
    /// Floats from a place's packed weights to the next's: no power of two either.
    private var packedStep: Int { placeProduct.packedCount + 16 }

    /// Floats between places of `tiles` tiles: not a power of two, whose places would share few lines of the level-1 cache.
    func placeStep(tiles: Int, channels: Int) -> Int { tiles * channels + 16 }
    /// Floats of the image that `rows` rows of tiles read.
    func viewCount(tileRows rows: Int) -> Int { (rows * size + 2) * (tileColumns * size + 2) * direct.inputs }

    /// Floats of scratch for `run`.
    var scratchCount: Int {
        let tiles = itemTileRows * tileColumns
        return viewCount(tileRows: itemTileRows)
            + places * (placeStep(tiles: tiles, channels: direct.inputs) + placeStep(tiles: tiles, channels: direct.outputs))
    }

    /// Inputs whose kernels are transformed together, where outputs lie apart.
    private static let packGroup = 8

    /// The inputs of one of `items` parts of the packing.
    func packInputs(item: Int, of items: Int) -> Range<Int> {
        let groups = direct.inputs / Self.packGroup
        return groups * item / items * Self.packGroup..<groups * (item + 1) / items * Self.packGroup
    }

    /// Packs the kernels of some inputs.
    /// - Parameters:
    ///   - weights: those of input 0 and output 0; taps `tapStep` floats apart, inputs `inputStep`, outputs `outputStep`.
    ///   - turned: reads the taps backwards.
    ///   - inputs: whole groups of `packGroup`.
    func pack(
        _ weights: UnsafePointer<Float>, tapStep: Int, inputStep: Int, outputStep: Int, turned: Bool, inputs: Range<Int>,
        into packed: UnsafeMutablePointer<Float>, set: InstructionSet
    ) {
        var (start, strip) = (0, packed)
        while start < direct.outputs {
            let width = DirectConvolution.stripWidth(at: start, of: direct.outputs)
            let count = min(width, direct.outputs - start)
            let target = strip + inputs.lowerBound * width
            var work = dtrain_winograd_kernels()
            work.w = weights + inputs.lowerBound * inputStep + start * outputStep
            (work.tapStep, work.inputStep, work.outputStep) = (tapStep, inputStep, outputStep)
            (work.u, work.width, work.place) = (target, width, packedStep)
            (work.m, work.turned) = (Int32(size), turned ? 1 : 0)
            (work.inputs, work.outputs) = (Int32(inputs.count), Int32(count))
            switch set {
            case .v3: dtrain_winograd_weights_3(&work)
            case .v4: dtrain_winograd_weights_4(&work)
            }
            for input in 0..<inputs.count where count < width {
                for place in 0..<places {
                    (target + input * width + place * packedStep + count).update(repeating: 0, count: width - count)
                }
            }
            strip += direct.inputs * width
            start += width
        }
    }

    /// The transformed tiles of some rows of tiles, into (places, tiles, inputs).
    func transformInput(
        _ x: UnsafePointer<Float>, _ normalization: InputNormalization?, tileRows rows: Range<Int>,
        tiles: UnsafeMutablePointer<Float>, placeStep: Int,
        scratch: UnsafeMutablePointer<Float>, set: InstructionSet
    ) {
        let view = direct.view(
            x, normalization, firstRow: rows.lowerBound * size - direct.top, rows: rows.count * size + 2, columns: tileColumns * size + 2,
            scratch: scratch)
        var work = dtrain_winograd()
        work.m = Int32(size)
        work.image = view.start
        work.rowStep = view.rowStep
        work.step = direct.inputs
        work.tiles = tiles
        work.place = placeStep
        work.channels = direct.inputs
        (work.tileRows, work.tileColumns) = (rows.count, tileColumns)
        switch set {
        case .v3: dtrain_winograd_input_3(&work)
        case .v4: dtrain_winograd_input_4(&work)
        }
    }

    /// One item's rows of the result.
    func run(
        x: UnsafePointer<Float>, normalization: InputNormalization? = nil, packed: UnsafePointer<Float>,
        bias: UnsafePointer<Float>?, rectified: Bool, accumulating: Bool,
        y: UnsafeMutablePointer<Float>, item: Int, scratch: UnsafeMutablePointer<Float>, set: InstructionSet
    ) {
        let rows = item * itemTileRows..<min(tileRows, (item + 1) * itemTileRows)
        let tiles = rows.count * tileColumns
        let inputStep = placeStep(tiles: tiles, channels: direct.inputs)
        let outputStep = placeStep(tiles: tiles, channels: direct.outputs)
        let inputTiles = scratch + viewCount(tileRows: itemTileRows)
        let outputTiles = inputTiles + places * inputStep
        transformInput(
            x, normalization, tileRows: rows, tiles: inputTiles, placeStep: inputStep, scratch: scratch, set: set)
        multiply(inputTiles, inputStep, packed, into: outputTiles, outputStep, tiles: tiles, set: set)
        var work = dtrain_winograd()
        work.m = Int32(size)
        work.result = y + (direct.offset + rows.lowerBound * size * direct.rowStep)
        work.rowStep = direct.rowStep
        work.step = direct.step
        work.tiles = outputTiles
        work.place = outputStep
        work.bias = bias
        work.channels = direct.outputs
        (work.tileRows, work.tileColumns) = (rows.count, tileColumns)
        (work.rows, work.columns) = (direct.rows - rows.lowerBound * size, direct.columns)
        work.accumulates = accumulating ? 1 : 0
        work.rectifies = rectified ? 1 : 0
        switch set {
        case .v3: dtrain_winograd_output_3(&work)
        case .v4: dtrain_winograd_output_4(&work)
        }
    }

    /// Place by place: (tiles, outputs) = (tiles, inputs) · (inputs, outputs).
    private func multiply(
        _ input: UnsafePointer<Float>, _ inputStep: Int, _ packed: UnsafePointer<Float>,
        into output: UnsafeMutablePointer<Float>, _ outputStep: Int, tiles: Int, set: InstructionSet
    ) {
        var work = dtrain_convolution_rows()
        work.xStep = direct.inputs
        work.yStep = direct.outputs
        work.rows = 1
        work.columns = tiles
        work.taps = 1
        work.run = direct.inputs
        for place in 0..<places {
            var (start, strip) = (0, packed + place * packedStep)
            work.x = input + place * inputStep
            while start < direct.outputs {
                let width = DirectConvolution.stripWidth(at: start, of: direct.outputs)
                work.w = strip
                work.wStep = width
                work.y = output + (place * outputStep + start)
                work.width = Int32(width)
                work.channels = Int32(min(width, direct.outputs - start))
                switch set {
                case .v3: dtrain_convolve_rows_3(&work)
                case .v4: dtrain_convolve_rows_4(&work)
                }
                strip += direct.inputs * width
                start += width
            }
        }
    }
}
