import HandData
import Kernels
import Testing
import Training

/// Each warning of the collapse monitor, from made-up outputs.
struct CollapseMonitorTests {
    private static let samples = 4
    private static let values = HandLabel.valueCount
    private static let healthy = CollapseMonitor.Inside(deadUnitShare: 0.4, hiddenGradientNorm: 1, deadPooledShare: 0.5)

    /// Statistics of a batch whose outputs and labels are given by sample and output.
    private func statistics(
        head: OutputHead = .linear, samples: Int = samples, label: Float = 200, output: (Int, Int) -> Float
    ) -> StepStatistics {
        var statistics = StepStatistics(outputs: Self.values, camera: Camera.icvl(width: 320, height: 240))
        let predictions = (0..<samples).flatMap { sample in (0..<Self.values).map { output(sample, $0) } }
        let labels = [Float](repeating: label, count: samples * Self.values)
        statistics.add(predictions: predictions, labels: labels, samples: samples, skipped: 0, head: head)
        return statistics
    }

    private func warnings(
        _ statistics: StepStatistics, inside: CollapseMonitor.Inside? = healthy, head: OutputHead = .linear
    ) -> [String] {
        var monitor = CollapseMonitor()
        return monitor.warnings(step: 7, statistics: statistics, inside: inside, head: head)
    }

    private func varied(_ sample: Int, _ output: Int) -> Float { 100 + Float(sample * 3 + output) }

    @Test(arguments: OutputHead.allCases) func aHealthyStepIsSilent(head: OutputHead) {
        let statistics = statistics(head: head, output: varied)
        #expect(warnings(statistics, head: head) == [])
        #expect(warnings(statistics, inside: nil, head: head) == [])
    }

    @Test func allOutputsZeroNamesTheLossAndTheCure() throws {
        let lines = warnings(statistics(head: .relu) { _, _ in 0 }, head: .relu)
        let line = try #require(lines.first)
        #expect(lines.count == 1)
        #expect(line.hasPrefix("step 7: 100% of the outputs are exactly 0"))
        #expect(line.contains("mean squared label, 40000"))
        #expect(line.contains("hint: --output linear"))
    }

    @Test func mostOutputsZeroIsTold() throws {
        let line = try #require(
            warnings(statistics(head: .relu) { $1 % 3 == 0 ? varied($0, $1) : 0 }, head: .relu).first)
        #expect(line.contains("67% of the outputs are exactly 0") && line.contains("they do not learn"))
        #expect(line.contains("hint: --output linear"))
    }

    @Test func halfTheOutputsZeroIsNoCollapse() {
        #expect(warnings(statistics(head: .relu) { $1 % 2 == 0 ? varied($0, $1) : 0 }, head: .relu) == [])
    }

    /// A linear output of 0 passes its gradient: nothing to warn of.
    @Test func zerosOfALinearHeadAreOutputsLikeOthers() {
        #expect(warnings(statistics { $1 % 3 == 0 ? varied($0, $1) : 0 }) == [])
    }

    @Test(arguments: OutputHead.allCases) func constantOutputsAreTold(head: OutputHead) throws {
        let lines = warnings(statistics(head: head) { _, output in 100 + Float(output) }, head: head)
        #expect(lines.count == 1)
        #expect(lines.first?.contains("the outputs are the same for every frame") == true)
        #expect(lines.first?.contains("hint: --input normalized, --initial-values he") == true)
    }

    /// One output that differs by 1e-4 of its size is enough to see the input.
    @Test func nearlyConstantOutputsAreNotConstant() {
        #expect(warnings(statistics { 100 + Float($1) + ($0 == 1 && $1 == 5 ? 0.02 : 0) }) == [])
    }

    @Test func oneSampleIsNoProofOfConstancy() {
        #expect(warnings(statistics(samples: 1) { _, output in Float(output) }) == [])
    }

    @Test(arguments: [(0.89, 0), (0.9, 1), (1.0, 1)]) func deadUnitsAreTold(share: Double, count: Int) {
        let inside = CollapseMonitor.Inside(deadUnitShare: share, hiddenGradientNorm: 1, deadPooledShare: 0)
        let lines = warnings(statistics(output: varied), inside: inside)
        #expect(lines.count == count)
        if let line = lines.first { #expect(line.contains("of FC1's units are 0") && line.contains("hint: --initial-values he")) }
    }

    @Test func noGradientIntoFC1IsTold() {
        let inside = CollapseMonitor.Inside(deadUnitShare: 0, hiddenGradientNorm: 0, deadPooledShare: 0)
        let lines = warnings(statistics(output: varied), inside: inside)
        #expect(lines.count == 1)
        #expect(lines.first?.contains("no gradient reaches FC1") == true && lines.first?.contains("hint: ") == true)
        #expect(warnings(statistics { _, _ in 200 }, inside: inside).allSatisfy { !$0.contains("no gradient") }, "no error, no gradient")
    }

    @Test func aDeadConvolutionIsTold() {
        let inside = CollapseMonitor.Inside(deadUnitShare: 0, hiddenGradientNorm: 1, deadPooledShare: 1)
        let lines = warnings(statistics(output: varied), inside: inside)
        #expect(lines.count == 1)
        #expect(lines.first?.contains("no gradient reaches the convolution") == true)
    }

    @Test func everythingIsSaidOnce() {
        var monitor = CollapseMonitor()
        let collapsed = statistics(head: .relu) { _, _ in 0 }
        let dead = CollapseMonitor.Inside(deadUnitShare: 1, hiddenGradientNorm: 0, deadPooledShare: 1)
        let first = monitor.warnings(step: 1, statistics: collapsed, inside: dead, head: .relu)
        #expect(first.count == 3, "outputs, units, convolution; no gradient leaves the outputs at all")
        for step in 2..<20 {
            #expect(monitor.warnings(step: step, statistics: collapsed, inside: dead, head: .relu) == [])
        }
    }
}
