import Collectives
import HandData
import Kernels
import Memory
import Networks
import Optimizers
import System
import Telemetry

/// What happens when a step's loss or gradient is not finite.
package enum NonfinitePolicy: String, Sendable, Codable, CaseIterable {
    /// The run ends; nothing of the step is in a checkpoint.
    case stop
    /// The step's update is left out on all ranks, and counted.
    case skip
}

/// Finds out, before any weight changes, whether the step's loss and every gradient are finite: one verdict on all ranks.
struct FiniteCheck {
    /// Bounds every weight of FC1: looked at once, then raised by what a step can change at most.
    private var largestWeight = Double.infinity
    private let communicator: any Communicator
    private let network: Network
    private let source: any FrameSource

    /// Why a step may not update.
    struct Problem {
        let text: String
        /// The ranks and samples it comes from.
        let origin: String
    }

    /// Samples named a rank.
    private static let mostNamed = 3

    /// - Parameter source: names the samples.
    init(network: Network, source: any FrameSource, communicator: any Communicator) {
        self.network = network
        self.source = source
        self.communicator = communicator
    }

    /// Looks at all weights, before the first step; called by all ranks together.
    mutating func begin(team: WorkerTeam) throws {
        guard network.stem != nil else { return }
        largestWeight = try communicator.maximum(network.largestWeight(team: team))
    }

    /// The weights were updated.
    mutating func updated(by optimizer: any Optimizer) { largestWeight += optimizer.largestGrowth ?? .infinity }

    /// Why the step's loss forbids an update, on all ranks; nil when it is finite.
    func problem(loss statistics: StepStatistics, batch: Batch) throws -> Problem? {
        guard !statistics.loss.isFinite else { return nil }
        return try explain("the loss is \(format("%g", statistics.loss))", batch: batch, isCulprit: nil)
    }

    /// Why the step's gradients forbid an update, on all ranks; nil when all are finite. Called after `beginBackward`.
    func problem(gradientsOf batch: Batch) throws -> Problem? {
        let own = network.gradientBound(samples: batch.count, largestWeight: largestWeight)
        // Gradients are summed over the ranks, and so are their bounds. NaN and infinity pass through the sum.
        let bound = communicator.size == 1 ? own : try communicator.sum(own)
        guard !(bound < Network.largestGradient) else { return nil }
        let text = bound.isFinite ? "the gradient is beyond the range of floats" : "the gradient is not finite"
        return try explain(text, batch: batch, isCulprit: !(own < Network.largestGradient / Double(communicator.size)))
    }

    /// Why the norm of the whole gradient, which all ranks know, forbids an update; nil when it is finite.
    func problem(norm: Double, batch: Batch) throws -> Problem? {
        guard !(norm < Network.largestGradient) else { return nil }
        let text = norm.isFinite ? "the gradient is beyond the range of floats" : "the gradient is not finite"
        return try explain(text, batch: batch, isCulprit: nil)
    }

    /// Finds the ranks and samples that a problem comes from.
    /// - Parameter isCulprit: nil: a rank is one if a sample of its is.
    private func explain(_ text: String, batch: Batch, isCulprit: Bool?) throws -> Problem {
        let bad = network.samplesNotFinite(samples: batch.count)
        var words = bad.prefix(Self.mostNamed).map { source.describe(batch.samples[$0]) }
        if bad.count > words.count { words.append("and \(bad.count - words.count) more") }
        if words.isEmpty { words = ["no single sample"] }
        let own = isCulprit ?? !bad.isEmpty ? words.joined(separator: ", ") : ""
        let ranks = try communicator.allgather(Array(own.utf8)).enumerated().compactMap { rank, bytes in
            bytes.isEmpty ? nil : "rank \(rank): \(String(decoding: bytes, as: UTF8.self))"
        }
        return Problem(text: text, origin: ranks.isEmpty ? "no rank holds the cause alone" : ranks.joined(separator: "; "))
    }
}
