/// The three products of a large fully connected layer y = x · w, x (b, k), w (k, n), for batches of some tens of samples,
/// where a general matrix product spends its time on packing w: here w is read in place, row-major, exactly once a product.
///
/// The work of one call is a block of rows of w; calls on other blocks run side by side. Register blocks are 6 x 16
/// (12 accumulators of eight floats, as many as 16 registers allow); see `TiledForward`, `TiledInputGradient` and
/// `TiledWeightGradient` for each product's order of summation, which depends on nothing but the shapes.
package struct TiledDense: Sendable {
    /// Rows of w in a block of the backward pass are a multiple of this (but for the last), so that register blocks fit.
    package static let rowGranule = 12
    /// Columns of a register block: one cache line of w's row.
    static let strip = 16
    /// Rows (or samples) of a register block.
    static let panel = 6

    /// k: rows of w.
    package let inputs: Int
    /// n: columns of w.
    package let outputs: Int
    /// b.
    package let samples: Int

    package init(inputs: Int, outputs: Int, samples: Int) {
        self.inputs = inputs
        self.outputs = outputs
        self.samples = samples
    }

    /// Whether the register blocks fit the columns.
    package static func fits(outputs: Int) -> Bool { outputs % strip == 0 }

    /// Samples rounded up to whole panels: rows that `forward` writes.
    package static func paddedSamples(_ samples: Int) -> Int { (samples + panel - 1) / panel * panel }

    /// Floats of scratch a thread needs: x packed for a block of `rows` rows of w, or for a forward block.
    package static func scratchCount(samples: Int, rows: Int) -> Int {
        let forward = (paddedSamples(samples) + strip) * TiledForward.depth
        let backward = paddedRows(rows) * samples + blockCount
        return (max(forward, backward) + strip - 1) / strip * strip
    }

    /// Floats that `packInputs` writes for a block of rows.
    package func packedInputCount(rows: Int) -> Int { Self.paddedRows(rows) * samples }

    /// Floats of one register block.
    package static let blockCount = strip * panel

    private static func paddedRows(_ rows: Int) -> Int { (rows + panel - 1) / panel * panel }

    /// Floats of dy packed for `weightGradient`.
    package static func packedCount(samples: Int, outputs: Int) -> Int { samples * outputs }

    /// Packs dy (b, n) into strips, (n / 16, b, 16), for `weightGradient`.
    package func pack(dy: UnsafePointer<Float>, into packed: UnsafeMutablePointer<Float>) {
        for strip in 0..<outputs / Self.strip {
            for sample in 0..<samples {
                (packed + (strip * samples + sample) * Self.strip).update(
                    from: dy + sample * outputs + strip * Self.strip, count: Self.strip)
            }
        }
    }
}
