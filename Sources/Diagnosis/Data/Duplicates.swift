import HandData
import Telemetry

/// Frames that are in the training set more than once, or in both parts: what is held out must not be trained on.
enum Duplicates {
    /// Frames that are decoded at most, to compare pixels.
    static let mostFrames = 6000

    /// - Parameter comparesPixels: decodes all frames, where they are few enough; else labels alone.
    static func check(training: any FrameSource, heldOut: any FrameSource, comparesPixels: Bool = true) -> [Finding] {
        let (own, held) = (labelHashes(training), labelHashes(heldOut))
        let known = Set(own)
        let sameLabels = held.count { known.contains($0) }
        var findings: [Finding] = []
        var leak = sameLabels
        var words = "by their labels"
        if comparesPixels, training.count + heldOut.count <= mostFrames {
            let frames = Set(frameHashes(training))
            let sameFrames = frameHashes(heldOut).count { frames.contains($0) }
            if sameFrames > leak { (leak, words) = (sameFrames, "by their pixels") }
        }
        if leak > 0 {
            findings.append(
                .problem(
                    "split",
                    "\(leak) of \(heldOut.count) held-out frames (\(percent(Double(leak) / Double(heldOut.count)))) are in the training set "
                        + "too, \(words): the held-out error is too good",
                    cure: "take them out of one part; split by recording"))
        } else {
            findings.append(.ok("split", "no held-out frame is in the training set"))
        }
        let again = own.count - known.count
        if Double(again) > 0.05 * Double(own.count) {
            findings.append(
                .note(
                    "repeats", "\(again) of \(own.count) training labels (\(percent(Double(again) / Double(own.count)))) are there before",
                    cure: "list each frame once, or record more"))
        }
        return findings
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
