import Collectives
import HandData
import Kernels
import System
import Testing
import TestSupport
import Training

struct StepStatisticsTests {
    private static let values = HandLabel.valueCount
    private static let camera = Camera.icvl(width: 320, height: 240)

    private static func numbers(_ count: Int, stream: UInt64) -> [Float] {
        var random = CounterRandom(seed: 5, stream: stream).generator()
        return (0..<count).map { _ in 150 + Float(random.next() >> 40) / Float(1 << 24) * 100 }
    }

    private static func statistics(_ samples: Range<Int>, head: OutputHead = .linear) -> StepStatistics {
        var statistics = StepStatistics(outputs: values, camera: camera)
        let predictions = samples.flatMap { numbers(values, stream: UInt64($0)) }
        let labels = samples.flatMap { numbers(values, stream: UInt64(1000 + $0)) }
        statistics.add(
            predictions: predictions, labels: labels, samples: samples.count, skipped: samples.count % 2, head: head)
        return statistics
    }

    /// Each sample weighs the same, however unevenly they lie, also where a rank has none.
    @Test(arguments: [1, 2, 3, 5, 9]) func ranksAddUpToTheWhole(ranks: Int) throws {
        let whole = Self.statistics(0..<7)
        let sums = try Simulated.run(ranks: ranks) { communicator in
            var own = Self.statistics(part(communicator.rank, of: ranks, total: 7))
            try own.sum(over: communicator)
            return [
                own.samples, own.loss, own.jointErrorMillimetres, own.zeroOutputShare, own.outputGradientNorm,
                own.meanSquaredLabel,
            ]
        }
        let expected = [
            whole.samples, whole.loss, whole.jointErrorMillimetres, whole.zeroOutputShare, whole.outputGradientNorm,
            whole.meanSquaredLabel,
        ]
        for own in sums {
            #expect(own == sums[0])
            // Sums of a few thousand doubles in another order.
            for (value, wanted) in zip(own, expected) { #expect(abs(value - wanted) <= 1e-12 * abs(wanted)) }
        }
    }

    @Test func lossIsTheMeanOverSamplesAndOutputs() {
        var statistics = StepStatistics(outputs: Self.values, camera: Self.camera)
        let labels = [Float](repeating: 300, count: 2 * Self.values)
        let predictions = [Float](repeating: 303, count: Self.values) + [Float](repeating: 304, count: Self.values)
        statistics.add(predictions: predictions, labels: labels, samples: 2, skipped: 0, head: .linear)
        #expect(statistics.loss == 12.5)
        #expect(statistics.meanSquaredLabel == 90_000)
        #expect(statistics.zeroOutputShare == 0)
    }

    /// The gradient's norm against the kernels' own gradient.
    @Test(arguments: OutputHead.allCases) func gradientNormIsThatOfTheKernels(head: OutputHead) {
        let samples = 3
        var predictions = Self.numbers(samples * Self.values, stream: 77).map { ($0 - 190) / 20 }
        let labels = Self.numbers(samples * Self.values, stream: 78)
        head.forward(&predictions, count: predictions.count)
        var statistics = StepStatistics(outputs: Self.values, camera: Self.camera)
        statistics.add(predictions: predictions, labels: labels, samples: samples, skipped: 0, head: head)
        var gradient = [Float](repeating: 0, count: predictions.count)
        SquaredError.backward(
            outputs: predictions, labels: labels, count: predictions.count, scale: 1 / Float(predictions.count),
            gradient: &gradient)
        head.backward(outputs: predictions, gradient: &gradient, count: gradient.count)
        let norm = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        // Each float of the kernels' gradient has a few roundings.
        #expect(abs(statistics.outputGradientNorm - norm) <= 8 * Double(Float.ulpOfOne) * norm)
        #expect(norm > 0)
    }

    @Test func aFailedRankIsCountedByAll() throws {
        let failures = try Simulated.run(ranks: 3) { communicator in
            var own = StepStatistics(outputs: Self.values, camera: Self.camera)
            if communicator.rank == 1 { own.setFailed() }
            try own.sum(over: communicator)
            return own.failures
        }
        #expect(failures == [1, 1, 1])
    }
}
