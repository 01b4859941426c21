import Collectives
import Layers
import Memory
import System
import Testing
import TestOracle

/// Notes which gradients were handed on.
final class NotingSink: GradientSink {
    private(set) var finished: [String] = []

    func buckets(of parameter: Parameter) -> [Range<Int>] { [0..<parameter.shape[0]] }
    func destination(of parameter: Parameter, rows: Range<Int>, thread: Int) -> UnsafeMutablePointer<Float> {
        preconditionFailure("no layer here makes tiles")
    }
    func tileFinished(_ parameter: Parameter, rows: Range<Int>, gradient: UnsafeMutablePointer<Float>, thread: Int) {}
    func bucketFinished(_ parameter: Parameter, rows: Range<Int>) {}
    func gradientFinished(_ parameter: Parameter) { finished.append(parameter.name) }
    func smallFinished(_ gradients: UnsafeMutableBufferPointer<Float>) {}
}

/// A list of layers at work, in memory whose margins are watched, every buffer NaN before it is written.
final class LayerRig {
    let table: ParameterTable
    let pass: Pass
    let sink = NotingSink()
    private let layers: LayerSequence
    private let input, output: Shape
    private let parameters, gradients: GuardedBuffer<Float>
    private let pool: [GuardedBuffer<Float>]
    private let networkInput: GuardedBuffer<Float>
    private var x: GuardedBuffer<Float>
    private var positions: [UInt64] = []
    private let arena: Arena
    private let team: WorkerTeam

    /// - Parameters:
    ///   - disposable: whether the first layer may overwrite its input.
    ///   - needsInputGradient: whether the gradient of the input is asked for.
    ///   - frames: the network's input, (samples, its shape), for what looks at it; nil: the layers' own input.
    init(
        _ nodes: [LayerNode], _ input: Shape, samples: Int, threads: Int = 1, disposable: Bool = false,
        needsInputGradient: Bool = true, frames: (shape: Shape, values: [Double])? = nil, communicator: any Communicator = Solo()
    ) throws {
        self.input = input
        output = try nodes.output(of: input)
        table = ParameterTable(nodes.parameters(of: input).map { ParameterDeclaration($0.name, $0.shape, role: $0.role) })
        let (parameters, gradients) = (
            GuardedBuffer<Float>(overwriting: table.count), GuardedBuffer<Float>(overwriting: table.count)
        )
        let (table, team) = (table, try WorkerTeam(count: threads, spins: 0))
        func build(_ carver: Carver) -> (LayerBuilder, LayerSequence) {
            var builder = LayerBuilder(
                carver: carver, samples: samples, threads: threads, team: team, communicator: communicator,
                rank: communicator.rank, table: table, parameters: parameters.start, gradients: gradients.start)
            builder.inputIsDisposable = disposable
            builder.needsInputGradient = needsInputGradient
            let layers = LayerSequence(nodes, input, &builder)
            return (builder, layers)
        }
        let counted = build(Carver()).0
        let rooms = [counted.workspace] + [Int](repeating: counted.scratch, count: threads)
        let arena = try Arena(
            capacity: counted.carver.bytes + rooms.reduce(0) { $0 + Arena.bytes(Float.self, count: $1) })
        var (builder, layers) = build(Carver(arena))
        #expect(builder.carver.bytes == counted.carver.bytes && arena.used == counted.carver.bytes, "counted what is carved")
        (self.parameters, self.gradients, self.team, self.arena) = (parameters, gradients, team, arena)
        self.layers = layers
        var plan = GradientPlan()
        layers.planBackward(&plan)
        let size = samples * builder.largestActivation
        pool = (0..<plan.most).map { _ in GuardedBuffer(overwriting: size) }
        let frames = frames ?? (input, [Double](repeating: 0, count: samples * input.count))
        networkInput = GuardedBuffer(frames.values)
        x = GuardedBuffer(overwriting: 0)
        pass = Pass(
            team: team, communicator: communicator, inputShape: frames.shape,
            scratches: builder.carver.floats(builder.scratch, of: threads), workspace: builder.carver.floats(builder.workspace),
            layers: builder.layers)
        pass.pool = GradientPool(pool.map(\.start))
        pass.input = UnsafePointer(networkInput.start)
        pass.intermediateOutputs = Array(repeating: parameters.start, count: builder.intermediates)
        pass.seed = 5
    }

    func set(_ values: [String: [Double]]) {
        for (name, values) in values {
            let range = table[name].range
            for (index, value) in values.enumerated() { parameters.start[range.lowerBound + index] = Float(value) }
        }
        pass.weightsVersion += 1
    }

    func value(_ name: String) -> [Float] { Array(parameters.values[table[name].range]) }

    /// - Parameter positions: of the samples in the order of samples; nil: 0, 1, 2, ...
    func forward(_ x: [Double], mode: Pass.Mode, positions: [UInt64]? = nil) throws -> [Float] {
        let samples = x.count / input.count
        self.x = GuardedBuffer(x)
        self.positions = positions ?? (0..<UInt64(samples)).map { $0 }
        pass.mode = mode
        pass.samples = samples
        pass.sink = nil
        let y = try self.positions.withUnsafeBufferPointer { places in
            pass.positions = places
            return try layers.forward(self.x.start, pass)
        }
        if mode == .training { layers.finishStep() }
        return Array(UnsafeBufferPointer(start: y, count: samples * output.count))
    }

    struct Gradients {
        /// Of the input.
        let x: [Float]?
        let parameters: [String: [Float]]
    }

    /// - Parameter intermediate: gradients of the outputs on the way.
    func backward(_ dy: [Double], intermediate: [[Double]] = []) throws -> Gradients {
        for index in 0..<table.count { gradients.start[index] = .nan }
        pass.addLossGradient = { number, target in
            for (index, value) in intermediate[number].enumerated() { target[index] = Float(value) }
        }
        pass.sink = sink
        let buffer = pass.pool.take()
        for (index, value) in dy.enumerated() { buffer[index] = Float(value) }
        let dx = try positions.withUnsafeBufferPointer { places in
            pass.positions = places
            return try layers.backward(buffer, pass)
        }
        let values = dx.map { Array(UnsafeBufferPointer(start: $0, count: pass.samples * input.count)) }
        if let dx { pass.pool.give(dx) }
        for buffer in pool + [parameters, gradients, networkInput, x] { #expect(buffer.isIntact, "wrote beyond its memory") }
        // All buffers are back: as many can be taken as there are.
        for _ in pool { _ = pass.pool.take() }
        pass.pool = GradientPool(pool.map(\.start))
        let all = gradients.values
        return Gradients(
            x: values,
            parameters: Dictionary(
                uniqueKeysWithValues: table.parameters.filter(\.role.isTrained).map { ($0.name, Array(all[$0.range])) }))
    }
}
