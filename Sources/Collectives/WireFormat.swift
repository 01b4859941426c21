/// How floats travel between ranks.
///
/// Sums are taken in fp32 in either case. What leaves a rank as bf16 has been rounded to the nearest, ties to even: 8
/// significant bits, the range of fp32. A `sum` in bf16 is rounded once more at its end, on all ranks alike, so that
/// they hold the same bits.
package enum WireFormat: String, Sendable, CaseIterable, Codable {
    case fp32, bf16

    /// Bytes of one value.
    package var stride: Int { self == .fp32 ? 4 : 2 }
}

/// Conversions to and from bf16: the upper half of an fp32 value.
package enum BFloat16 {
    /// The nearest bf16 value, ties to even; NaN stays NaN.
    package static func bits(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        if value.isNaN { return UInt16(bits >> 16) | 0x40 }
        return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
    }

    /// A bf16 value as fp32, exactly.
    package static func value(_ bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }

    /// `target[i]` = `source[i]` rounded. They do not overlap.
    package static func encode(_ source: UnsafePointer<Float>, count: Int, into target: UnsafeMutableRawPointer) {
        // Plain loops: the compiler makes registers of eight of them.
        let target = target.assumingMemoryBound(to: UInt16.self)
        for index in 0..<count { target[index] = bits(source[index]) }
    }

    /// `target[i]` = `source[i]` as fp32. They do not overlap.
    package static func decode(_ source: UnsafeRawPointer, count: Int, into target: UnsafeMutablePointer<Float>) {
        let source = source.assumingMemoryBound(to: UInt16.self)
        for index in 0..<count { target[index] = value(source[index]) }
    }

    /// Eight bf16 values as fp32. Need not be aligned.
    @inline(__always)
    static func load(_ source: UnsafeRawPointer) -> SIMD8<Float> {
        let bits = SIMD8<UInt32>(truncatingIfNeeded: source.loadUnaligned(as: SIMD8<UInt16>.self)) &<< 16
        return unsafeBitCast(bits, to: SIMD8<Float>.self)
    }
}
