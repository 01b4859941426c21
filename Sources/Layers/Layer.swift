package import Tensors

/// What a layer does: forward and backward over memory carved once. The lead thread calls it, and it lends work to the team.
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
    package func finishStep() { for layer in contents { layer.finishStep() } }

    /// One buffer for dx beside dy.
    package func planBackward(_ plan: inout GradientPlan) {
        plan.take()
        plan.give()
    }
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
