import CLinux
package import Memory

/// RMSProp in the form of DeepPrior's trainer: see `RMSPropUpdate`. Weight decay is added to the gradient (L2).
///
/// `@unchecked Sendable`: threads update disjoint ranges between two calls of `beginStep`.
package final class RMSProp: Optimizer, @unchecked Sendable {
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
            configuration: configuration, states: 1, weights: weights, table: table, holding: held, arena: arena)
        rate = configuration.learningRate
    }

    package static let form = "DeepPrior's: w -= rate g / max(sqrt(s), 0.01), rho 0.9"
    package static let stateMeaning = "mean square"
    package static func stateNames(_ configuration: OptimizerConfiguration) -> [String] { ["ms"] }

    package func restore(step: Int) { self.step = step }

    package func beginStep(rate: Double) {
        step += 1
        self.rate = rate
    }

    package func apply(_ range: Range<Int>, gradient: UnsafePointer<Float>, scale: Float) {
        memory.forEachPart(of: range) { treatment, start, place, offset, count in
            let treatment = memory.treatments[treatment]
            let update = RMSPropUpdate(
                rate: Float(rate * treatment.rateMultiplier), rho: configuration.rho, floor: Float(configuration.floor),
                decay: Float(treatment.decay))
            update.apply(
                weights: memory.weights + start, meanSquare: memory.states[0] + place, gradient: gradient + offset,
                count: count, scale: scale)
        }
    }

    /// The newest gradient's share of the mean square is 1 - rho, so |g| / sqrt(ms) is at most 1 / sqrt(1 - rho), 3.2 for 0.9;
    /// a tenth more covers the roundings.
    package var largestGrowth: Double? {
        1.1 * rate * configuration.largestMultiplier / (1 - configuration.rho).squareRoot()
    }
}

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
