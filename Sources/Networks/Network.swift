package import Collectives
import Kernels
package import Layers
package import Memory
package import System

/// One rank's network at work: parameters, activations, forward and backward over memory carved once.
///
/// Not Sendable: one thread calls it, and it lends the work to its team.
package final class Network {
    package let description: NetworkDescription
    /// The parameters that this rank holds.
    package let table: ParameterTable
    /// `table.count` floats.
    package let parameters: UnsafeMutablePointer<Float>
    /// Where gradients are written, laid out as the table: all of them, or the table's first `smallCount` where the large
    /// ones are never held.
    package let gradients: UnsafeMutableBufferPointer<Float>
    /// Samples a call can take.
    package let maximumSamples: Int
    /// Values of one sample's output: 48.
    package let outputCount: Int
    /// (samples, outputCount) of the last forward call.
    package private(set) var outputs: UnsafeMutablePointer<Float>
    /// The window stem, if the network begins with one.
    package let stem: WindowStemLayer?
    package let team: WorkerTeam
    package let pass: Pass

    private let layers: LayerSequence
    private let layerCount: Int
    private let intermediateWeights: [Double]
    /// Holds the memory of all tensors for as long as the network lives.
    private let arena: Arena?
    /// Of the backward pass under way.
    private var labels: UnsafePointer<Float>!
    private var scale: Float = 0

    /// What a network is made for.
    package struct Setting: Sendable {
        package var maximumSamples: Int
        /// Which parameters are divided among the ranks.
        package var division = Division.none
        /// Whether all gradients are held at once; else the window stem hands its own on in tiles.
        package var storesGradients = true
        /// Whether updates of large weights are divided by rows among the ranks.
        package var isSharded = false

        package init(maximumSamples: Int) { self.maximumSamples = maximumSamples }
    }

    /// Bytes of arena that a network needs.
    package static func bytes(_ description: NetworkDescription, _ setting: Setting, threads: Int, rank: Int = 0) -> Int {
        memory(description, setting, threads: threads, rank: rank).values.reduce(0, +)
    }

    /// The same, by what it is for.
    package static func memory(
        _ description: NetworkDescription, _ setting: Setting, threads: Int, rank: Int = 0
    ) -> [MemoryKind: Int] {
        var carver = Carver()
        guard let team = try? WorkerTeam(count: 1) else { preconditionFailure("a team of one starts no threads") }
        _ = Network(
            description, setting, rank: rank, threads: threads, team: team, communicator: Solo(), arena: nil, carver: &carver)
        return carver.bytesByKind
    }

    /// Carves a network from `arena`; parameters are zero until initialised or loaded.
    /// - Precondition: `description.problem` is nil, and the arena has `bytes` left.
    package convenience init(
        _ description: NetworkDescription, _ setting: Setting, team: WorkerTeam, communicator: any Communicator, arena: Arena
    ) {
        var carver = Carver(arena)
        self.init(
            description, setting, rank: communicator.rank, threads: team.count, team: team, communicator: communicator,
            arena: arena, carver: &carver)
        BLAS.useCallingThreadOnly()
    }

    private init(
        _ description: NetworkDescription, _ setting: Setting, rank: Int, threads: Int, team: WorkerTeam,
        communicator: any Communicator, arena: Arena?, carver: inout Carver
    ) {
        precondition(setting.storesGradients || description.stem != nil, "only the window stem need not store gradients")
        self.description = description
        self.team = team
        self.arena = arena
        maximumSamples = setting.maximumSamples
        outputCount = description.outputCount
        table = description.table(division: setting.division, rank: rank, sharded: setting.isSharded)
        parameters = carver.floats(table.count, for: .parameters)
        let gradientCount = setting.storesGradients ? table.count : table.smallCount
        gradients = UnsafeMutableBufferPointer(start: carver.floats(gradientCount, for: .gradients), count: gradientCount)
        var builder = LayerBuilder(
            carver: carver, samples: setting.maximumSamples, threads: threads, team: team, communicator: communicator,
            rank: rank, table: table,
            parameters: parameters, gradients: gradients.baseAddress!, division: setting.division)
        layers = LayerSequence(description.layers, description.input, &builder)
        layerCount = description.layers.count
        stem = layers.contents.first as? WindowStemLayer
        var plan = GradientPlan()
        layers.planBackward(&plan)
        let size = setting.maximumSamples * builder.largestActivation
        let workspace = builder.carver.floats(builder.workspace)
        pass = Pass(
            team: team, communicator: communicator, inputShape: description.input,
            scratches: builder.carver.floats(builder.scratch, of: threads), workspace: workspace, layers: builder.layers)
        pass.pool = GradientPool((0..<plan.most).map { _ in builder.carver.floats(size, for: .activationGradients) })
        intermediateWeights = description.intermediateWeights
        outputs = parameters
        pass.intermediateOutputs = Array(repeating: parameters, count: builder.intermediates)
        carver = builder.carver
        pass.addLossGradient = { [unowned self] number, gradient in
            lossGradient(
                of: pass.intermediateOutputs[number], scale: scale * Float(intermediateWeights[number]), into: gradient)
        }
    }

    // MARK: Forward

    /// Outputs of `samples` images in training, for a backward pass to follow. How they are rounded may depend on the batch.
    /// - Parameters:
    ///   - input: (samples, height, width), unchanged until the backward pass is over.
    ///   - samples: at most `maximumSamples`; 0 is allowed: where layers look at the whole batch all ranks call.
    ///   - continuesStep: whether it is another micro-batch of a step.
    ///   - positions: of each sample in the order of samples; needed by dropout.
    /// - Returns: `outputs`, (samples, outputCount).
    /// - Throws: what communication throws.
    @discardableResult
    package func forward(
        input: UnsafePointer<Float>, samples: Int, positions: UnsafeBufferPointer<UInt64> = .init(start: nil, count: 0),
        continuesStep: Bool = false
    ) throws -> UnsafePointer<Float> {
        pass.positions = positions
        pass.continuesStep = continuesStep
        return try run(.training, input, samples)
    }

    /// The same, where an image's outputs must be a function of the image and the weights alone, bit for bit: whatever the other
    /// images, the image's place among them, the number of threads and of ranks. No backward pass follows.
    @discardableResult
    package func predict(input: UnsafePointer<Float>, samples: Int) throws -> UnsafePointer<Float> {
        try run(.evaluation, input, samples)
    }

    private func run(_ mode: Pass.Mode, _ input: UnsafePointer<Float>, _ samples: Int) throws -> UnsafePointer<Float> {
        precondition(samples <= maximumSamples)
        pass.mode = mode
        pass.samples = samples
        pass.input = input
        pass.sink = nil
        // The first layer is told that its input is not disposable: nobody writes through it.
        outputs = try layers.forward(UnsafeMutablePointer(mutating: input), pass)
        return UnsafePointer(outputs)
    }

    /// Sum of the losses over the outputs of the last forward call, intermediate ones with their weights.
    package func lossSum(labels: UnsafePointer<Float>, samples: Int) -> Double {
        let count = samples * outputCount
        var sum = description.loss.sum(outputs: outputs, labels: labels, count: count)
        guard pass.mode == .training else { return sum }
        for (output, weight) in zip(pass.intermediateOutputs, intermediateWeights) {
            sum += weight * description.loss.sum(outputs: output, labels: labels, count: count)
        }
        return sum
    }

    private func lossGradient(of output: UnsafePointer<Float>, scale: Float, into gradient: UnsafeMutablePointer<Float>) {
        description.loss.backward(
            outputs: output, labels: labels, count: pass.samples * outputCount, scale: scale, gradient: gradient)
    }

    // MARK: Backward

    /// The whole backward pass. Gradients are written in `gradients`, and the sink is told of each parameter that is finished.
    /// - Parameters:
    ///   - labels: (samples, outputCount).
    ///   - scale: 1 / (values the mean is taken over, on all ranks).
    package func backward(labels: UnsafePointer<Float>, scale: Float, sink: any GradientSink) throws {
        pass.sink = sink
        defer { pass.sink = nil }
        let gradient = lastGradient(labels, scale)
        if let rest = try layers.backward(gradient, pass) { pass.pool.give(rest) }
    }

    /// Of a network with a window stem: the gradient down to the stem's output, all that can be checked before any weight
    /// changes.
    /// - Parameters: as of `backward`.
    package func beginBackward(labels: UnsafePointer<Float>, scale: Float) throws {
        guard let stem else { preconditionFailure("no window stem") }
        pass.sink = nil
        guard let gradient = try layers.backward(lastGradient(labels, scale), 1..<layerCount, pass) else {
            preconditionFailure("the stem's gradient is always needed")
        }
        stem.beginBackward(gradient, samples: pass.samples)
    }

    /// The rest of the backward pass; hands every gradient to `sink`, which may change the weights at once.
    package func finishBackward(sink: any GradientSink) throws {
        pass.sink = sink
        defer { pass.sink = nil }
        try Trace.layer("backward \(LayerNode.labels(of: description.layers)[0])") { try stem?.finishBackward(pass) }
        try sink.smallFinished(UnsafeMutableBufferPointer(rebasing: gradients[..<table.smallCount]))
    }

    /// Gives up a backward pass between its two halves.
    package func abandonBackward() { stem?.abandonBackward(pass) }

    private func lastGradient(_ labels: UnsafePointer<Float>, _ scale: Float) -> UnsafeMutablePointer<Float> {
        self.labels = labels
        self.scale = scale
        let gradient = pass.pool.take()
        lossGradient(of: outputs, scale: scale, into: gradient)
        return gradient
    }

    /// A step's update was made: running statistics take the batch in, and what was made from weights is made anew.
    package func finishStep() {
        layers.finishStep()
        weightsChanged()
    }

    /// Weights were changed: what was made from them is made anew.
    package func weightsChanged() { pass.weightsVersion += 1 }

    /// The values of a parameter.
    package func values(_ name: String) -> UnsafeMutablePointer<Float> { parameters + table[name].range.lowerBound }

    // MARK: Times

    /// What times are read from.
    package var clock: @Sendable () -> Double {
        get { pass.times.clock }
        set {
            pass.times.clock = newValue
            stem?.times.clock = newValue
        }
    }

    package func resetTimes() {
        pass.times.reset()
        stem?.times.reset()
    }

    /// Of a network with a window stem: its parts, and all that comes after it as the last.
    package var partTimes: PartTimes {
        var parts = stem?.times ?? PartTimes()
        parts.add(zip(pass.times.forward, pass.times.backward).dropFirst().reduce(0) { $0 + $1.0 + $1.1 }, to: .dense2)
        return parts
    }
}
