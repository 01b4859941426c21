import Glibc

/// Softmax over the positions of a map, for each channel by itself: w(p) = exp(s(p)) / sum over q of exp(s(q)).
package enum MapSoftmax {
    /// - Parameters:
    ///   - scores: of position p and channel j at p * stride + j.
    ///   - weights: overwritten, (positions, channels). Scores that are not finite give NaN.
    ///   - scratch: 2 * channels floats.
    package static func forward(
        scores: UnsafePointer<Float>, stride: Int, positions: Int, channels: Int, weights: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>
    ) {
        let (largest, sums) = (scratch, scratch + channels)
        for channel in 0..<channels { (largest[channel], sums[channel]) = (scores[channel], 0) }
        for position in 1..<max(1, positions) {
            let row = scores + position &* stride
            for channel in 0..<channels { largest[channel] = row[channel] > largest[channel] ? row[channel] : largest[channel] }
        }
        for position in 0..<positions {
            let (row, target) = (scores + position &* stride, weights + position &* channels)
            for channel in 0..<channels {
                let value = expf(row[channel] - largest[channel])
                target[channel] = value
                sums[channel] += value
            }
        }
        for channel in 0..<channels { sums[channel] = 1 / sums[channel] }
        for position in 0..<positions {
            let target = weights + position &* channels
            for channel in 0..<channels { target[channel] *= sums[channel] }
        }
    }

    /// ds(p) = w(p) (dw(p) - sum over q of w(q) dw(q)).
    /// - Parameters:
    ///   - weights: (positions, channels).
    ///   - gradient: dw of position p and channel j at p * stride + j; ds in its place.
    ///   - scratch: channels floats.
    package static func backward(
        weights: UnsafePointer<Float>, positions: Int, channels: Int, gradient: UnsafeMutablePointer<Float>, stride: Int,
        scratch: UnsafeMutablePointer<Float>
    ) {
        for channel in 0..<channels { scratch[channel] = 0 }
        for position in 0..<positions {
            let (w, g) = (weights + position &* channels, gradient + position &* stride)
            for channel in 0..<channels { scratch[channel] += w[channel] * g[channel] }
        }
        for position in 0..<positions {
            let (w, g) = (weights + position &* channels, gradient + position &* stride)
            for channel in 0..<channels { g[channel] = w[channel] * (g[channel] - scratch[channel]) }
        }
    }
}
