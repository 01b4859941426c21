import Collectives
import Exchange
import Layers
import System

/// Where the time of the steps since the last logged one went, seconds.
struct StepTimer {
    private(set) var steps = 0
    private(set) var samples = 0.0
    private(set) var waiting = 0.0
    private(set) var forward = 0.0
    private(set) var backward = 0.0
    /// Sending and waiting for others; `exchangeWaiting` of it while nothing was left to compute.
    private(set) var exchange = 0.0
    private(set) var exchangeWaiting = 0.0
    /// That part of it which is within the forward pass.
    private(set) var forwardWaiting = 0.0
    /// That part of it which layers waited by themselves, in both passes.
    private(set) var layerWaiting = 0.0
    private(set) var bytes: UInt64 = 0
    /// The finite check, and comparing replicas.
    private(set) var checks = 0.0
    /// Time spent in validation and checkpoints, which counts for no step.
    private var elsewhere = 0.0
    private var started = Stopwatch.now

    mutating func restart() { self = StepTimer() }

    mutating func measureWaiting<Result>(_ body: () throws -> Result) rethrows -> Result {
        try Trace.span("wait for data") { try measure(\.waiting, body) }
    }

    mutating func measureForward<Result>(_ body: () throws -> Result) rethrows -> Result {
        try Trace.span("forward") { try measure(\.forward, body) }
    }

    mutating func measureBackward<Result>(_ body: () throws -> Result) rethrows -> Result {
        try Trace.span("backward") { try measure(\.backward, body) }
    }

    /// The finite check of a step.
    mutating func measureCheck<Result>(_ body: () throws -> Result) rethrows -> Result {
        try Trace.span("check") { try measure(\.checks, body) }
    }

    /// A comparison of the replicas, which counts for no step.
    mutating func measureVerification<Result>(_ body: () throws -> Result) rethrows -> Result {
        let before = checks
        defer { elsewhere += checks - before }
        return try measure(\.checks, body)
    }

    /// The update of stored gradients, which counts for the backward pass.
    mutating func measureUpdate<Result>(_ body: () throws -> Result) rethrows -> Result {
        try Trace.span("update") { try measure(\.backward, body) }
    }

    mutating func measureElsewhere<Result>(_ body: () throws -> Result) rethrows -> Result {
        try measure(\.elsewhere, body)
    }

    /// - Parameters:
    ///   - cost: of the exchange in this step; `forwardCost` of that, its forward pass.
    ///   - layers: what layers exchanged beside.
    mutating func finishStep(
        samples count: Double, exchange cost: ExchangeCost, forward forwardCost: ExchangeCost, layers: LayerExchange
    ) {
        steps += 1
        samples += count
        exchange += cost.seconds + layers.total.seconds
        exchangeWaiting += cost.waited + layers.total.waited
        forwardWaiting += forwardCost.waited + layers.forward
        layerWaiting += layers.total.waited
        bytes += cost.bytes + layers.total.bytes
    }

    /// Seconds of training since the last restart.
    var elapsed: Double { Stopwatch.now - started - elsewhere }

    private mutating func measure<Result>(
        _ path: WritableKeyPath<StepTimer, Double>, _ body: () throws -> Result
    ) rethrows -> Result {
        let start = Stopwatch.now
        defer { self[keyPath: path] += Stopwatch.now - start }
        return try body()
    }
}
