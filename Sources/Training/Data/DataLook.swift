import Collectives
import Diagnosis
import HandData
import Telemetry

/// A look at the first frames and labels before step 1: what decodes may still be no depths (swapped bytes, metres), or
/// labels of something else. Nothing is refused for it; a person is told.
struct DataLook {
    /// Frames looked at; more only while none of them can be read.
    private static let amount = 100
    /// A joint lies below the surface that is seen, or behind another finger; mm.
    private static let reach = 150.0
    private static let deepest = DepthConditioning.farthestValid

    private var readable = 0.0
    private var pixels = 0.0
    /// Pixels that are depths, other than a background of one value.
    private var depths = 0.0
    private var joints = 0.0
    /// Joints beyond the frame's edges.
    private var outside = 0.0
    /// Joints on, or a pixel beside, a depth within `reach` of their own.
    private var matching = 0.0
    private var seen = 0

    /// Looks at all parts; all ranks call, each decodes a share.
    /// - Parameters:
    ///   - validated: how many of the held-out frames are used.
    ///   - cause: on rank 0, why labels and frames of the training set do not fit, where that is known.
    /// - Returns: notes and warnings for the console, and whether the cause is one of them.
    /// - Throws: `TrainingFailure` on all ranks where no frame of a part can be read.
    static func lines(
        training: any FrameSource, heldOut: any FrameSource, validated: Int, test: (any FrameSource)?, path: String,
        policy: BadSamplePolicy, cause: Finding?, _ communicator: any Communicator, _ watchdog: Watchdog
    ) throws -> (notes: [String], warnings: [String], tellsCause: Bool) {
        var parts = [("training", training, training.count), ("held-out", heldOut, validated)]
        if let test { parts.append(("test", test, test.count)) }
        var (notes, warnings, tellsCause): ([String], [String], Bool) = ([], [], false)
        for (name, source, count) in parts {
            let look = try DataLook(source, count: count, name: name, path: path, policy, communicator, watchdog)
            if look.isWrong {
                // What is wrong with the training frames is wrong with the others: one line a mistake.
                guard !tellsCause else { continue }
                tellsCause = name == "training" && cause != nil
                warnings.append(tellsCause ? "\(look.description(name)); \(cause!.warning)" : look.warning(name))
            } else if name == "training" {
                notes.append(look.description(name))
            }
        }
        return (notes, warnings, tellsCause)
    }

    private init(
        _ source: any FrameSource, count: Int, name: String, path: String, _ policy: BadSamplePolicy,
        _ communicator: any Communicator, _ watchdog: Watchdog
    ) throws {
        var first: BadSample?
        // Where bad samples are skipped, one that can be read may come late.
        let last = policy == .stop ? min(count, Self.amount) : count
        while readable == 0 && seen < last {
            let range = seen..<min(seen + Self.amount, last)
            try add(source, range, communicator, watchdog, &first)
            seen = range.upperBound
        }
        guard readable == 0 else { return }
        let own =
            first.map { sample in
                let hint =
                    policy == .stop || sample.mayPass
                    ? sample.hint : "look at the frames and their storage: --check-data lists what is wrong with each"
                return "\(sample); hint: \(hint)"
            } ?? ""
        let reasons = try communicator.allgather(Array(own.utf8)).map { String(decoding: $0, as: UTF8.self) }
        throw TrainingFailure(
            "\(path): none of the \(seen == count ? "" : "first ")\(seen) \(name) frames can be read; the first: "
                + (reasons.first { !$0.isEmpty } ?? "none"))
    }

    /// Adds the frames of `range`, and sums up over the ranks.
    private mutating func add(
        _ source: any FrameSource, _ range: Range<Int>, _ communicator: any Communicator, _ watchdog: Watchdog,
        _ first: inout BadSample?
    ) throws {
        let depth = UnsafeMutableBufferPointer<UInt16>.allocate(capacity: source.width * source.height)
        let label = UnsafeMutableBufferPointer<Float>.allocate(capacity: HandLabel.valueCount)
        defer {
            depth.deallocate()
            label.deallocate()
        }
        let own = SampleOrder.shard(rank: communicator.rank, size: communicator.size, batch: range.count)
        var away: String?
        for index in own {
            do throws(BadSample) {
                try source.readSample(range.lowerBound + index, depth: depth, label: label)
                add(UnsafeBufferPointer(depth), UnsafeBufferPointer(label), width: source.width, height: source.height)
            } catch {
                first = first ?? error
                // Seconds each, and what is found then would be no news.
                if error.mayPass {
                    away = "\(error); hint: \(error.hint)"
                    break
                }
            }
            watchdog.beat()
        }
        try communicator.throwAgreed(away)
        guard communicator.size > 1 else { return }
        var sums = [readable, pixels, depths, joints, outside, matching]
        try sums.withUnsafeMutableBufferPointer { try communicator.sum($0) }
        (readable, pixels, depths, joints, outside, matching) = (sums[0], sums[1], sums[2], sums[3], sums[4], sums[5])
    }

    private mutating func add(
        _ depth: UnsafeBufferPointer<UInt16>, _ label: UnsafeBufferPointer<Float>, width: Int, height: Int
    ) {
        // A background whose bytes are swapped (32,001 is 381 then) looks like a depth; that half the pixels share it tells it.
        let common = FrameCache.commonValue(depth)
        let background = depth.count { $0 == common } > depth.count / 2 ? common : 0
        func isDepth(_ value: UInt16) -> Bool { value > 0 && value < Self.deepest && value != background }
        readable += 1
        pixels += Double(depth.count)
        depths += Double(depth.count { isDepth($0) })
        joints += Double(HandLabel.jointCount)
        for joint in 0..<HandLabel.jointCount {
            let (u, v) = (label[3 * joint].rounded(), label[3 * joint + 1].rounded())
            guard u >= 0, v >= 0, u < Float(width), v < Float(height) else {
                outside += 1
                continue
            }
            let (rows, columns) = (max(0, Int(v) - 1)...min(height - 1, Int(v) + 1), max(0, Int(u) - 1)...min(width - 1, Int(u) + 1))
            let isMatching = rows.contains { row in
                columns.contains { column in
                    let value = depth[row * width + column]
                    return isDepth(value) && abs(Double(value) - Double(label[3 * joint + 2])) <= Self.reach
                }
            }
            if isMatching { matching += 1 }
        }
    }

    private func description(_ name: String) -> String {
        "the first \(seen) \(name) frames: " + percent(depths / pixels) + " of the pixels are depths of 1 to \(Self.deepest - 1) mm; "
            + percent(matching / joints) + " of the joints lie on one within \(Int(Self.reach)) mm of their own"
            + (outside > 0 ? "; " + percent(outside / joints) + " of the joints lie outside the frame" : "")
    }

    /// Data that cannot be meant so.
    private var isWrong: Bool { matching < 0.5 * joints }

    private func warning(_ name: String) -> String {
        description(name) + "; hint: depths are 16-bit PNG in mm, high byte first; a label is u px, v px, d mm for each joint"
    }

    private func percent(_ share: Double) -> String { format("%.0f%%", share * 100) }
}
