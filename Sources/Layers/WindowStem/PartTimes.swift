import System

/// The parts of a step a network spends time in.
package enum NetworkPart: Int, Sendable, CaseIterable {
    case convolutionForward, dense1Forward, dense2, dense1Backward, convolutionBackward

    /// In a trace.
    var label: String {
        switch self {
        case .convolutionForward: "forward convolution"
        case .dense1Forward: "forward FC1"
        case .dense2: "FC2"
        case .dense1Backward: "backward FC1"
        case .convolutionBackward: "backward convolution"
        }
    }
}

/// Seconds spent in each part, added up until reset.
package struct PartTimes: Sendable {
    private var seconds = [Double](repeating: 0, count: NetworkPart.allCases.count)
    /// What seconds are read from.
    package var clock: @Sendable () -> Double = { Stopwatch.now }

    package init() {}

    package subscript(part: NetworkPart) -> Double { seconds[part.rawValue] }

    /// Adds seconds that were measured elsewhere.
    package mutating func add(_ more: Double, to part: NetworkPart) { seconds[part.rawValue] += more }

    package mutating func reset() {
        for index in seconds.indices { seconds[index] = 0 }
    }

    /// Runs `body` and adds its duration to `part`.
    mutating func measure(_ part: NetworkPart, _ body: () throws -> Void) rethrows {
        let start = clock()
        try Trace.layer(part.label, body)
        seconds[part.rawValue] += clock() - start
    }
}
