package import Memory
import System

/// What a layer does: forward and backward over memory carved once. The lead thread calls it, and it lends work to the team.
///
/// Neighbours that do each other's work hand on less than is said here: a convolution before max pooling returns the pooled values.
package protocol Layer: AnyObject {
    /// Whether `backward` reads what `forward` returned, so that nobody may overwrite it in between.
    var needsOutput: Bool { get }

    /// Outputs of `pass.samples` samples, which may be 0.
    /// - Parameter x: (samples, input); stays as it is until `backward`, unless the builder said that it may be overwritten.
    /// - Returns: (samples, output), valid until the next `forward`.
    /// - Throws: what communication throws, in a layer whose ranks compute together.
    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>

    /// The gradient of the input; the gradients of the parameters are written in their places, and `pass` is told of each.
    /// - Parameter dy: (samples, output), a buffer of the pass's pool, which is the layer's from here on.
    /// - Returns: (samples, input), a buffer of the pool, `dy` itself perhaps; nil where the builder said that nobody needs it.
    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>?

    /// What `forward(_:finish:_:)` can be asked for.
    var finishes: FinishOptions { get }

    /// `forward`, and on the way what would be passes of their own after it.
    /// - Precondition: `finishes` has what `finish` asks for.
    func forward(_ x: UnsafeMutablePointer<Float>, finish: Finish, _ pass: Pass) throws -> UnsafeMutablePointer<Float>

    /// What `backward(_:step:keeping:into:_:)` can be asked for.
    var gradientOptions: GradientOptions { get }

    /// `backward`, without a copy before or a sum after it.
    /// - Parameters:
    ///   - step: floats from a position of dy to the next; nil: side by side. `keeping`, where it is given.
    ///   - keeping: `dy` stays as it is, and the caller's.
    ///   - sum: a gradient of the input, (samples, input), that the layer's own is added to; nil: none. May be `dy` where the layer
    ///     is not the only one that reads `dy` on its way.
    /// - Returns: `sum`, or where that is nil what `backward` returns.
    /// - Precondition: `gradientOptions` has what is asked for, and the input's gradient is needed if there is a `sum`.
    func backward(
        _ dy: UnsafeMutablePointer<Float>, step: Int?, keeping: Bool, into sum: UnsafeMutablePointer<Float>?, _ pass: Pass
    ) throws -> UnsafeMutablePointer<Float>?

    /// The step is over, and its update was made: what follows the data, such as running statistics, follows now.
    func finishStep()

    /// Notes what `backward` takes from the pool and gives back, in its order.
    func planBackward(_ plan: inout GradientPlan)

    /// The layers inside.
    var contents: [any Layer] { get }
}

extension Layer {
    package var needsOutput: Bool { false }
    package var contents: [any Layer] { [] }
    package var finishes: FinishOptions { [] }
    package var gradientOptions: GradientOptions { [] }

    package func forward(
        _ x: UnsafeMutablePointer<Float>, finish: Finish, _ pass: Pass
    ) throws -> UnsafeMutablePointer<Float> {
        precondition(finish.options.isEmpty, "the layer cannot finish so")
        return try forward(x, pass)
    }

    package func backward(
        _ dy: UnsafeMutablePointer<Float>, step: Int?, keeping: Bool, into sum: UnsafeMutablePointer<Float>?, _ pass: Pass
    ) throws -> UnsafeMutablePointer<Float>? {
        precondition(step == nil && !keeping && sum == nil, "the layer cannot go backward so")
        return try backward(dy, pass)
    }

    package func finishStep() { for layer in contents { layer.finishStep() } }

    /// One buffer for dx beside dy.
    package func planBackward(_ plan: inout GradientPlan) {
        plan.take()
        plan.give()
    }
}

/// What happens to a layer's result before it is written: + summand, then ReLU; and where it is written.
package struct Finish {
    /// (samples, output); nil: none.
    package var summand: UnsafeMutablePointer<Float>?
    package var rectified = false
    /// Where the first position goes, and how far from it the next, in floats; nil: wherever the layer likes, side by side.
    package var place: (start: UnsafeMutablePointer<Float>, step: Int)?

    package init(
        adding summand: UnsafeMutablePointer<Float>? = nil, rectified: Bool = false,
        place: (start: UnsafeMutablePointer<Float>, step: Int)? = nil
    ) {
        self.summand = summand
        self.rectified = rectified
        self.place = place
    }

    var options: FinishOptions {
        (summand == nil ? FinishOptions() : .sum).union(rectified ? .rectifier : []).union(place == nil ? [] : .place)
    }
}

/// What of a `Finish` a layer does itself.
package struct FinishOptions: OptionSet, Sendable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }

    package static let sum = FinishOptions(rawValue: 1)
    package static let rectifier = FinishOptions(rawValue: 2)
    package static let place = FinishOptions(rawValue: 4)
}

/// What a layer's backward pass does itself besides its gradients.
package struct GradientOptions: OptionSet, Sendable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }

    /// dy can be kept.
    package static let keeping = GradientOptions(rawValue: 1)
    /// dx can be added to a sum.
    package static let sum = GradientOptions(rawValue: 2)
    /// dy may have a step.
    package static let strided = GradientOptions(rawValue: 4)
}

/// A parameter of a layer, with its values and the place of its gradient.
package struct LayerParameter {
    package let parameter: Parameter
    package let values: UnsafeMutablePointer<Float>
    /// Where its gradient is written, overwritten each time; of no use where `Pass.sink` is nil.
    package let gradient: UnsafeMutablePointer<Float>
    package var count: Int { parameter.count }
}

/// How many buffers the backward pass has in use at the same time.
package struct GradientPlan {
    private var taken = 1
    package private(set) var most = 1

    package init() {}

    package mutating func take() {
        taken += 1
        most = max(most, taken)
    }

    package mutating func give() { taken -= 1 }
}

/// Buffers of one size, large enough for any layer's activations, that the backward pass hands from layer to layer.
package struct GradientPool {
    private var free: [UnsafeMutablePointer<Float>]

    package init(_ buffers: [UnsafeMutablePointer<Float>]) { free = buffers }

    package mutating func take() -> UnsafeMutablePointer<Float> {
        precondition(!free.isEmpty, "a layer takes more buffers than it plans")
        return free.removeLast()
    }

    package mutating func give(_ buffer: UnsafeMutablePointer<Float>) { free.append(buffer) }
}
