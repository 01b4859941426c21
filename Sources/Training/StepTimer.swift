import Tensors

/// Where the time of the steps since the last logged one went, seconds.
struct StepTimer {
    private(set) var steps = 0
    private(set) var samples = 0.0
    private(set) var waiting = 0.0
    private(set) var forward = 0.0
    private(set) var backward = 0.0
    private(set) var exchange = 0.0
    private(set) var bytes: UInt64 = 0
    /// Time spent in validation and checkpoints, which counts for no step.
    private var elsewhere = 0.0
    private var started = Stopwatch.now

    mutating func restart() { self = StepTimer() }

    mutating func measureWaiting<Result>(_ body: () throws -> Result) rethrows -> Result {
        try measure(\.waiting, body)
    }

    mutating func measureForward<Result>(_ body: () throws -> Result) rethrows -> Result {
        try measure(\.forward, body)
    }

    mutating func measureBackward<Result>(_ body: () throws -> Result) rethrows -> Result {
        try measure(\.backward, body)
    }

    mutating func measureElsewhere<Result>(_ body: () throws -> Result) rethrows -> Result {
        try measure(\.elsewhere, body)
    }

    mutating func finishStep(samples count: Double, exchange seconds: Double, bytes sent: UInt64) {
        steps += 1
        samples += count
        exchange += seconds
        bytes += sent
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
