import CKernels

/// How a crop's pixels are made of a frame's nearest ones, a row at a time.
package enum CropRow {
    /// Pixel i of the row takes the frame's pixel at start + i · step, fractions cut off, as (depth - centre) · inverse within [-1, 1].
    /// Where that lies beyond the frame, and where there is no measurement (0), it is 1. The same bits on every set.
    /// - Parameters:
    ///   - frame: depths, (height, width).
    ///   - start, step: (column, row), pixels.
    ///   - row: `count` values, overwritten.
    package static func sample(
        _ frame: UnsafePointer<UInt16>, width: Int, height: Int, start: SIMD2<Float>, step: SIMD2<Float>, centre: Float,
        inverse: Float, into row: UnsafeMutablePointer<Float>, count: Int, set: InstructionSet = .best
    ) {
        var work = dtrain_crop_row()
        (work.frame, work.width, work.height) = (frame, width, height)
        (work.x, work.y, work.stepX, work.stepY) = (start.x, start.y, step.x, step.y)
        (work.centre, work.inverse) = (centre, inverse)
        (work.crop, work.count) = (row, count)
        switch set {
        case .v3: dtrain_sample_crop_row_3(&work)
        case .v4: dtrain_sample_crop_row_4(&work)
        }
    }
}
