package import Kernels
package import Tensors

/// Adam (Kingma and Ba, 2015) in TensorFlow 1's form, elementwise, so that it can run tile by tile and on a part of the weights.
///
/// `@unchecked Sendable`: threads update disjoint ranges between two calls of `beginStep`.
package final class Adam: @unchecked Sendable {
    package struct Configuration: Sendable, Codable, Equatable {
        package var learningRate: Double
        package var beta1: Double
        package var beta2: Double
        package var epsilon: Double

        /// The question's values: 1e-4, and TensorFlow's defaults.
        package init(learningRate: Double = 1e-4, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8) {
            self.learningRate = learningRate
            self.beta1 = beta1
            self.beta2 = beta2
            self.epsilon = epsilon
        }
    }

    package let configuration: Configuration
    /// The elements of the parameter arena that this rank holds moments of, and therefore updates.
    package let held: HeldRanges
    /// First moments, laid out as `held` says.
    package let firstMoments: UnsafeMutablePointer<Float>
    /// Second moments, laid out as `held` says.
    package let secondMoments: UnsafeMutablePointer<Float>
    /// Steps taken.
    package private(set) var step: Int
    private let weights: UnsafeMutablePointer<Float>
    /// Holds the memory of the moments.
    private let arena: Arena
    private var update: AdamUpdate
    /// beta1^step and beta2^step, by products, not pow(): the same bits on every host.
    private var power1 = 1.0
    private var power2 = 1.0

    /// - Parameters:
    ///   - weights: the parameters' arena, `table.count` floats.
    ///   - held: which moments this rank holds; nil: all, laid out as the parameters.
    ///   - arena: gives room for the two moments: `bytes(for:)`, or `bytes(holding:)`.
    package init(
        configuration: Configuration, weights: UnsafeMutablePointer<Float>, table: ParameterTable,
        holding held: HeldRanges? = nil, arena: Arena
    ) {
        self.configuration = configuration
        self.weights = weights
        self.arena = arena
        let held = held ?? HeldRanges(all: table)
        self.held = held
        firstMoments = arena.carve(Float.self, count: held.count).baseAddress!
        secondMoments = arena.carve(Float.self, count: held.count).baseAddress!
        step = 0
        update = Self.update(configuration, power1: configuration.beta1, power2: configuration.beta2)
    }

    /// Bytes of arena that the moments of all parameters need.
    package static func bytes(for table: ParameterTable) -> Int { bytes(holding: HeldRanges(all: table)) }

    /// Bytes of arena that the moments of these elements need.
    package static func bytes(holding held: HeldRanges) -> Int { 2 * Arena.bytes(Float.self, count: held.count) }

    /// Sets the number of steps taken, after loading moments.
    package func restore(step: Int) {
        self.step = step
        (power1, power2) = (1, 1)
        for _ in 0..<step {
            let before = (power1, power2)
            power1 *= configuration.beta1
            power2 *= configuration.beta2
            // Near 0 a product rounds to itself.
            if before == (power1, power2) { break }
        }
    }

    /// Starts step `step + 1`: every weight is then to be updated once.
    package func beginStep() {
        step += 1
        power1 *= configuration.beta1
        power2 *= configuration.beta2
        update = Self.update(configuration, power1: power1, power2: power2)
    }

    /// Updates the weights and moments of `range` (of the parameter arena) with its gradient, averaged already.
    /// - Parameters:
    ///   - range: held, in one piece.
    ///   - gradient: `range.count` floats.
    package func apply(_ range: Range<Int>, gradient: UnsafePointer<Float>) {
        let place = place(of: range)
        update.apply(
            weights: weights + range.lowerBound, firstMoment: firstMoments + place, secondMoment: secondMoments + place,
            gradient: gradient, count: range.count)
    }

    /// A weight changes by less than this in one step, whatever its gradients were.
    ///
    /// |m| / sqrt(v) is at most (1 - b1) / sqrt((1 - b2) (1 - b1^2 / b2)) by Cauchy and Schwarz, 7.3 for the default betas, and
    /// the correction of the rate is at most 1 for them; a tenth more covers the roundings.
    package var largestChange: Double {
        let (beta1, beta2) = (configuration.beta1, configuration.beta2)
        let ratio = (1 - beta1) / ((1 - beta2) * (1 - beta1 * beta1 / beta2)).squareRoot()
        return 1.1 * configuration.learningRate * max(1, ratio)
    }

    /// What a kernel needs to update tiles of a parameter by itself, in the step that was begun.
    package func immediateUpdate(of parameter: Parameter) -> ImmediateUpdate {
        let place = place(of: parameter.range)
        return ImmediateUpdate(
            update: update, weights: weights + parameter.range.lowerBound, firstMoment: firstMoments + place,
            secondMoment: secondMoments + place)
    }

    private func place(of range: Range<Int>) -> Int {
        guard let place = held.place(of: range) else { preconditionFailure("no moments of \(range) are held here") }
        return place
    }

    private static func update(_ configuration: Configuration, power1: Double, power2: Double) -> AdamUpdate {
        let rate = configuration.learningRate * (1 - power2).squareRoot() / (1 - power1)
        return AdamUpdate(
            rate: Float(rate), beta1: configuration.beta1, beta2: configuration.beta2,
            epsilon: Float(configuration.epsilon))
    }
}
