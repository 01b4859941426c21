import System

/// A point or direction in mm; in camera space x points right, y DOWN and z away from the camera.
typealias Vector3 = SIMD3<Float>

extension SIMD3 where Scalar == Float {
    /// Inner product.
    @inline(__always)
    func dot(_ other: Vector3) -> Float { x * other.x + y * other.y + z * other.z }

    /// Outer product, right-handed.
    @inline(__always)
    func cross(_ other: Vector3) -> Vector3 {
        Vector3(y * other.z - z * other.y, z * other.x - x * other.z, x * other.y - y * other.x)
    }

    /// Euclidean length.
    @inline(__always)
    var length: Float { dot(self).squareRoot() }

    /// Unit vector of the same direction, or `fallback` where the length is no usable divisor.
    @inline(__always)
    func normalized(or fallback: Vector3 = Vector3(0, 1, 0)) -> Vector3 {
        let length = length
        return length > 1e-6 ? self / length : fallback
    }

    /// The part of this vector at right angles to the unit vector `axis`.
    @inline(__always)
    func perpendicular(to axis: Vector3) -> Vector3 { self - dot(axis) * axis }
}

/// `a + (b - a) * t`.
@inline(__always)
func interpolate(_ a: Vector3, _ b: Vector3, _ t: Float) -> Vector3 { a + (b - a) * t }

/// `a + (b - a) * t`.
@inline(__always)
func interpolate(_ a: Float, _ b: Float, _ t: Float) -> Float { a + (b - a) * t }

extension Float {
    /// This number of degrees as radians.
    var degrees: Float { self * (.pi / 180) }

    /// This value, or the end of `range` nearest to it.
    func clamped(to range: ClosedRange<Float>) -> Float { Swift.min(Swift.max(self, range.lowerBound), range.upperBound) }
}

/// Sine and cosine of `angle` in radians, |angle| below some thousands.
///
/// Polynomials rather than the C library's functions, whose last bit differs between versions:
/// a frame has to be the same bytes on every node of a cluster. Absolute error below 4e-7.
func sineAndCosine(_ angle: Float) -> (sine: Float, cosine: Float) {
    (sine(angle), sine(angle + .pi / 2))
}

private func sine(_ angle: Float) -> Float {
    let turns = (angle * (1 / (2 * .pi))).rounded()
    var x = angle - turns * (2 * .pi)
    if x > .pi / 2 { x = .pi - x }
    if x < -.pi / 2 { x = -.pi - x }
    let square = x * x
    // Taylor series; its next term is below 6e-8 at pi / 2.
    let tail = 1.0 / 5040 - square * (1.0 / 362_880 - square * (1.0 / 39_916_800))
    return x * (1 - square * (1.0 / 6 - square * (1.0 / 120 - square * tail)))
}

/// A value of mean 0 and variance 1 from 64 random bits: the number of ones among 32 of them, spread by a uniform fraction
/// from the others. Close to normal within 3 standard deviations (excess kurtosis -0.06) and costs no logarithm.
@inline(__always)
func approximateNormal(_ bits: UInt64) -> Float {
    let ones = Float(UInt32(truncatingIfNeeded: bits).nonzeroBitCount) - 16
    let fraction = Float(bits >> 40) * 0x1p-24 - 0.5
    return (ones + fraction) * 0.351_728  // 1 / sqrt(8 + 1/12)
}

extension SequentialRandom {
    /// Approximately normal with the given mean and standard deviation.
    mutating func gaussian(_ mean: Float = 0, _ deviation: Float = 1) -> Float {
        mean + deviation * approximateNormal(next())
    }

    /// As `gaussian`, drawn again (a few times, then clamped) until it lies within `range`.
    mutating func gaussian(_ mean: Float, _ deviation: Float, within range: ClosedRange<Float>) -> Float {
        for _ in 0..<4 {
            let value = gaussian(mean, deviation)
            if range.contains(value) { return value }
        }
        return gaussian(mean, deviation).clamped(to: range)
    }

    /// True with the given probability.
    mutating func chance(_ probability: Float) -> Bool { uniform() < probability }
}
