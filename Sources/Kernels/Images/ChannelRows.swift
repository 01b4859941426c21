import CKernels

/// Rows of channels that go from one map to another of other width: what concatenation and its way back do.
package enum ChannelRows {
    /// y = x, or y += x.
    /// - Parameters:
    ///   - x, y: (rows, channels), `xStep` and `yStep` floats from a row to the next.
    package static func move(
        _ x: UnsafePointer<Float>, step xStep: Int, to y: UnsafeMutablePointer<Float>, step yStep: Int, rows: Int, channels: Int,
        accumulating: Bool = false, set: InstructionSet = .best
    ) {
        switch set {
        case .v3: dtrain_move_rows_3(x, xStep, y, yStep, rows, channels, accumulating ? 1 : 0)
        case .v4: dtrain_move_rows_4(x, xStep, y, yStep, rows, channels, accumulating ? 1 : 0)
        }
    }
}
