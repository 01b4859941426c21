import HandData
import Telemetry

/// Labels against frames: other units, another camera, other frames' labels.
package enum LabelsAgainstFrames {
    /// What its findings are about.
    package static let subject = "labels and frames"
    /// Below this share of joints on a surface something is looked for.
    private static let good = 0.8
    /// A reading must be so much better to be told.
    private static let gain = 0.25

    static func check(_ samples: DataSamples) -> Finding {
        let surface = LabelsOnSurface(samples)
        let own = surface.share(LabelsOnSurface.asIs)
        let found = "\(percent(own)) of the joints lie on a surface within \(Int(LabelsOnSurface.reach)) mm of their depth"
        let readings = LabelsOnSurface.others.map { (reading: $0, share: surface.share($0)) }
        if let best = readings.max(by: { $0.share < $1.share }), own < good, best.share > own + gain, best.share > 0.5 {
            return .problem(subject, "\(found); \(percent(best.share)) would if \(best.reading.words)", cure: best.reading.cure)
        }
        // Labels of other frames lie no better on their own frames than on others.
        let count = samples.frames.count
        if count >= 10, own < good {
            let strangers = [count / 7 + 1, count / 3 + 1, count / 2 + 1].map { surface.share(LabelsOnSurface.asIs, shift: $0) }
            let stranger = strangers.max() ?? 0
            if own < 1.3 * stranger + 0.02, stranger > 0.05 {
                return .problem(
                    subject, "\(found), and \(percent(stranger)) lie so on frames that are not theirs: labels and frames are shuffled",
                    cure: "pair each label line with its own frame; were lines sorted or paths renumbered?")
            }
        }
        let best = surface.bestCamera()
        if best.share > own + 0.08, own < 0.9 {
            let shift = "by (\(Int(best.shift.x)), \(Int(best.shift.y))) px" + (best.scale == 1 ? "" : ", and scaled by \(best.scale)")
            return .problem(
                subject, "\(found); \(percent(best.share)) would if all were moved \(shift): the labels are of another camera",
                cure: "project the labels with the camera of the depth frames (241.42 px, centre 160, 120 at 320x240)")
        }
        if own < 0.5 {
            return .problem(
                subject, "\(found), and no cause was found",
                cure: "look at some: depths are 16-bit PNG in mm, a label is u px, v px, d mm for each of 16 joints")
        }
        return own < good
            ? .note(subject, found, cure: "look at some frames: are the labels of these hands?") : .ok(subject, found)
    }
}

/// Labels by themselves: constant, or of one pose.
package enum LabelSpread {
    /// What its findings are about.
    package static let subject = "labels"

    static func check(_ all: AllLabels) -> [Finding] {
        let labels = all.labels
        guard labels.count > 1 else { return [] }
        let spread = spread(labels)
        guard spread.place > 1e-3 || spread.pose > 1e-3 else {
            return [.problem(subject, "all \(labels.count) are the same", cure: "write each frame's own joints into its line")]
        }
        let constant = (0..<HandLabel.jointCount).filter { isConstant($0, labels) }
        if !constant.isEmpty {
            return [
                .problem(
                    subject, "joint\(constant.count == 1 ? "" : "s") \(constant.map(String.init).joined(separator: ", ")) never move",
                    cure: "write each frame's own joints; 16 of them, palm first")
            ]
        }
        return []
    }

    /// How much the poses vary; of labels that fit their frames, as other units would make it nonsense.
    static func poses(_ all: AllLabels) -> Finding {
        let spread = spread(all.labels)
        let words =
            "hands move by \(format("%.0f", spread.place)) mm, joints within the hand by \(format("%.1f", spread.pose)) mm (standard deviation)"
        if spread.pose < 3 {
            return .problem(
                "poses", "\(words): it is one pose", cure: "record hands that open, close and turn; a network learns no pose it has not seen")
        }
        return .ok("poses", words)
    }

    /// Whether a joint is in the same place in all labels.
    private static func isConstant(_ joint: Int, _ labels: [[Float]]) -> Bool {
        let first = labels[0]
        for label in labels {
            for value in 3 * joint..<3 * joint + 3 where label[value] != first[value] { return false }
        }
        return true
    }

    /// Standard deviations, mm: of the hands' places, and of the joints about their own hand's place.
    static func spread(_ labels: [[Float]]) -> (place: Double, pose: Double) {
        let camera = Camera.icvl()
        var sums = [Double](repeating: 0, count: 3 + HandLabel.valueCount)
        var squares = sums
        for label in labels {
            let joints = (0..<HandLabel.jointCount).map { joint in
                camera.millimetres(u: Double(label[3 * joint]), v: Double(label[3 * joint + 1]), d: Double(label[3 * joint + 2]))
            }
            let centre = joints.reduce(SIMD3<Double>(), +) / Double(joints.count)
            var values = [centre.x, centre.y, centre.z]
            for joint in joints { values += [joint.x - centre.x, joint.y - centre.y, joint.z - centre.z] }
            for (index, value) in values.enumerated() {
                sums[index] += value
                squares[index] += value * value
            }
        }
        let count = Double(labels.count)
        let variances = zip(sums, squares).map { max(0, $1 / count - ($0 / count) * ($0 / count)) }
        let place = variances[..<3].reduce(0, +).squareRoot()
        let pose = (variances[3...].reduce(0, +) / Double(HandLabel.jointCount)).squareRoot()
        return (place, pose)
    }
}

/// Whether frames follow each other as they were recorded.
enum RecordingOrder {
    static func check(_ all: AllLabels) -> Finding? {
        let labels = all.labels
        guard labels.count >= 20 else { return nil }
        func distance(_ one: [Float], _ other: [Float]) -> Double {
            zip(one, other).reduce(0) { $0 + abs(Double($1.0) - Double($1.1)) }
        }
        let step = max(1, labels.count / 2000)
        let numbers = stride(from: 0, to: labels.count - 1, by: step)
        let near = numbers.map { distance(labels[$0], labels[$0 + 1]) }.reduce(0, +)
        // A stride that is no multiple of usual lengths of recordings.
        let far = numbers.map { distance(labels[$0], labels[($0 + labels.count * 379 / 1000) % labels.count]) }.reduce(0, +)
        guard far > 0, near < 0.5 * far else { return .ok("order", "neighbouring frames are as different as any two") }
        return .note(
            "order", "frames are in the order of recording: a frame's neighbour is \(percent(near / far)) as far as any other",
            cure: "nothing for dtrain, which shuffles by itself; hold out whole recordings, not every tenth frame")
    }
}

/// How much there is.
package enum DataAmount {
    /// What its findings are about.
    package static let subject = "amount"

    static func check(training: Int, heldOut: Int) -> Finding {
        let words = "\(training) training and \(heldOut) held-out frames"
        if training < 100 {
            return .problem(subject, "\(words): a network will know them by heart", cure: "some thousand frames; --augment strong helps a little")
        }
        if training < 2000 {
            return .note(subject, "\(words) are few", cure: "--preset dtrain-hand with --augment strong, and watch the held-out error")
        }
        if heldOut < 50 { return .note(subject, "\(words): few to measure an error on", cure: "hold out some hundred, of other recordings") }
        return .ok(subject, words)
    }
}

func percent(_ share: Double) -> String { format("%.0f%%", share * 100) }
