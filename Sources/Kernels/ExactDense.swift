import CLinux

/// The product y = x · w + bias of a large fully connected layer where a sample's y must be a function of the sample and the
/// weights alone: whatever the other samples, and however the rows of w are divided among ranks.
///
/// Blocks of 32 rows are summed in floats, in order of the rows; the blocks are added by `ExactSum`, in any order. A sample's
/// x is brought to at most 1 first, by a power of two of its own.
package enum ExactDense {
    /// Rows of a block. Ranks divide w between blocks.
    package static let blockRows = 32
    /// Columns that one call should take: what is summed in registers.
    package static let columns = 64

    /// Doubles of a sample's sums: whole vectors.
    package static func paddedOutputs(_ outputs: Int) -> Int { (outputs + 7) / 8 * 8 }

    /// sums[s, columns] += the blocks' products x[s] · w[:, columns].
    /// - Parameters:
    ///   - x: (samples, rows), scaled. weights: (rows, outputs).
    ///   - rows: from the first row of a block to the last of one.
    ///   - columns: from a multiple of 8 on.
    ///   - sums: (samples, `paddedOutputs(outputs)`), added to.
    package static func accumulate(
        x: UnsafePointer<Float>, samples: Int, weights: UnsafePointer<Float>, rows: Int, outputs: Int, columns: Range<Int>,
        sums: UnsafeMutablePointer<Double>
    ) {
        let padded = paddedOutputs(outputs)
        for first in stride(from: 0, to: rows, by: blockRows) {
            let depth = min(blockRows, rows &- first)
            for sample in 0..<samples {
                let factors = x + (sample &* rows &+ first)
                let target = UnsafeMutableRawPointer(sums + sample &* padded)
                var column = columns.lowerBound
                while column &+ 32 <= columns.upperBound {
                    var (a, b, c, d) = (SIMD8<Float>.zero, SIMD8<Float>.zero, SIMD8<Float>.zero, SIMD8<Float>.zero)
                    var row = UnsafeRawPointer(weights + (first &* outputs &+ column))
                    for k in 0..<depth {
                        let factor = SIMD8(repeating: factors[k])
                        a.addProduct(factor, row.loadUnaligned(as: SIMD8<Float>.self))
                        b.addProduct(factor, row.loadUnaligned(fromByteOffset: 32, as: SIMD8<Float>.self))
                        c.addProduct(factor, row.loadUnaligned(fromByteOffset: 64, as: SIMD8<Float>.self))
                        d.addProduct(factor, row.loadUnaligned(fromByteOffset: 96, as: SIMD8<Float>.self))
                        row += outputs &* 4
                    }
                    let place = target + column &* 8
                    dtrain_add_exactly(place, a)
                    dtrain_add_exactly(place + 64, b)
                    dtrain_add_exactly(place + 128, c)
                    dtrain_add_exactly(place + 192, d)
                    column &+= 32
                }
                while column &+ 8 <= columns.upperBound {
                    var a = SIMD8<Float>.zero
                    var row = UnsafeRawPointer(weights + (first &* outputs &+ column))
                    for k in 0..<depth {
                        a.addProduct(SIMD8(repeating: factors[k]), row.loadUnaligned(as: SIMD8<Float>.self))
                        row += outputs &* 4
                    }
                    dtrain_add_exactly(target + column &* 8, a)
                    column &+= 8
                }
                while column < columns.upperBound {
                    var sum: Float = 0
                    for k in 0..<depth { sum.addProduct(factors[k], weights[(first &+ k) &* outputs &+ column]) }
                    sums[sample &* padded &+ column] += ExactSum.rounded(sum)
                    column &+= 1
                }
            }
        }
    }
}
