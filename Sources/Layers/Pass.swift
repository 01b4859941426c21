package import Collectives
import Kernels
import Memory
package import System

/// What is the same for all layers in one forward pass and the backward pass after it.
package final class Pass {
    package enum Mode: Sendable {
        /// Batch statistics, dropout; outputs are kept for the backward pass.
        case training
        /// A sample's outputs are a function of the sample and the weights alone.
        case evaluation
    }

    package let team: WorkerTeam
    package let communicator: any Communicator
    package var mode = Mode.training
    /// Whether the forward pass is of another micro-batch of the same step.
    package var continuesStep = false
    /// Samples of this rank in this pass.
    package var samples = 0 { didSet { samplesOfRanks = nil } }
    /// Of each rank, once a layer has asked.
    private var samplesOfRanks: [Int]?
    /// Where each sample stands in the endless order of samples, which tells epoch and place: what dropout is a function of.
    package var positions = UnsafeBufferPointer<UInt64>(start: nil, count: 0)
    /// The run's seed.
    package var seed: UInt64 = 0
    /// The network's input, (samples, height, width, channels).
    package var input: UnsafePointer<Float>!
    package let inputShape: Shape
    /// Changes whenever weights do: what was made from them is made anew then.
    package var weightsVersion = 1
    /// What becomes of gradients; nil in a pass that is not followed by a backward pass.
    package var sink: (any GradientSink)?
    package var pool = GradientPool([])
    /// Adds the gradient of the loss of output `number` to `gradient`, (samples, outputs). Given by the network.
    package var addLossGradient: (_ number: Int, _ gradient: UnsafeMutablePointer<Float>) -> Void = { _, _ in }
    /// Outputs of the last forward pass, intermediate ones first, each (samples, outputs).
    package var intermediateOutputs: [UnsafeMutablePointer<Float>] = []
    /// Seconds of each leaf layer, by its number.
    package var times: LayerTimes
    /// What layers exchanged with other ranks, added up until somebody takes it.
    private var exchanged = LayerExchange()
    /// Is told what layers compute; nil in most passes.
    package var inspector: LayerInspector?

    /// What layers have under way with other ranks.
    private var travelling: [any PendingExchange] = []
    private lazy var lookout = Lookout(team) { [unowned self] in for pending in travelling { _ = try pending.poll() } }

    private let scratches: [UnsafeMutablePointer<Float>]
    /// Room that a layer may use within one call of `forward` or `backward`: as many floats as the layers asked for at most.
    package let workspace: UnsafeMutablePointer<Float>

    package init(
        team: WorkerTeam, communicator: any Communicator, inputShape: Shape, scratches: [UnsafeMutablePointer<Float>],
        workspace: UnsafeMutablePointer<Float>, layers: Int
    ) {
        self.team = team
        self.communicator = communicator
        self.inputShape = inputShape
        self.scratches = scratches
        self.workspace = workspace
        times = LayerTimes(layers: layers)
    }

    /// Runs a layer of that name, by which an inspector tells it from others.
    func within<Value>(_ name: String, _ body: () throws -> Value) rethrows -> Value {
        guard let inspector else { return try body() }
        return try inspector.within(name, body)
    }

    /// Runs what waits for other ranks.
    /// - Parameter isExchange: whether what is sent belongs to the step; what looks at a step does not.
    package func waiting<Value>(isExchange: Bool = true, _ body: () throws -> Value) rethrows -> Value {
        var cost = ExchangeCost()
        defer { exchanged.add(cost, isForward: sink == nil, isExchange: isExchange) }
        return try cost.measure(communicator, body)
    }

    /// Samples of each rank in this pass, which may differ. All ranks ask, and the first time in a pass waits for them.
    func countsOfRanks() throws -> [Int] {
        if let samplesOfRanks { return samplesOfRanks }
        var own = Float(samples)
        var counts: [Int] = []
        try withUnsafeTemporaryAllocation(of: Float.self, capacity: communicator.size) { all in
            try withUnsafePointer(to: &own) { own in
                try waiting {
                    try communicator.allgather(
                        UnsafeBufferPointer(start: own, count: 1), counts: Array(repeating: 1, count: all.count), into: all)
                }
            }
            counts = all.map { Int($0) }
        }
        samplesOfRanks = counts
        return counts
    }

    /// Starts what travels while layers compute.
    func start(_ body: () throws -> any PendingExchange) throws -> any PendingExchange {
        let pending = try waiting { try body() }
        travelling.append(pending)
        return pending
    }

    /// Waits for the end of what was started.
    func finish(_ pending: any PendingExchange) throws {
        try waiting { try pending.finish() }
        travelling.removeAll { $0 === pending }
    }

    /// What layers exchanged since the last call.
    package func takeExchange() -> LayerExchange {
        defer { exchanged = LayerExchange() }
        return exchanged
    }

    /// A thread's own room.
    package func scratch(_ thread: Int) -> UnsafeMutablePointer<Float> { scratches[thread] }

    /// Runs independent items on the team; in a backward pass beside what the sink has to do meanwhile.
    package func forEach(_ items: Int, _ body: (_ item: Int, _ thread: Int) -> Void) throws {
        if travelling.isEmpty { return try run(items, body) }
        try run(items) { item, thread in
            body(item, thread)
            lookout.itemDone(thread)
        }
        try lookout.check()
    }

    private func run(_ items: Int, _ body: (_ item: Int, _ thread: Int) -> Void) throws {
        if let sink { try sink.forEach(items, on: team, body) } else { team.forEach(items, body) }
    }

    /// Values of an item of `forEachValue`.
    private static let block = 1 << 14

    /// Runs `body` for blocks of 0..<count: for what is done value by value.
    package func forEachValue(_ count: Int, _ body: (Range<Int>) -> Void) throws {
        try forEach((count + Self.block - 1) / Self.block) { item, _ in
            body(item &* Self.block..<min(count, (item &+ 1) &* Self.block))
        }
    }

    /// Runs `body` for the positions of the samples' maps of a shape, some at a time.
    package func forEachPositions(of shape: Shape, _ body: (Range<Int>) -> Void) throws {
        let positions = samples * shape.positions
        let block = max(1, Self.block / max(1, shape.channels))
        try forEach((positions + block - 1) / block) { item, _ in
            body(item &* block..<min(positions, (item &+ 1) &* block))
        }
    }

    /// y = x, or y += x, of the samples' maps of a shape.
    /// - Parameters:
    ///   - step, yStep: floats from a position of x and of y to the next; nil: side by side.
    func move(
        _ x: UnsafePointer<Float>, step: Int? = nil, _ shape: Shape, to y: UnsafeMutablePointer<Float>, yStep: Int? = nil,
        accumulating: Bool = false
    ) throws {
        let channels = shape.channels
        let (from, to) = (step ?? channels, yStep ?? channels)
        try forEachPositions(of: shape) { positions in
            let first = positions.lowerBound
            ChannelRows.move(
                x + first &* from, step: from, to: y + first &* to, step: to, rows: positions.count, channels: channels,
                accumulating: accumulating)
        }
    }

    /// The gradient of a parameter is written.
    package func finished(_ parameter: LayerParameter) throws { try sink?.gradientFinished(parameter.parameter) }
}

/// What layers exchange with other ranks by themselves: activations of divided layers, batch statistics.
package struct LayerExchange: Sendable, Equatable {
    /// All of it is waiting: nothing else is computed meanwhile.
    package private(set) var total = ExchangeCost()
    /// Seconds of that in the forward pass.
    package private(set) var forward = 0.0

    package init() {}

    fileprivate mutating func add(_ cost: ExchangeCost, isForward: Bool, isExchange: Bool) {
        total.seconds += cost.seconds
        total.waited += cost.seconds
        guard isExchange else { return }
        total.bytes += cost.bytes
        if isForward { forward += cost.seconds }
    }
}

/// Seconds spent in each leaf layer, forward and backward, added up until reset.
package struct LayerTimes: Sendable {
    package private(set) var forward: [Double]
    package private(set) var backward: [Double]
    /// What seconds are read from.
    package var clock: @Sendable () -> Double = { Stopwatch.now }

    package init(layers: Int) {
        forward = Array(repeating: 0, count: layers)
        backward = forward
    }

    package mutating func reset() {
        for index in forward.indices { (forward[index], backward[index]) = (0, 0) }
    }

    package mutating func addForward(_ layer: Int, since start: Double) { forward[layer] += clock() - start }
    package mutating func addBackward(_ layer: Int, since start: Double) { backward[layer] += clock() - start }
}
