import CLinux

/// Sums that have the same bits in whatever order they are taken: of multiples of 2^-34, in double precision. While a sum stays
/// below 2^19 every addition is exact; beyond that it is as accurate as double precision is.
package enum ExactSum {
    /// What numbers are rounded to.
    package static let unit = 0x1p-34
    /// Floats in which a sum travels, so that sums of those are exact too, over 64 ranks at least.
    package static let slices = 3
    /// The coarser units of the slices: 17 bits each.
    private static let coarse = 0x1p2, middle = 0x1p-16

    /// A power of two by which numbers of at most `peak` are brought to at most 1: exactly, but for what underflows.
    /// - Parameter peak: at least 0; 0, infinity and NaN give 1.
    package static func scale(peak: Float) -> Float {
        guard peak.isFinite && peak > 0 else { return 1 }
        // A scale and its inverse are normal numbers.
        return Float(sign: .plus, exponent: -min(max(peak.exponent + 1, -126), 126), significand: 1)
    }

    /// A sum cut into three floats whose sum it is, or nearly so beyond 2^19.
    package static func cut(_ sum: Double) -> (Float, Float, Float) {
        let first = Float((sum / coarse).rounded(.toNearestOrEven) * coarse)
        let rest = sum - Double(first)
        let second = Float((rest / middle).rounded(.toNearestOrEven) * middle)
        return (first, second, Float(rest - Double(second)))
    }

    /// The sum whose slices these are, or sums of slices.
    package static func join(_ first: Float, _ second: Float, _ third: Float) -> Double {
        Double(first) + Double(second) + Double(third)
    }

    /// Rounds a number as it is rounded before it is added.
    @inline(__always)
    static func rounded(_ value: Float) -> Double { (Double(value) + 393_216) - 393_216 }
}
