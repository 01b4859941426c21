import Glibc

/// A stream of random numbers in which number `i` is a pure function of (seed, stream, i): SplitMix64
/// (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014) read by counter.
///
/// Any thread or rank can compute any part of a stream, so values never depend on how work was divided.
package struct CounterRandom: Sendable {
    @usableFromInline let key: UInt64

    /// - Parameters:
    ///   - seed: the run's seed.
    ///   - stream: keeps uses apart, for example one stream a parameter or one an epoch.
    package init(seed: UInt64, stream: UInt64) {
        key = Self.mix(Self.mix(seed &+ 0x9E37_79B9_7F4A_7C15) ^ (stream &* 0xD1B5_4A32_D192_ED03))
    }

    /// SplitMix64's finaliser.
    @inlinable
    static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// 64 random bits for counter `index`.
    @inlinable
    package func bits(_ index: UInt64) -> UInt64 {
        Self.mix(counter(index))
    }

    /// What is mixed into number `index`; from a number to the next it grows by `counterStep`.
    @inlinable
    package func counter(_ index: UInt64) -> UInt64 { key &+ (index &+ 1) &* Self.counterStep }

    @inlinable
    package static var counterStep: UInt64 { 0x9E37_79B9_7F4A_7C15 }

    /// A generator that walks this stream from its start, for sequential use.
    package func generator() -> SequentialRandom { SequentialRandom(stream: self) }
}

/// Walks a `CounterRandom` stream number by number.
package struct SequentialRandom: RandomNumberGenerator, Sendable {
    @usableFromInline let stream: CounterRandom
    @usableFromInline var index: UInt64 = 0

    @usableFromInline init(stream: CounterRandom) { self.stream = stream }

    @inlinable
    package mutating func next() -> UInt64 {
        defer { index &+= 1 }
        return stream.bits(index)
    }

    /// Uniform in [0, 1), 24 bits.
    @inlinable
    package mutating func uniform() -> Float { Float(next() >> 40) * 0x1p-24 }

    /// Uniform in `range`.
    @inlinable
    package mutating func uniform(_ range: ClosedRange<Float>) -> Float {
        range.lowerBound + (range.upperBound - range.lowerBound) * uniform()
    }

    /// Standard normal, by the polar method (Marsaglia, Bray 1964).
    package mutating func normal() -> Float {
        while true {
            let x = 2 * uniform() - 1
            let y = 2 * uniform() - 1
            let s = x * x + y * y
            if s > 0 && s < 1 { return x * (-2 * log(s) / s).squareRoot() }
        }
    }
}
