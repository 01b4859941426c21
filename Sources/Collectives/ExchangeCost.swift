import System

/// What exchanging with other ranks cost, added up since the last reset.
package struct ExchangeCost: Sendable, Equatable {
    /// Seconds the main thread was inside collectives: sending, and waiting for others.
    package var seconds = 0.0
    /// Seconds of these in which this rank's other threads had nothing left to compute.
    package var waited = 0.0
    /// Bytes this rank sent, by the formula of the algorithm.
    package var bytes: UInt64 = 0

    package init() {}

    /// Runs collectives of `communicator`, and adds what they took and sent.
    package mutating func measure<Value>(_ communicator: any Communicator, _ body: () throws -> Value) rethrows -> Value {
        let (start, sent) = (Stopwatch.now, communicator.bytesSent)
        defer {
            seconds += Stopwatch.now - start
            bytes += communicator.bytesSent - sent
        }
        return try Trace.span("exchange", body)
    }

    /// Adds what the team had to wait for a `lead` that did nothing but what was measured.
    package mutating func addWaiting(_ idle: Double) { waited = min(waited + idle, seconds) }
}
