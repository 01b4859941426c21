package import Kernels
package import Memory

/// Adam with decoupled weight decay (Loshchilov and Hutter, 2019) in PyTorch's form:
///
///     w -= rate · decay · w;  w -= rate / (1 - b1^t) · m / (sqrt(v / (1 - b2^t)) + epsilon)
///
/// Its epsilon stands beside the corrected sqrt(v / (1 - b2^t)); in `Adam` here, TensorFlow 1's form, it stands beside
/// sqrt(v) itself. The two agree when this one's epsilon is multiplied by sqrt(1 - b2^t), and so it is computed: in the first
/// steps its epsilon weighs less (0.03 of it at step 1 for b2 = 0.999), later there is no difference.
///
/// `@unchecked Sendable`: threads update disjoint ranges between two calls of `beginStep`.
package final class AdamW: Optimizer, @unchecked Sendable {
    package let configuration: OptimizerConfiguration
    package let memory: OptimizerMemory
    package private(set) var step = 0
    private var powers = BetaPowers()
    private var rate: Double
    /// One for each treatment, and what it leaves of a weight.
    private var updates: [(update: AdamUpdate, keep: Float)]

    package init(
        configuration: OptimizerConfiguration, weights: UnsafeMutablePointer<Float>, table: ParameterTable,
        holding held: HeldRanges? = nil, arena: Arena
    ) {
        self.configuration = configuration
        memory = OptimizerMemory(
            configuration: configuration, states: 2, weights: weights, table: table, holding: held, arena: arena)
        rate = configuration.learningRate
        updates = []
        let first = BetaPowers().advanced(configuration)
        updates = memory.treatments.map { Self.update($0, first, configuration, rate: configuration.learningRate) }
    }

    package static let form = "PyTorch's: decoupled weight decay, 0.01 unless said otherwise"
    package static let standardWeightDecay = 0.01
    package static let stateMeaning = "first and second moment"
    package static func stateNames(_ configuration: OptimizerConfiguration) -> [String] { ["m", "v"] }

    package static func problem(_ configuration: OptimizerConfiguration) -> String? {
        // Only weights decay, whose rate no multiplier changes.
        let lost = configuration.learningRate * configuration.weightDecay
        guard lost >= 1 else { return nil }
        return "--weight-decay is \(configuration.weightDecay), which at this rate takes a weight to 0 or beyond in one step; "
            + "hint: a small number such as 0.01"
    }

    package func restore(step: Int) {
        self.step = step
        powers = BetaPowers(step: step, configuration)
    }

    package func beginStep(rate: Double) {
        step += 1
        self.rate = rate
        powers = powers.advanced(configuration)
        for (index, treatment) in memory.treatments.enumerated() {
            updates[index] = Self.update(treatment, powers, configuration, rate: rate)
        }
    }

    package func apply(_ range: Range<Int>, gradient: UnsafePointer<Float>, scale: Float) {
        memory.forEachPart(of: range) { treatment, start, place, offset, count in
            let (update, keep) = updates[treatment]
            let (w, m, v) = (memory.weights + start, memory.states[0] + place, memory.states[1] + place)
            if scale == 1, keep == 1 {
                update.apply(weights: w, firstMoment: m, secondMoment: v, gradient: gradient + offset, count: count)
            } else {
                AdamDecay(update, scale: scale, keep: keep).apply(
                    weights: w, firstMoment: m, secondMoment: v, gradient: gradient + offset, count: count)
            }
        }
    }

    /// Adam's bound: decay only makes weights smaller.
    package var largestGrowth: Double? {
        let change = configuration.adamChange(rate: rate)
        return change.isFinite ? change : nil
    }

    /// Nil where weights decay: the fused kernels do not.
    package func fusedUpdate(of parameter: Parameter) -> ImmediateUpdate? {
        guard let treatment = memory.treatment(of: parameter), memory.treatments[treatment].decay == 0 else { return nil }
        let place = memory.place(of: parameter.range)
        return ImmediateUpdate(
            update: updates[treatment].update, weights: memory.weights + parameter.range.lowerBound,
            firstMoment: memory.states[0] + place, secondMoment: memory.states[1] + place)
    }

    private static func update(
        _ treatment: Treatment, _ powers: BetaPowers, _ configuration: OptimizerConfiguration, rate: Double
    ) -> (update: AdamUpdate, keep: Float) {
        let rate = rate * treatment.rateMultiplier
        var scaled = configuration
        scaled.epsilon *= (1 - powers.second).squareRoot()
        return (powers.update(scaled, rate: rate), Float(1 - rate * treatment.decay))
    }
}
