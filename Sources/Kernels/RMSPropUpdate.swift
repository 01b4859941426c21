import CLinux

/// One RMSProp step over a range, in the form of DeepPrior's trainer (moberweger/deep-prior), its values in brackets:
///
///     g = g · scale + decay · w;  s += (g² - s) · (1 - rho);  w -= rate · g / max(sqrt(s), floor)      (rho 0.9, floor 0.01)
///
/// The floor stands where other libraries add an epsilon: a weight whose gradients are below it moves by plain gradient
/// descent. NaN in the gradient stays in s and w.
package struct RMSPropUpdate: Sendable {
    /// Learning rate of this step.
    package let rate: Float
    /// 1 - rho, subtracted in Double.
    package let share: Float
    /// Smallest divisor.
    package let floor: Float
    /// Weight decay, added to the gradient (L2).
    package let decay: Float

    package init(rate: Float, rho: Double, floor: Float, decay: Float = 0) {
        self.rate = rate
        share = Float(1 - rho)
        self.floor = floor
        self.decay = decay
    }

    /// Updates `count` weights and mean squares in place; `scale` multiplies the gradient first, and 1 changes no bit.
    package func apply(
        weights: UnsafeMutablePointer<Float>, meanSquare: UnsafeMutablePointer<Float>, gradient: UnsafePointer<Float>,
        count: Int, scale: Float = 1
    ) {
        Rule(update: self, scale: scale).run(weights: weights, state: meanSquare, gradient: gradient, count: count)
    }

    private struct Rule: SingleStateRule {
        let update: RMSPropUpdate
        let scale: Float

        @inline(__always)
        func update(_ weights: inout SIMD8<Float>, _ state: inout SIMD8<Float>, gradient: SIMD8<Float>) {
            var g = gradient * scale
            if update.decay != 0 { g += weights * update.decay }
            state += (g * g - state) * update.share
            var divisor = dtrain_square_roots(state)
            // NaN is not below the floor and stays.
            divisor.replace(with: update.floor, where: divisor .< update.floor)
            weights -= (g * update.rate) / divisor
        }
    }
}
