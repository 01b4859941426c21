import CLinux

/// One Adam step over a range, as TensorFlow 1's ApplyAdam writes it:
///
///     m += (g - m) · (1 - beta1);  v += (g² - v) · (1 - beta2);  w -= (m · rate) / (sqrt(v) + epsilon)
///
/// with rate = learningRate · sqrt(1 - beta2^t) / (1 - beta1^t) (Kingma and Ba 2015, end of section 2).
/// One pass: w, m and v are read and written once. No fused multiply-add, so every host gives the same bits.
package struct AdamUpdate: Sendable {
    /// learningRate · sqrt(1 - beta2^t) / (1 - beta1^t).
    package let rate: Float
    /// 1 - beta1 and 1 - beta2, subtracted in Double: 1 - Float(0.999) is off by 1.3e-5 of itself, and every step with it.
    package let share1: Float
    package let share2: Float
    package let epsilon: Float

    package init(rate: Float, beta1: Double, beta2: Double, epsilon: Float) {
        self.rate = rate
        share1 = Float(1 - beta1)
        share2 = Float(1 - beta2)
        self.epsilon = epsilon
    }

    /// Updates `count` weights and moments in place. NaN in the gradient stays in all three. Numbers below the normal range are
    /// taken as 0, as by a worker team's threads, whichever thread calls.
    package func apply(
        weights: UnsafeMutablePointer<Float>, firstMoment: UnsafeMutablePointer<Float>,
        secondMoment: UnsafeMutablePointer<Float>, gradient: UnsafePointer<Float>, count: Int
    ) {
        let control = dtrain_flush_subnormals()
        defer { dtrain_restore_subnormals(control) }
        let w = UnsafeMutableRawPointer(weights)
        let m = UnsafeMutableRawPointer(firstMoment)
        let v = UnsafeMutableRawPointer(secondMoment)
        let g = UnsafeRawPointer(gradient)
        let vectorBytes = count / 8 * 32
        var offset = 0
        while offset < vectorBytes {
            updateVector(w + offset, m + offset, v + offset, g + offset)
            offset &+= 32
        }
        for index in count / 8 * 8..<max(count, count / 8 * 8) {
            let gi = gradient[index]
            firstMoment[index] += (gi - firstMoment[index]) * share1
            secondMoment[index] += (gi * gi - secondMoment[index]) * share2
            weights[index] -= (firstMoment[index] * rate) / (secondMoment[index].squareRoot() + epsilon)
        }
    }

    /// Updates sixteen weights and moments in place.
    @inline(__always)
    func applyStrip(
        weights: UnsafeMutablePointer<Float>, firstMoment: UnsafeMutablePointer<Float>,
        secondMoment: UnsafeMutablePointer<Float>, gradient: UnsafePointer<Float>
    ) {
        let w = UnsafeMutableRawPointer(weights)
        let m = UnsafeMutableRawPointer(firstMoment)
        let v = UnsafeMutableRawPointer(secondMoment)
        let g = UnsafeRawPointer(gradient)
        updateVector(w, m, v, g)
        updateVector(w + 32, m + 32, v + 32, g + 32)
    }

    @inline(__always)
    private func updateVector(
        _ w: UnsafeMutableRawPointer, _ m: UnsafeMutableRawPointer, _ v: UnsafeMutableRawPointer, _ g: UnsafeRawPointer
    ) {
        applyVector(w, m, v, gradient: g.loadUnaligned(as: SIMD8<Float>.self))
    }

    /// Updates eight weights and moments in place.
    @inline(__always)
    func applyVector(
        _ w: UnsafeMutableRawPointer, _ m: UnsafeMutableRawPointer, _ v: UnsafeMutableRawPointer,
        gradient: SIMD8<Float>
    ) {
        var wi = w.loadUnaligned(as: SIMD8<Float>.self)
        var mi = m.loadUnaligned(as: SIMD8<Float>.self)
        var vi = v.loadUnaligned(as: SIMD8<Float>.self)
        mi += (gradient - mi) * share1
        vi += (gradient * gradient - vi) * share2
        wi -= (mi * rate) / (dtrain_square_roots(vi) + epsilon)
        w.storeBytes(of: wi, as: SIMD8<Float>.self)
        m.storeBytes(of: mi, as: SIMD8<Float>.self)
        v.storeBytes(of: vi, as: SIMD8<Float>.self)
    }
}
