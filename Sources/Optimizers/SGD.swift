import Kernels
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
