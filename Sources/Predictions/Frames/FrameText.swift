import HandData
import Telemetry

extension FrameAnswer {
    /// For people: a line, and one a joint; a line where there is no hand.
    package var text: String {
        let name = printable(item.file)
        switch hand {
        case .failure(let problem): return "\(name): not predicted: \(problem)"
        case .success(let hand):
            let centre =
                hand.prediction.centre.map {
                    "centre " + format("%.1f", $0.x) + " " + format("%.1f", $0.y) + format(" px %.1f mm, ", $0.z)
                } ?? ""
            let error = hand.meanError.map { format(", error %.1f mm", $0) } ?? ""
            var lines = ["\(name): \(centre)\(format("%.1f ms", milliseconds))\(error)"]
            lines.append("  joint             u px    v px    d mm      x mm    y mm    z mm")
            for (joint, place) in hand.places.enumerated() {
                let uvd = (0..<3).map { format("%8.2f", Double(hand.prediction.joints[3 * joint + $0])) }.joined()
                let xyz = (0..<3).map { format("%8.2f", place[$0]) }.joined()
                lines.append("  \(JointNames.all[joint].padded(12))\(uvd)  \(xyz)")
            }
            return lines.joined(separator: "\n")
        }
    }
}

/// A line of `dtrain predict --json`.
extension FrameAnswer: Encodable {
    private enum CodingKeys: String, CodingKey {
        case frame, error, centre, milliseconds
        case joints = "joints_uvd"
        case places = "joints_xyz_mm"
        case jointError = "joint_error_mm"
        case jointErrors = "joint_errors_mm"
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(item.file, forKey: .frame)
        switch hand {
        case .failure(let problem): try container.encode(problem.description, forKey: .error)
        case .success(let hand):
            let joints = hand.prediction.joints
            try container.encode(stride(from: 0, to: joints.count, by: 3).map { Array(joints[$0..<$0 + 3]) }, forKey: .joints)
            try container.encode(hand.places.map { place in (0..<3).map { Float(place[$0]) } }, forKey: .places)
            if let centre = hand.prediction.centre { try container.encode((0..<3).map { Float(centre[$0]) }, forKey: .centre) }
            try container.encode(Float(milliseconds), forKey: .milliseconds)
            try container.encodeIfPresent(hand.meanError, forKey: .jointError)
            try container.encodeIfPresent(hand.errors, forKey: .jointErrors)
        }
    }
}

/// What is to be said after the last frame.
package struct FrameSummary: Sendable {
    package private(set) var frames = 0
    package private(set) var failures = 0
    private var times: [Double] = []
    private var errors: [Double] = []

    package init() {}

    package mutating func add(_ answer: FrameAnswer) {
        frames += 1
        switch answer.hand {
        case .failure: failures += 1
        case .success(let hand):
            times.append(answer.milliseconds)
            if let error = hand.meanError { errors.append(error) }
        }
    }

    /// - Parameter threads: that computed.
    package func lines(threads: Int) -> [String] {
        var lines: [String] = []
        if !times.isEmpty {
            let sorted = times.sorted()
            lines.append(
                "latency: " + format("%.2f ms", sorted[sorted.count / 2]) + " in the middle of \(times.count) frames, "
                    + format("%.2f ms", sorted[min(sorted.count - 1, sorted.count * 95 / 100)])
                    + " at the 95th percentile, one frame at a time from the file to the joints, \(threads) thread\(threads == 1 ? "" : "s")")
        }
        if !errors.isEmpty {
            let sorted = errors.sorted()
            let median = (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
            lines.append(
                "error: " + format("mean %.2f mm", errors.reduce(0, +) / Double(errors.count)) + format(", median frame %.2f mm", median)
                    + " over \(errors.count) frames with labels")
        }
        return lines
    }
}
