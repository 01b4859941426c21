import Kernels
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
