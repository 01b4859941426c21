package import HandData

/// What is wrong with a data set, without training on it.
package enum DataDoctor {
    /// All checks of a data set's parts.
    /// - Parameter test: frames that are evaluated once, at the end; nil: there are none, or they are the held-out ones.
    package static func findings(training: any FrameSource, heldOut: any FrameSource, test: (any FrameSource)? = nil) -> [Finding] {
        var findings = [DataAmount.check(training: training.count, heldOut: heldOut.count)]
        let labels = AllLabels(training)
        let spread = LabelSpread.check(labels)
        findings += spread
        let samples = DataSamples(training)
        findings.append(readable(samples, training.count))
        // Labels that are all alike would look like those of other frames.
        if !samples.frames.isEmpty, spread.isEmpty { findings.append(LabelsAgainstFrames.check(samples)) }
        if !findings.contains(where: { $0.severity == .problem && [LabelsAgainstFrames.subject, LabelSpread.subject].contains($0.subject) }) {
            findings.append(LabelSpread.poses(labels))
        }
        if let order = RecordingOrder.check(labels) { findings.append(order) }
        if heldOut.count > 0, spread.isEmpty {
            findings += Duplicates.check(training: training, heldOut: heldOut, test: test)
        }
        return findings
    }

    /// Labels that training looks at before its first step.
    private static let mostLabels = 10_000

    /// The mistakes that training itself tells of before its first step: what a look at labels and at some frames finds.
    package static func problems(training: any FrameSource, heldOut: any FrameSource, test: (any FrameSource)? = nil) -> [Finding] {
        let labels = AllLabels(training, most: mostLabels)
        var findings = LabelSpread.check(labels)
        if findings.isEmpty {
            let samples = DataSamples(training, most: 60)
            if samples.frames.count >= 20 { findings.append(LabelsAgainstFrames.check(samples)) }
            if !findings.contains(where: { $0.severity == .problem }), training.count >= 20 { findings.append(LabelSpread.poses(labels)) }
            findings += Duplicates.check(training: training, heldOut: heldOut, test: test, comparesPixels: false)
        }
        if training.count >= 2 { findings.append(DataAmount.check(training: training.count, heldOut: heldOut.count)) }
        return findings.filter { $0.severity == .problem }
    }

    private static func readable(_ samples: DataSamples, _ count: Int) -> Finding {
        guard let first = samples.failures.first else {
            return .ok("frames", "\(samples.frames.count) of \(count) training frames were decoded, \(samples.width)x\(samples.height)")
        }
        let total = samples.failures.count + samples.frames.count
        return .problem(
            "frames", "\(samples.failures.count) of \(total) cannot be read; the first: \(first)",
            cure: "dtrain --data DIR --check-data lists all; leave them out with --on-bad-sample skip")
    }
}
