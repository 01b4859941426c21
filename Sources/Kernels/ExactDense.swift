import CKernels

/// The product y = x · w + bias of a large fully connected layer where a sample's y must be a function of the sample and the
/// weights alone: whatever the other samples, and however the rows of w are divided among ranks.
///
/// Blocks of 32 rows are summed in floats, in order of the rows; the blocks are added by `ExactSum`, in any order. A sample's
/// x is brought to at most 1 first, by a power of two of its own.
package enum ExactDense {
    /// Rows of a block. Ranks divide w between blocks.
    package static let blockRows = 32
    /// Columns that one call should take: what is packed at once, or with one sample, which is not packed, a thread's share.
    package static func columns(outputs: Int, samples: Int, threads: Int) -> Int {
        samples > 1 ? 64 : max(64, (outputs / threads + 63) / 64 * 64)
    }

    /// Doubles of a sample's sums: whole vectors.
    package static func paddedOutputs(_ outputs: Int) -> Int { (outputs + 7) / 8 * 8 }

    /// sums[s, columns] += the blocks' products x[s] · w[:, columns].
    /// - Parameters:
    ///   - x: (samples, rows), scaled. weights: (rows, outputs).
    ///   - rows: from the first row of a block to the last of one.
    ///   - columns: from a multiple of 8 on, to one or to the last.
    ///   - sums: (samples, `paddedOutputs(outputs)`), added to.
    package static func accumulate(
        x: UnsafePointer<Float>, samples: Int, weights: UnsafePointer<Float>, rows: Int, outputs: Int, columns: Range<Int>,
        sums: UnsafeMutablePointer<Double>, set: InstructionSet = .best
    ) {
        guard samples > 0 else { return }
        var work = dtrain_exact_product(
            x: x, xStep: rows, w: weights + columns.lowerBound, wStep: outputs, sums: sums + columns.lowerBound,
            sumsStep: paddedOutputs(outputs), samples: samples, rows: rows, columns: columns.count)
        switch set {
        case .v3: dtrain_exact_product_3(&work)
        case .v4: dtrain_exact_product_4(&work)
        }
    }
}
