import HandData
import Telemetry

/// Frames that are in the training set more than once, or in both parts: what is held out must not be trained on.
enum Duplicates {
    /// Frames that are decoded at most, to compare pixels.
    static let mostFrames = 6000

    /// - Parameter comparesPixels: decodes all frames, where they are few enough; else labels alone.
    static func check(
        training: any FrameSource, heldOut: any FrameSource, test: (any FrameSource)? = nil, comparesPixels: Bool = true
    ) -> [Finding] {
        let parts = [("held-out", heldOut)] + (test.map { [("test", $0)] } ?? [])
        let own = labelHashes(training)
        let known = Set(own)
        let isSmall = training.count + parts.reduce(0) { $0 + $1.1.count } <= mostFrames
        let frames = comparesPixels && isSmall ? Set(frameHashes(training)) : []
        var findings = parts.compactMap { name, part in leak(name, part, labels: known, frames: frames) }
        if findings.isEmpty { findings.append(.ok("split", "no \(parts.map(\.0).joined(separator: " or ")) frame is in the training set")) }
        let again = own.count - known.count
        if Double(again) > 0.05 * Double(own.count) {
            findings.append(
                .note(
                    "repeats", "\(again) of \(own.count) training labels (\(percent(Double(again) / Double(own.count)))) are there before",
                    cure: "list each frame once, or record more"))
        }
        return findings
    }

    /// - Parameters:
    ///   - labels, frames: hashes of the training set's; no frames: labels alone are compared.
    private static func leak(_ name: String, _ part: any FrameSource, labels: Set<Int>, frames: Set<Int>) -> Finding? {
        var (leak, words) = (labelHashes(part).count { labels.contains($0) }, "by their labels")
        if !frames.isEmpty {
            let same = frameHashes(part).count { frames.contains($0) }
            if same > leak { (leak, words) = (same, "by their pixels") }
        }
        guard leak > 0 else { return nil }
        return .problem(
            "split",
            "\(leak) of \(part.count) \(name) frames (\(percent(Double(leak) / Double(part.count)))) are in the training set too, \(words): "
                + "the \(name) error is too good",
            cure: "take them out of one part; split by recording")
    }

    private static func labelHashes(_ source: any FrameSource) -> [Int] {
        var label = [Float](repeating: 0, count: HandLabel.valueCount)
        return (0..<source.count).map { index in
            label.withUnsafeMutableBufferPointer { source.readLabel(index, into: $0) }
            return label.hashValue
        }
    }

    private static func frameHashes(_ source: any FrameSource) -> [Int] {
        let depth = UnsafeMutableBufferPointer<UInt16>.allocate(capacity: source.width * source.height)
        defer { depth.deallocate() }
        return (0..<source.count).compactMap { index in
            do throws(BadSample) {
                try source.readFrame(index, into: depth)
            } catch {
                return nil
            }
            var hasher = Hasher()
            hasher.combine(bytes: UnsafeRawBufferPointer(depth))
            return hasher.finalize()
        }
    }
}
