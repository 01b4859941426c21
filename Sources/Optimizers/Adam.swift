package import Kernels
package import Memory

/// Adam (Kingma and Ba, 2015) in TensorFlow 1's form, `AdamUpdate`'s. Weight decay is added to the gradient (L2), as in
/// PyTorch's `Adam`; `AdamW` decays apart from it.
///
/// `@unchecked Sendable`: threads update disjoint ranges between two calls of `beginStep`.
package final class Adam: Optimizer, @unchecked Sendable {
    package typealias Configuration = OptimizerConfiguration

    package let configuration: OptimizerConfiguration
    package let memory: OptimizerMemory
    package private(set) var step = 0
    private var powers = BetaPowers()
    private var rate: Double
    /// One for each treatment.
    private var updates: [AdamUpdate]

    package init(
        configuration: OptimizerConfiguration, weights: UnsafeMutablePointer<Float>, table: ParameterTable,
        holding held: HeldRanges? = nil, arena: Arena
    ) {
        self.configuration = configuration
        memory = OptimizerMemory(
            configuration: configuration, states: 2, weights: weights, table: table, holding: held, arena: arena)
        rate = configuration.learningRate
        let powers = BetaPowers().advanced(configuration)
        updates = memory.treatments.map { powers.update(configuration, rate: configuration.learningRate * $0.rateMultiplier) }
    }

    package static let form = "TensorFlow 1's: epsilon beside sqrt(v); betas 0.9 and 0.999, epsilon 1e-8"
    package static let stateMeaning = "first and second moment"
    package static func stateNames(_ configuration: OptimizerConfiguration) -> [String] { ["m", "v"] }

    /// Bytes of arena that the moments of all parameters need.
    package static func bytes(for table: ParameterTable) -> Int { bytes(holding: HeldRanges(all: table)) }

    /// Bytes of arena that the moments of these elements need.
    package static func bytes(holding held: HeldRanges) -> Int { 2 * OptimizerMemory.stateBytes(held) }

    /// First moments, laid out as `held` says.
    package var firstMoments: UnsafeMutablePointer<Float> { state(0) }
    /// Second moments, laid out as `held` says.
    package var secondMoments: UnsafeMutablePointer<Float> { state(1) }

    package func restore(step: Int) {
        self.step = step
        powers = BetaPowers(step: step, configuration)
    }

    package func beginStep(rate: Double) {
        step += 1
        self.rate = rate
        powers = powers.advanced(configuration)
        for (index, treatment) in memory.treatments.enumerated() {
            updates[index] = powers.update(configuration, rate: rate * treatment.rateMultiplier)
        }
    }

    package func apply(_ range: Range<Int>, gradient: UnsafePointer<Float>, scale: Float) {
        memory.forEachPart(of: range) { treatment, start, place, offset, count in
            let decay = memory.treatments[treatment].decay
            let (w, m, v) = (memory.weights + start, memory.states[0] + place, memory.states[1] + place)
            if scale == 1, decay == 0 {
                updates[treatment].apply(
                    weights: w, firstMoment: m, secondMoment: v, gradient: gradient + offset, count: count)
            } else {
                AdamDecay(updates[treatment], scale: scale, decay: Float(decay)).apply(
                    weights: w, firstMoment: m, secondMoment: v, gradient: gradient + offset, count: count)
            }
        }
    }

    /// A weight changes by less than this in the step that was begun, whatever its gradients were.
    ///
    /// |m| / sqrt(v) is at most (1 - b1) / sqrt((1 - b2) (1 - b1^2 / b2)) by Cauchy and Schwarz, 7.3 for the default betas, and
    /// the correction of the rate is at most 1 for them; a tenth more covers the roundings. Not finite where b1^2 >= b2.
    package var largestChange: Double { configuration.adamChange(rate: rate) }

    package var largestGrowth: Double? { largestChange.isFinite ? largestChange : nil }

    /// `fusedUpdate` for callers that hold an Adam that never decays.
    package func immediateUpdate(of parameter: Parameter) -> ImmediateUpdate {
        guard let update = fusedUpdate(of: parameter) else { preconditionFailure("\(parameter.name) has no fused update") }
        return update
    }

    package func fusedUpdate(of parameter: Parameter) -> ImmediateUpdate? {
        guard let treatment = memory.treatment(of: parameter), memory.treatments[treatment].decay == 0 else { return nil }
        let place = memory.place(of: parameter.range)
        return ImmediateUpdate(
            update: updates[treatment], weights: memory.weights + parameter.range.lowerBound,
            firstMoment: memory.states[0] + place, secondMoment: memory.states[1] + place)
    }
}

/// beta1^step and beta2^step, by products, not pow(): the same bits on every host.
struct BetaPowers: Sendable {
    private(set) var first = 1.0
    private(set) var second = 1.0

    init() {}

    /// The powers after `step` steps.
    init(step: Int, _ configuration: OptimizerConfiguration) {
        for _ in 0..<step {
            let before = (first, second)
            self = advanced(configuration)
            // Near 0 a product rounds to itself.
            if before == (first, second) { break }
        }
    }

    /// The powers a step later.
    func advanced(_ configuration: OptimizerConfiguration) -> BetaPowers {
        var next = self
        next.first *= configuration.beta1
        next.second *= configuration.beta2
        return next
    }

    /// TensorFlow 1's step at these powers.
    func update(_ configuration: OptimizerConfiguration, rate: Double) -> AdamUpdate {
        AdamUpdate(
            rate: Float(rate * (1 - second).squareRoot() / (1 - first)), beta1: configuration.beta1,
            beta2: configuration.beta2, epsilon: Float(configuration.epsilon))
    }
}

extension OptimizerConfiguration {
    /// The most that a step of Adam at this rate changes a weight: see `Adam.largestChange`. NaN or infinite: no bound.
    func adamChange(rate: Double) -> Double {
        let ratio = (1 - beta1) / ((1 - beta2) * (1 - beta1 * beta1 / beta2)).squareRoot()
        guard ratio.isFinite else { return .infinity }
        return 1.1 * rate * largestMultiplier * max(1, ratio)
    }
}
