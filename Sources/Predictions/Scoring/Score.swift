import HandData
import Telemetry

/// What errors on frames with labels say of predictions.
package struct Score: Sendable {
    /// Of a part of the frames, such as a test sequence.
    package struct Part: Sendable, Encodable {
        package let name: String
        package let frames: Int
        package let jointError: Double

        private enum CodingKeys: String, CodingKey {
            case name, frames
            case jointError = "joint_error_mm"
        }
    }

    /// What a figure was made with.
    package struct Facts: Sendable {
        /// Where crops were put; nil where a file does not tell.
        package var centre: String?
        package var intrinsics: String
        /// More members of the JSON object, in order.
        package var others: [(name: String, value: String)] = []

        package init(centre: String?, intrinsics: String) { (self.centre, self.intrinsics) = (centre, intrinsics) }
    }

    package static let thresholds = [10, 20, 30, 40, 50, 60, 70, 80]

    package let errors: JointErrors
    package let parts: [Part]
    package let facts: Facts

    /// - Parameters:
    ///   - sequences: of each frame.
    package init(_ errors: JointErrors, sequences: [String], facts: Facts) {
        precondition(sequences.count == errors.frames, "a sequence a frame")
        self.errors = errors
        self.facts = facts
        var order: [String] = []
        var frames: [String: [Int]] = [:]
        for (index, name) in sequences.enumerated() {
            if frames[name] == nil { order.append(name) }
            frames[name, default: []].append(index)
        }
        parts = order.map { name in
            let part = errors.selecting(frames[name]!)
            return Part(name: name, frames: part.frames, jointError: part.meanError)
        }
    }

    /// For people.
    package var lines: [String] {
        var lines = [
            format("mean joint error  %.4f mm", errors.meanError) + " over \(errors.frames) frames",
            format("median frame      %.4f mm", errors.medianFrame),
            "frames with all joints within",
            "  " + Self.thresholds.map { "\($0) mm" }.map { pad($0, 8) }.joined(),
            "  " + Self.thresholds.map { pad(format("%.4f", errors.success(within: Double($0))), 8) }.joined(),
            "joint errors, mm",
        ]
        let means = errors.jointMeans
        for (name, joint) in zip(JointNames.all, means) { lines.append("  " + name.padded(12) + pad(format("%.2f", joint), 7)) }
        if parts.count > 1 {
            let width = parts.map(\.name.count).max()!
            lines.append("by sequence")
            for part in parts {
                lines.append("  \(part.name.padded(width))  \(format("%.4f", part.jointError)) mm over \(part.frames) frames")
            }
        }
        return lines
    }

    private func pad(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }
}

extension String {
    func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}

extension Score: Encodable {
    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// One object; `centre` is null where it is not known.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        func key(_ name: String) -> Key { Key(stringValue: name) }
        try container.encode(errors.frames, forKey: key("frames"))
        try container.encode(errors.meanError, forKey: key("joint_error_mm"))
        try container.encode(errors.jointMeans, forKey: key("joint_errors_mm"))
        try container.encode(errors.medianFrame, forKey: key("median_mm"))
        try container.encode(
            Dictionary(uniqueKeysWithValues: Self.thresholds.map { (String($0), errors.success(within: Double($0))) }), forKey: key("success"))
        try container.encode(parts, forKey: key("sequences"))
        if let centre = facts.centre {
            try container.encode(centre, forKey: key("centre"))
        } else {
            try container.encodeNil(forKey: key("centre"))
        }
        try container.encode(facts.intrinsics, forKey: key("intrinsics"))
        for (name, value) in facts.others { try container.encode(value, forKey: key(name)) }
    }
}
