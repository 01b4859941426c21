import CKernels

/// The weight gradient in the transformed domain: G^T (sum over tiles of (B^T x B) · (A dy A^T)) G.
extension WinogradConvolution {
    /// Rows of tiles of a unit: what is transformed at once.
    var unitTileRows: Int { min(tileRows, max(1, 36 / tileColumns)) }
    /// Units of a sample.
    var gradientUnits: Int { (tileRows + unitTileRows - 1) / unitTileRows }
    /// Units that are multiplied together.
    private var unitsAtOnce: Int { max(1, 36 / (unitTileRows * tileColumns)) }

    private var tilesAtOnce: Int { unitsAtOnce * unitTileRows * tileColumns }
    /// Floats between the sums of two places.
    private var sumStep: Int { placeStep(tiles: direct.inputs, channels: direct.outputs) }
    /// Tiles that make up for a lane's own work: its sums cleared, transformed back and added.
    private static var laneTiles: Int { 48 }

    /// Lanes for so many samples; 0 where so few are faster the direct way.
    func gradientLanes(samples: Int) -> Int {
        min(16, samples * gradientUnits, samples * tileRows * tileColumns / Self.laneTiles)
    }

    /// Floats of scratch for `weightGradient`.
    var gradientScratchCount: Int {
        viewCount(tileRows: unitTileRows)
            + places
            * (placeStep(tiles: tilesAtOnce, channels: direct.inputs) + placeStep(tiles: tilesAtOnce, channels: direct.outputs)
                + sumStep)
    }

    /// The sum over a range of units, numbered through all samples.
    /// - Parameters:
    ///   - x: (samples, H, W, C). dy: (samples, H', W', O). gradient: (3, 3, C, O), overwritten.
    func weightGradient(
        x: UnsafePointer<Float>, normalization: InputNormalization?, dy: UnsafePointer<Float>, units: Range<Int>,
        gradient: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>, set: InstructionSet
    ) {
        let (inputs, outputs) = (direct.inputs, direct.outputs)
        let inputStep = placeStep(tiles: tilesAtOnce, channels: inputs)
        let outputStep = placeStep(tiles: tilesAtOnce, channels: outputs)
        let inputTiles = scratch + viewCount(tileRows: unitTileRows)
        let outputTiles = inputTiles + places * inputStep
        let sums = outputTiles + places * outputStep
        sums.update(repeating: 0, count: places * sumStep)
        var tiles = 0
        for unit in units {
            let (sample, block) = (unit / gradientUnits, unit % gradientUnits)
            let rows = block * unitTileRows..<min(tileRows, (block + 1) * unitTileRows)
            transformInput(
                x + sample * direct.height * direct.width * inputs, normalization, tileRows: rows, tiles: inputTiles + tiles * inputs,
                placeStep: inputStep, scratch: scratch, set: set)
            transformGradient(
                dy + sample * direct.rows * direct.columns * outputs, tileRows: rows, tiles: outputTiles + tiles * outputs,
                placeStep: outputStep, set: set)
            tiles += rows.count * tileColumns
            if tiles + unitTileRows * tileColumns > tilesAtOnce || unit == units.upperBound - 1 {
                accumulate(inputTiles, inputStep, outputTiles, outputStep, tiles: tiles, into: sums, set: set)
                tiles = 0
            }
        }
        var work = dtrain_winograd()
        work.m = Int32(size)
        work.tiles = sums
        work.place = sumStep
        work.result = gradient
        work.channels = inputs * outputs
        switch set {
        case .v3: dtrain_winograd_weights_back_3(&work)
        case .v4: dtrain_winograd_weights_back_4(&work)
        }
    }

    private func transformGradient(
        _ dy: UnsafePointer<Float>, tileRows rows: Range<Int>, tiles: UnsafeMutablePointer<Float>, placeStep: Int,
        set: InstructionSet
    ) {
        var work = dtrain_winograd()
        work.m = Int32(size)
        work.image = dy + rows.lowerBound * size * direct.columns * direct.outputs
        work.rowStep = direct.columns * direct.outputs
        work.step = direct.outputs
        work.tiles = tiles
        work.place = placeStep
        work.channels = direct.outputs
        (work.tileRows, work.tileColumns) = (rows.count, tileColumns)
        (work.rows, work.columns) = (direct.rows - rows.lowerBound * size, direct.columns)
        switch set {
        case .v3: dtrain_winograd_gradient_3(&work)
        case .v4: dtrain_winograd_gradient_4(&work)
        }
    }

    /// Place by place: sums (inputs, outputs) += (tiles, inputs)^T · (tiles, outputs).
    private func accumulate(
        _ input: UnsafePointer<Float>, _ inputStep: Int, _ output: UnsafePointer<Float>, _ outputStep: Int, tiles: Int,
        into sums: UnsafeMutablePointer<Float>, set: InstructionSet
    ) {
        var work = dtrain_convolution_gradient()
        work.xStep = direct.inputs
        work.dyStep = direct.outputs
        work.gStep = direct.outputs
        work.rows = 1
        work.columns = tiles
        work.taps = 1
        work.run = direct.inputs
        work.channels = Int32(direct.outputs)
        for place in 0..<places {
            work.x = input + place * inputStep
            work.dy = output + place * outputStep
            work.g = sums + place * sumStep
            switch set {
            case .v3: dtrain_convolve_gradient_3(&work)
            case .v4: dtrain_convolve_gradient_4(&work)
            }
        }
    }
}
