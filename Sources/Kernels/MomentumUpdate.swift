/// One step of stochastic gradient descent with momentum over a range, as PyTorch's `SGD` writes it (dampening 0):
///
///     g = g · scale + decay · w;  b = momentum · b + g;  w -= rate · b          (Nesterov: w -= rate · (g + momentum · b))
///
/// With b = 0 at the start the first step has b = g, as PyTorch's. NaN in the gradient stays in b and w.
package struct MomentumUpdate: Sendable {
    /// Learning rate of this step.
    package let rate: Float
    package let momentum: Float
    package let isNesterov: Bool
    /// Weight decay, added to the gradient (L2).
    package let decay: Float

    package init(rate: Float, momentum: Float, isNesterov: Bool = false, decay: Float = 0) {
        self.rate = rate
        self.momentum = momentum
        self.isNesterov = isNesterov
        self.decay = decay
    }

    /// Updates `count` weights and momenta in place.
    /// - Parameters:
    ///   - buffer: the momenta; nil: `momentum` is 0 and none are kept.
    ///   - scale: multiplies the gradient first; 1 changes no bit.
    package func apply(
        weights: UnsafeMutablePointer<Float>, buffer: UnsafeMutablePointer<Float>?, gradient: UnsafePointer<Float>,
        count: Int, scale: Float = 1
    ) {
        guard let buffer else {
            for index in 0..<count {
                var g = gradient[index] * scale
                if decay != 0 { g += weights[index] * decay }
                weights[index] -= g * rate
            }
            return
        }
        if isNesterov {
            Rule<Nesterov>(update: self, scale: scale)
                .run(weights: weights, state: buffer, gradient: gradient, count: count)
        } else {
            Rule<Heavy>(update: self, scale: scale)
                .run(weights: weights, state: buffer, gradient: gradient, count: count)
        }
    }

    private struct Rule<Form: MomentumForm>: SingleStateRule {
        let update: MomentumUpdate
        let scale: Float

        @inline(__always)
        func update(_ weights: inout SIMD8<Float>, _ state: inout SIMD8<Float>, gradient: SIMD8<Float>) {
            var g = gradient * scale
            if update.decay != 0 { g += weights * update.decay }
            state = state * update.momentum + g
            weights -= Form.direction(g, state, update.momentum) * update.rate
        }
    }
}

private protocol MomentumForm {
    static func direction(_ gradient: SIMD8<Float>, _ buffer: SIMD8<Float>, _ momentum: Float) -> SIMD8<Float>
}

/// Polyak's heavy ball.
private enum Heavy: MomentumForm {
    @inline(__always)
    static func direction(_ gradient: SIMD8<Float>, _ buffer: SIMD8<Float>, _ momentum: Float) -> SIMD8<Float> { buffer }
}

private enum Nesterov: MomentumForm {
    @inline(__always)
    static func direction(_ gradient: SIMD8<Float>, _ buffer: SIMD8<Float>, _ momentum: Float) -> SIMD8<Float> {
        gradient + buffer * momentum
    }
}
