/// One step of an optimiser that keeps one number a weight, on eight weights at once.
protocol SingleStateRule {
    /// Changes weights and state by a gradient. Elementwise, without fused multiply-add: every host gives the same bits.
    func update(_ weights: inout SIMD8<Float>, _ state: inout SIMD8<Float>, gradient: SIMD8<Float>)
}

extension SingleStateRule {
    /// The rule over `count` elements in one pass. The last, incomplete eight go through the same vector code with zeros beside
    /// them, so the bits do not depend on how a range is cut.
    @inline(__always)
    func run(
        weights: UnsafeMutablePointer<Float>, state: UnsafeMutablePointer<Float>, gradient: UnsafePointer<Float>, count: Int
    ) {
        let (w, s) = (UnsafeMutableRawPointer(weights), UnsafeMutableRawPointer(state))
        let g = UnsafeRawPointer(gradient)
        let whole = count / 8 &* 32
        var offset = 0
        while offset < whole {
            var wi = (w + offset).loadUnaligned(as: SIMD8<Float>.self)
            var si = (s + offset).loadUnaligned(as: SIMD8<Float>.self)
            update(&wi, &si, gradient: (g + offset).loadUnaligned(as: SIMD8<Float>.self))
            (w + offset).storeBytes(of: wi, as: SIMD8<Float>.self)
            (s + offset).storeBytes(of: si, as: SIMD8<Float>.self)
            offset &+= 32
        }
        let first = count / 8 * 8
        guard first < count else { return }
        var (wi, si, gi) = (SIMD8<Float>(), SIMD8<Float>(), SIMD8<Float>())
        for index in first..<count {
            wi[index - first] = weights[index]
            si[index - first] = state[index]
            gi[index - first] = gradient[index]
        }
        update(&wi, &si, gradient: gi)
        for index in first..<count {
            weights[index] = wi[index - first]
            state[index] = si[index - first]
        }
    }
}
