import HandData

/// How well labels lie on the surfaces of their frames, and what would make them lie better.
///
/// A joint lies a little below the surface that is seen. The share of joints that have a depth within `reach` of their own at
/// their pixel is near 1 for good labels, and near the share of a wrong frame's for labels of other frames.
struct LabelsOnSurface {
    /// mm.
    static let reach: Float = 60
    private static let deepest = Float(DepthConditioning.farthestValid)

    private let samples: DataSamples
    /// Of each frame, a value that more than half of its pixels have: the background; else 0, which is no depth.
    private let backgrounds: [UInt16]

    init(_ samples: DataSamples) {
        self.samples = samples
        backgrounds = samples.frames.map { frame in
            let common = frame.withUnsafeBufferPointer { FrameCache.commonValue($0) }
            return frame.count { $0 == common } > frame.count / 2 ? common : 0
        }
    }

    /// What labels or depths may be instead of what is expected.
    struct Reading: Sendable {
        /// In words: `labels are x, y, z in mm instead of u, v in pixels`.
        let words: String
        let cure: String
        /// (u px, v px, d mm) of what the label says.
        var label: @Sendable (_ label: SIMD3<Float>, _ size: SIMD2<Float>) -> SIMD3<Float> = { label, _ in label }
        /// mm of what the frame says.
        var depth: @Sendable (UInt16) -> Float = { Float($0) }
    }

    static let asIs = Reading(words: "", cure: "")

    /// The share of joints on a surface, read so.
    /// - Parameter shift: the frame that a label is compared with is so many samples further on.
    func share(_ reading: Reading, shift: Int = 0) -> Double {
        let count = samples.frames.count
        guard count > 0 else { return 0 }
        var (hits, total) = (0.0, 0.0)
        let size = SIMD2(Float(samples.width), Float(samples.height))
        for number in 0..<count {
            let other = (number + shift) % count
            let label = samples.labels[number]
            for joint in 0..<HandLabel.jointCount {
                total += 1
                let place = reading.label(SIMD3(label[3 * joint], label[3 * joint + 1], label[3 * joint + 2]), size)
                if isOnSurface(place, other, reading) { hits += 1 }
            }
        }
        return hits / total
    }

    private func isOnSurface(_ place: SIMD3<Float>, _ number: Int, _ reading: Reading) -> Bool {
        // No hand is nearer, so a figure of other units must not be taken for one.
        guard abs(place.x) < 1e6, abs(place.y) < 1e6, place.z > 100 else { return false }
        let (u, v) = (Int(place.x.rounded()), Int(place.y.rounded()))
        guard u >= 0, v >= 0, u < samples.width, v < samples.height else { return false }
        let stored = samples.frames[number][v * samples.width + u]
        let value = reading.depth(stored)
        return stored != backgrounds[number] && stored > 0 && value < Self.deepest && abs(value - place.z) <= Self.reach
    }

    /// The readings that are tried.
    static let others: [Reading] = [
        Reading(
            words: "the labels' d are metres", cure: "multiply d by 1000", label: { label, _ in SIMD3(label.x, label.y, label.z * 1000) }),
        Reading(
            words: "the labels' d are centimetres", cure: "multiply d by 10", label: { label, _ in SIMD3(label.x, label.y, label.z * 10) }),
        Reading(
            words: "the labels are x, y, z in mm and not u, v in pixels", cure: "project them: u = 160 + 241.42 x / z, v = 120 + 241.42 y / z",
            label: { label, size in image(label, size, flip: 1) }),
        Reading(
            words: "the labels are x, y, z in mm with y upwards, and not u, v in pixels",
            cure: "project them: u = 160 + 241.42 x / z, v = 120 - 241.42 y / z", label: { label, size in image(label, size, flip: -1) }),
        Reading(
            words: "the labels are x, y, z in metres and not u, v in pixels",
            cure: "project them: u = 160 + 241.42 x / z, v = 120 + 241.42 y / z, d = 1000 z",
            label: { label, size in image(label * 1000, size, flip: 1) }),
        Reading(
            words: "the labels' u, v are shares of the frame from 0 to 1", cure: "multiply u by the width and v by the height",
            label: { label, size in SIMD3(label.x * size.x, label.y * size.y, label.z) }),
        Reading(
            words: "the labels' u, v are of frames twice as large", cure: "halve u and v",
            label: { label, _ in SIMD3(label.x / 2, label.y / 2, label.z) }),
        Reading(
            words: "the labels' u, v are of frames half as large", cure: "double u and v",
            label: { label, _ in SIMD3(label.x * 2, label.y * 2, label.z) }),
        Reading(
            words: "u and v of the labels are exchanged", cure: "exchange them: a joint is u (right), v (down), d",
            label: { label, _ in SIMD3(label.y, label.x, label.z) }),
        Reading(
            words: "frames and labels are mirrored against each other", cure: "u' = width - 1 - u",
            label: { label, size in SIMD3(size.x - 1 - label.x, label.y, label.z) }),
        Reading(
            words: "the labels' v counts upwards", cure: "v' = height - 1 - v",
            label: { label, size in SIMD3(label.x, size.y - 1 - label.y, label.z) }),
        Reading(words: "the frames' bytes are swapped", cure: "write 16-bit PNG with the high byte first", depth: { Float($0.byteSwapped) }),
        Reading(words: "the frames' depths are centimetres", cure: "multiply them by 10", depth: { Float($0) * 10 }),
        Reading(words: "the frames' depths are tenths of a mm", cure: "divide them by 10", depth: { Float($0) / 10 }),
    ]

    private static func image(_ place: SIMD3<Float>, _ size: SIMD2<Float>, flip: Float) -> SIMD3<Float> {
        let camera = Camera.icvl(width: Int(size.x), height: Int(size.y))
        let factor = 1 / max(place.z, 1)
        return SIMD3(
            Float(camera.centreU) + Float(camera.focalU) * place.x * factor, Float(camera.centreV) + flip * Float(camera.focalV) * place.y * factor,
            place.z)
    }

    /// The shift of all labels (px), and the scale about the frame's middle, under which most joints lie on a surface.
    func bestCamera() -> (shift: SIMD2<Float>, scale: Float, share: Double) {
        var best = (shift: SIMD2<Float>(0, 0), scale: Float(1), share: share(Self.asIs))
        func look(_ shift: SIMD2<Float>, _ scale: Float) {
            let reading = Reading(
                words: "", cure: "",
                label: { label, size in
                    SIMD3(
                        (label.x - size.x / 2) * scale + size.x / 2 + shift.x, (label.y - size.y / 2) * scale + size.y / 2 + shift.y, label.z)
                })
            let share = share(reading)
            if share > best.share { best = (shift, scale, share) }
        }
        for scale in [0.5, 0.7, 0.8, 0.9, 0.95, 1.05, 1.1, 1.25, 1.5, 2] as [Float] { look(SIMD2(0, 0), scale) }
        // Coarse, then fine about the best.
        for step in [16, 8, 4, 2] as [Float] {
            let centre = best
            for u in -2...2 { for v in -2...2 { look(centre.shift + SIMD2(Float(u), Float(v)) * step, centre.scale) } }
        }
        return best
    }
}
