/// Test data: pseudo-random numbers of a fixed seed (SplitMix64), apart from the product's own generator.
package struct TestValues {
    private var state: UInt64

    package init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 }

    /// 64 random bits.
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Uniform numbers in (-bound, bound) that a Float holds exactly, so that Float and Double begin with the same.
    package mutating func uniform(_ count: Int, bound: Double = 1) -> [Double] {
        (0..<count).map { _ in Double(Float((Double(next() >> 11) * 0x1p-52 - 1) * bound)) }
    }

    /// Whole numbers in -bound ... bound, times `unit`, a power of two. Float sums and products of few-digit numbers are
    /// exact in any order, so that results can be compared for equality, ties included.
    package mutating func dyadic(_ count: Int, bound: Int, unit: Double = 1) -> [Double] {
        (0..<count).map { _ in Double(Int(next() % UInt64(2 * bound + 1)) - bound) * unit }
    }
}

extension [Double] {
    /// The nearest Floats.
    package var floats: [Float] { map { Float($0) } }
    /// Absolute values.
    package var magnitudes: [Double] { map { abs($0) } }
}

extension [Float] {
    /// The same numbers as Doubles.
    package var doubles: [Double] { map { Double($0) } }
}
