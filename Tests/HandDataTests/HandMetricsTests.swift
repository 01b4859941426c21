import HandData
import Testing

private func metrics(_ predictions: [Float], _ truths: [Float], _ camera: Camera) -> HandMetrics {
    var metrics = HandMetrics(camera: camera)
    predictions.withUnsafeBufferPointer { predictions in
        truths.withUnsafeBufferPointer { truths in
            for start in stride(from: 0, to: truths.count, by: 48) {
                metrics.add(
                    prediction: UnsafeBufferPointer(rebasing: predictions[start..<(start + 48)]),
                    truth: UnsafeBufferPointer(rebasing: truths[start..<(start + 48)]))
            }
        }
    }
    return metrics
}

private struct LabelsOnly: FrameSource {
    let labels: [Float]
    let width = 1
    let height = 1
    let fingerprint: UInt64 = 0
    var count: Int { labels.count / 48 }

    func readLabel(_ index: Int, into label: UnsafeMutableBufferPointer<Float>) {
        _ = label.update(fromContentsOf: labels[(index * 48)..<(index * 48 + 48)])
    }
    func readFrame(_ index: Int, into depth: UnsafeMutableBufferPointer<UInt16>) { depth[0] = 0 }
    func describe(_ index: Int) -> String { "\(index)" }
}

@Suite struct HandMetricsTests {
    @Test func aJointBesideItsPlace() {
        // 10 px aside at 482.84 mm with a focal length of 241.42 px are 20 mm.
        let truth = [Float](repeating: 0, count: 48).enumerated().map { $0.offset % 3 == 2 ? Float(482.84) : 100 }
        var prediction = truth
        prediction[3 * 5] += 10
        let result = metrics(prediction, truth, .icvl())
        #expect(abs(result.jointErrors[5] - 20) < 1e-4)
        #expect(abs(result.meanError - 20 / 16) < 1e-4)
        #expect(result.successRates == [0, 0, 1, 1, 1, 1, 1, 1] || result.successRates == [0, 1, 1, 1, 1, 1, 1, 1])
        #expect(result.successRates[0] == 0)
    }

    @Test func otherImageSizesScale() {
        let full = Camera.icvl().millimetres(u: 200, v: 30, d: 400)
        let quarter = Camera.icvl(width: 80, height: 60).millimetres(u: 50, v: 7.5, d: 400)
        #expect(abs((full - quarter).max()) < 1e-12 && abs((full - quarter).min()) < 1e-12)
    }

    @Test func aPredictionThatIsNotFiniteNeverSucceeds() {
        var prediction = patternLabel(0)
        prediction[4] = .nan
        let result = metrics(prediction, patternLabel(0), .icvl())
        #expect(result.successRates.allSatisfy { $0 == 0 })
        #expect(result.meanError.isNaN)
        #expect(result.jointErrors[0] == 0)
    }

    @Test func ranksAddTheirSums() {
        let truths = patternLabel(1) + patternLabel(2) + patternLabel(3)
        let predictions = patternLabel(2) + patternLabel(2) + patternLabel(9)
        let whole = metrics(predictions, truths, .icvl())
        var first = metrics(Array(predictions[..<48]), Array(truths[..<48]), .icvl())
        let rest = metrics(Array(predictions[48...]), Array(truths[48...]), .icvl())
        first.sums = zip(first.sums, rest.sums).map { $0 + $1 }
        #expect(first.frameCount == 3)
        #expect(abs(first.meanError - whole.meanError) < 1e-12)
        #expect(first.successRates == whole.successRates)
    }

    /// The published table of `ICVL.md`: three methods' mean errors and success rates, to the digits printed there.
    @Test(
        .enabled(if: Shared.isPresent, Shared.skipped),
        arguments: [
            ("JVCI18_ICVL_REN_9x6x6", 7.3052, [0.2932, 0.7124, 0.8803, 0.9555]),
            ("IJCAI16_ICVL_DeepModel", 11.5611, [0.0006, 0.4994, 0.7187, 0.8402]),
            ("CVPR14_LRF_Results", 12.5776, [0.0063, 0.2074, 0.5038, 0.7086]),
        ])
    func publishedResultsAreReproduced(name: String, mean: Double, success: [Double]) throws {
        var truth = LabelTable()
        try LabelFile.read(Shared.icvl("icvl_test_groundtruth_label.txt"), form: .numbersOnly, into: &truth)
        var predicted = LabelTable()
        try LabelFile.read(Shared.icvl("results/\(name).txt"), form: .numbersOnly, into: &predicted)
        #expect(predicted.count == 1596 && predicted.malformedCount == 0)
        let result = metrics(predicted.labels, truth.labels, .commonEvaluator())
        #expect((result.meanError * 10_000).rounded() == (mean * 10_000).rounded())
        #expect(
            result.successRates.prefix(4).map { ($0 * 10_000).rounded() } == success.map { ($0 * 10_000).rounded() })
    }

    @Test func statisticsOfFewLabels() {
        let statistics = LabelStatistics(
            LabelsOnly(labels: [Float](repeating: 1, count: 48) + [Float](repeating: 3, count: 48)))
        #expect(statistics.mean == [Double](repeating: 2, count: 48))
        #expect(statistics.zeroLoss == 5)
        #expect(statistics.meanLoss == 1)
    }

    @Test(.enabled(if: Shared.isPresent, Shared.skipped))
    func lossesOfNetworksThatLearnedNothing() throws {
        var table = LabelTable()
        for name in ["test_seq_1.txt", "test_seq_2.txt"] { try LabelFile.read(Shared.icvl(name), into: &table) }
        let statistics = LabelStatistics(LabelsOnly(labels: table.labels))
        #expect((statistics.zeroLoss * 100).rounded() == 5_287_853)
        #expect((statistics.meanLoss * 100).rounded() == 119_216)
    }
}
