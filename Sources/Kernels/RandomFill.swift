package import System

/// Initial values: pure functions of a random stream and the element's number.
package enum RandomFill {
    /// Truncated normal: standard normal cut off at 2 standard deviations, times `deviation`.
    ///
    /// Value i = deviation · sqrt(2) · erfinv(u), u uniform in (-erf(sqrt 2), erf(sqrt 2)). erfinv is the central branch of
    /// M. Giles, "Approximating the erfinv function" (GPU Computing Gems, 2011), whose argument -log(1 - u^2) stays below 3.1
    /// here; its relative error is below 1e-6. Only additions and products: the same bits on every host.
    /// - Parameters:
    ///   - start: number of the first element in its stream.
    ///   - values: overwritten.
    package static func truncatedNormal(
        _ random: CounterRandom, start: Int, deviation: Float, into values: UnsafeMutableBufferPointer<Float>
    ) {
        // erf(sqrt(2)) = 0.954499736..., spread over 2^24 odd steps, so that u is never 0 or at the ends.
        let step = Float(0.954_499_74) * 0x1p-24
        let scale = deviation * Float(2).squareRoot()
        var index = 0
        while index < values.count {
            var bits = SIMD8<UInt32>.zero
            for lane in 0..<4 {
                // One 64-bit number serves two elements: 2n and 2n + 1.
                let pair = random.bits(UInt64((start + index) / 2 + lane))
                bits[2 * lane] = UInt32(truncatingIfNeeded: pair)
                bits[2 * lane + 1] = UInt32(truncatingIfNeeded: pair >> 32)
            }
            let odd = SIMD8<Int32>(truncatingIfNeeded: bits &>> 7) | 1
            let u = SIMD8<Float>(odd &- SIMD8(repeating: 1 << 24)) * step
            let normals = scale * inverseErrorFunction(u)
            let left = values.count - index
            if left >= 8 {
                UnsafeMutableRawPointer(values.baseAddress! + index).storeBytes(of: normals, as: SIMD8<Float>.self)
            } else {
                for lane in 0..<left { values[index + lane] = normals[lane] }
            }
            index += 8
        }
    }

    /// Giles's single-precision erfinv, central branch (w < 5).
    @inline(__always)
    private static func inverseErrorFunction(_ x: SIMD8<Float>) -> SIMD8<Float> {
        let w = -naturalLogarithm((1 - x) * (1 + x)) - 2.5
        var p = SIMD8<Float>(repeating: 2.81022636e-08)
        p = 3.43273939e-07 + p * w
        p = -3.5233877e-06 + p * w
        p = -4.39150654e-06 + p * w
        p = 0.00021858087 + p * w
        p = -0.00125372503 + p * w
        p = -0.00417768164 + p * w
        p = 0.246640727 + p * w
        p = 1.50140941 + p * w
        return p * x
    }

    /// log of numbers in (0, 1]: exponent, and the series 2·atanh(f), f = (m - 1)/(m + 1), for the mantissa around 1.
    @inline(__always)
    private static func naturalLogarithm(_ x: SIMD8<Float>) -> SIMD8<Float> {
        let bits = SIMD8<Int32>(truncatingIfNeeded: unsafeBitCast(x, to: SIMD8<UInt32>.self))
        // Mantissa in [sqrt(1/2), sqrt(2)): 0x3f3504f3 is sqrt(1/2).
        let exponent = (bits &- 0x3f35_04f3) &>> 23
        let mantissa = unsafeBitCast(bits &- (exponent &<< 23), to: SIMD8<Float>.self)
        let f = (mantissa - 1) / (mantissa + 1)
        let f2 = f * f
        let series = f * (2 + f2 * (0.666_666_67 + f2 * (0.4 + f2 * (0.285_714_29 + f2 * 0.222_222_22))))
        return SIMD8<Float>(exponent) * 0.693_147_18 + series
    }
}
