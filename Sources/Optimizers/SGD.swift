package import Memory

/// Stochastic gradient descent with momentum, or Nesterov's, in PyTorch's form: see `MomentumUpdate`. Without momentum it has
/// no state.
///
/// `@unchecked Sendable`: threads update disjoint ranges between two calls of `beginStep`.
package final class SGD: Optimizer, @unchecked Sendable {
    package let configuration: OptimizerConfiguration
    package let memory: OptimizerMemory
    package private(set) var step = 0
    private var rate: Double

    package init(
        configuration: OptimizerConfiguration, weights: UnsafeMutablePointer<Float>, table: ParameterTable,
        holding held: HeldRanges? = nil, arena: Arena
    ) {
        self.configuration = configuration
        memory = OptimizerMemory(
            configuration: configuration, states: Self.stateNames(configuration).count, weights: weights, table: table,
            holding: held, arena: arena)
        rate = configuration.learningRate
    }

    package static let form = "PyTorch's, with momentum"
    package static let flags = ["--momentum 0.9", "--nesterov"]
    package static let isAdaptive = false
    package static let stateMeaning = "momentum; none with `--momentum 0`"
    package static func stateNames(_ configuration: OptimizerConfiguration) -> [String] {
        configuration.momentum == 0 ? [] : ["momentum"]
    }

    package static func problem(_ configuration: OptimizerConfiguration) -> String? {
        guard configuration.nesterov, configuration.momentum == 0 else { return nil }
        return "--nesterov without momentum is plain gradient descent; hint: --momentum 0.9, or leave --nesterov out"
    }

    package func restore(step: Int) { self.step = step }

    package func beginStep(rate: Double) {
        step += 1
        self.rate = rate
    }

    package func apply(_ range: Range<Int>, gradient: UnsafePointer<Float>, scale: Float) {
        memory.forEachPart(of: range) { treatment, start, place, offset, count in
            let treatment = memory.treatments[treatment]
            let update = MomentumUpdate(
                rate: Float(rate * treatment.rateMultiplier), momentum: Float(configuration.momentum),
                isNesterov: configuration.nesterov, decay: Float(treatment.decay))
            update.apply(
                weights: memory.weights + start, buffer: memory.states.first.map { $0 + place },
                gradient: gradient + offset, count: count, scale: scale)
        }
    }

    /// None: a step is as large as the gradient.
    package var largestGrowth: Double? { nil }
}

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
