import Kernels
import Layers
import Memory
package import System

extension Network {
    /// Gradients must stay below this: the largest float whose square is one, as Adam squares them.
    package static let largestGradient = Double(Float.greatestFiniteMagnitude).squareRoot()

    /// A bound on the magnitude of every gradient of this rank's samples, known after `beginBackward`, before any weight
    /// changes. NaN or infinite where something that is not finite is about.
    ///
    /// FC1's weight gradient is never held whole, and that of the convolution is made last. So they are bounded by what they are
    /// made from: a sum over samples s of products x[s] dy[s], in whatever order and with whatever partial sums, is at most
    /// the sum of |x[s]| |dy[s]|:
    ///
    ///     FC1:          sum over s of  max |x[s]|  *  max |dy[s]|
    ///     convolution:  sum over s of  (1 + max |image[s]|)  *  pooled positions  *  max |w|  *  units  *  max |dy[s]|
    ///
    /// where max |w| times units times max |dy[s]| bounds the gradient of FC1's input, and the 1 is the bias's factor. The others
    /// are looked at themselves. Taken in Double, where nothing overflows. Rounding, and sums that are taken for all windows and
    /// then corrected for the active ones, may exceed a bound by a small factor: `largestGradient` is 19 orders of magnitude
    /// below the largest float.
    /// - Parameter largestWeight: bounds every weight of FC1.
    package func gradientBound(samples: Int, largestWeight: Double) -> Double {
        guard let stem else { preconditionFailure("no window stem") }
        // The first layer's other gradients are still to be made.
        var bounds = table.parameters.filter { $0.role.isTrained && !stem.makesLater($0) }.map { parameter in
            Double(Magnitude.peak(gradients.baseAddress! + parameter.range.lowerBound, count: parameter.count))
        }
        bounds += stem.gradientBounds(samples: samples, largestWeight: largestWeight)
        // max() may lose a NaN.
        return bounds.first { !$0.isFinite } ?? bounds.max()!
    }

    /// Samples of the last step whose image, activations, outputs or gradients hold a value that is not finite.
    package func samplesNotFinite(samples: Int) -> [Int] {
        let (width, pixels) = (outputCount, description.input.count)
        return (0..<samples).filter { sample in
            !((stem?.peaks(of: sample) ?? [Magnitude.peak(pass.input + sample * pixels, count: pixels)])
                + [Magnitude.peak(outputs + sample * width, count: width)]).allSatisfy(\.isFinite)
        }
    }

    /// Largest magnitude of FC1's weights, by all threads.
    package func largestWeight(team: WorkerTeam) -> Double {
        guard let parameter = stem?.largeParameter else { return 0 }
        let block = 1 << 20
        let blocks = (parameter.count + block - 1) / block
        let values = parameters + parameter.range.lowerBound
        return withUnsafeTemporaryAllocation(of: Float.self, capacity: blocks) { found in
            let peaks = found.baseAddress!
            team.forEach(blocks) { item, _ in
                peaks[item] = Magnitude.peak(values + item * block, count: min(block, parameter.count - item * block))
            }
            return Double(Magnitude.peak(peaks, count: blocks))
        }
    }
}
