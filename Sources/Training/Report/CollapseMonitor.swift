package import Collectives
package import Kernels
import Layers
package import Networks
import Telemetry

/// Watches any training for what befell the question's network: it says once, with the reason and the cure, when outputs
/// no longer depend on the input, units are dead, or a layer gets no gradient.
package struct CollapseMonitor {
    /// What a look at the network's inside gives, over all ranks.
    package struct Inside {
        /// Share of the hidden units that are 0 for every sample of the batch.
        package let deadUnitShare: Double
        /// Norm of the gradient that reaches the hidden layer.
        package let hiddenGradientNorm: Double
        /// Share of the pooled values that ReLU cut off.
        package let deadPooledShare: Double

        package init(deadUnitShare: Double, hiddenGradientNorm: Double, deadPooledShare: Double) {
            self.deadUnitShare = deadUnitShare
            self.hiddenGradientNorm = hiddenGradientNorm
            self.deadPooledShare = deadPooledShare
        }
    }

    private var said: Set<String> = []

    package init() {}

    /// What follows from a cause that was told needs no line of its own.
    package mutating func causeIsTold() { said.formUnion(["constant", "dead units", "no gradient", "dead convolution"]) }

    /// Looks at the activations and gradients of the step that is under way, on all ranks.
    package static func look(
        at network: Network, samples: Int, communicator: any Communicator
    ) throws -> Inside? {
        guard let stem = network.stem else { return nil }
        let units = stem.units
        var values = [Double](repeating: 0, count: units + 3)
        for sample in 0..<samples {
            let (activations, gradients) = (stem.hidden + sample * units, stem.hiddenGradient + sample * units)
            for unit in 0..<units {
                if activations[unit] > 0 { values[unit] += 1 }
                values[units] += Double(gradients[unit]) * Double(gradients[unit])
            }
        }
        values[units + 1] = Double(stem.deadPooledCount(samples: samples))
        values[units + 2] = Double(samples * stem.flattened)
        if communicator.size > 1 {
            try values.withUnsafeMutableBufferPointer { values in try network.pass.waiting(isExchange: false) { try communicator.sum(values) } }
        }
        return Inside(
            deadUnitShare: Double(values[..<units].count { $0 == 0 }) / Double(units),
            hiddenGradientNorm: values[units].squareRoot(), deadPooledShare: values[units + 1] / max(1, values[units + 2]))
    }

    /// Warnings that this step calls for and that were not given before.
    /// - Parameter inside: nil at steps where only the outputs were looked at.
    package mutating func warnings(
        step: Int, statistics: StepStatistics, inside: Inside?, head: OutputHead
    ) -> [String] {
        var found: [(key: String, text: String)] = []
        let zeros = statistics.zeroOutputShare
        if head == .relu && zeros > 0.5 {
            let all = statistics.outputGradientNorm == 0
            found.append(
                (
                    all ? "zero" : "partly zero",
                    "step \(step): \(percent(zeros)) of the outputs are exactly 0. A ReLU that outputs 0 passes no gradient, so "
                        + (all
                            ? "nothing is learned while this lasts: the loss is the mean squared label, "
                                + "\(format("%.0f", statistics.meanSquaredLabel))"
                            : "they do not learn")
                        + "; hint: --output linear (or --output exp --learning-rate 1e-5, if outputs must be positive)"
                ))
        } else if statistics.outputsAreConstant {
            found.append(
                (
                    "constant",
                    "step \(step): the outputs are the same for every frame of the batch: the network does not see its input"
                        + "; hint: --input normalized, --initial-values he, or a smaller --learning-rate"
                ))
        }
        if let inside {
            if inside.deadUnitShare >= 0.9 {
                found.append(
                    (
                        "dead units",
                        "step \(step): \(percent(inside.deadUnitShare)) of FC1's units are 0 for every frame of the batch (dead "
                            + "ReLU units learn no more); hint: --initial-values he, --input normalized, or a smaller --learning-rate"
                    ))
            }
            if inside.hiddenGradientNorm == 0 && statistics.outputGradientNorm > 0 {
                found.append(
                    (
                        "no gradient",
                        "step \(step): no gradient reaches FC1, although the outputs are wrong: every unit of FC1 is cut off by its "
                            + "ReLU; hint: --initial-values he, --input normalized, or a smaller --learning-rate"
                    ))
            }
            if inside.deadPooledShare == 1 {
                found.append(
                    (
                        "dead convolution",
                        "step \(step): every pooled value is 0: no gradient reaches the convolution; hint: --initial-values he, "
                            + "or a smaller --learning-rate"
                    ))
            }
        }
        return found.filter { said.insert($0.key).inserted }.map(\.text)
    }

    private func percent(_ share: Double) -> String { format("%.0f%%", share * 100) }
}
