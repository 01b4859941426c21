/// An Adam step whose gradient is scaled, or whose weights decay: what `AdamUpdate` alone does not do.
///
///     w' = w · keep;  g = g · scale + decay · w;  then AdamUpdate's step on w'
///
/// `decay` is L2 as in PyTorch's `Adam`, `keep` = 1 - rate · decay the decoupled decay of `AdamW` (Loshchilov and Hutter 2019).
/// With scale 1, decay 0 and keep 1 the bits are those of `AdamUpdate`.
package struct AdamDecay: Sendable {
    package let update: AdamUpdate
    /// Multiplies the gradient.
    package let scale: Float
    /// Times the weight, added to the gradient.
    package let decay: Float
    /// What the step leaves of a weight before it is updated.
    package let keep: Float

    package init(_ update: AdamUpdate, scale: Float, decay: Float = 0, keep: Float = 1) {
        self.update = update
        self.scale = scale
        self.decay = decay
        self.keep = keep
    }

    /// Updates `count` weights and moments in place, in one pass. NaN in the gradient stays in all three.
    package func apply(
        weights: UnsafeMutablePointer<Float>, firstMoment: UnsafeMutablePointer<Float>,
        secondMoment: UnsafeMutablePointer<Float>, gradient: UnsafePointer<Float>, count: Int
    ) {
        let (w, m) = (UnsafeMutableRawPointer(weights), UnsafeMutableRawPointer(firstMoment))
        let (v, g) = (UnsafeMutableRawPointer(secondMoment), UnsafeRawPointer(gradient))
        let whole = count / 8 &* 32
        var offset = 0
        while offset < whole {
            step(w + offset, m + offset, v + offset, (g + offset).loadUnaligned(as: SIMD8<Float>.self))
            offset &+= 32
        }
        let first = count / 8 * 8
        guard first < count else { return }
        // The same vector code on copies: the bits do not depend on how a range is cut.
        var (wi, mi, vi, gi) = (SIMD8<Float>(), SIMD8<Float>(), SIMD8<Float>(), SIMD8<Float>())
        for index in first..<count {
            wi[index - first] = weights[index]
            mi[index - first] = firstMoment[index]
            vi[index - first] = secondMoment[index]
            gi[index - first] = gradient[index]
        }
        step(&wi, &mi, &vi, gi)
        for index in first..<count {
            weights[index] = wi[index - first]
            firstMoment[index] = mi[index - first]
            secondMoment[index] = vi[index - first]
        }
    }

    @inline(__always)
    private func step(
        _ w: UnsafeMutableRawPointer, _ m: UnsafeMutableRawPointer, _ v: UnsafeMutableRawPointer, _ gradient: SIMD8<Float>
    ) {
        let before = w.loadUnaligned(as: SIMD8<Float>.self)
        var scaled = gradient * scale
        if decay != 0 { scaled += before * decay }
        if keep != 1 { w.storeBytes(of: before * keep, as: SIMD8<Float>.self) }
        update.applyVector(w, m, v, gradient: scaled)
    }
}
