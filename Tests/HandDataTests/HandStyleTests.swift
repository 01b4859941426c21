import Foundation
import HandData
import Testing

/// The kinds of synthetic hands, and how they vary.
@Suite("Synthetic hands: styles")
struct HandStyleTests {
    /// Rendered around the real test poses, hands lie where the real ones did: within 3 mm of the real centres of mass on average, 8 mm
    /// standard deviation. In x the two sequences differ by 13 mm from each other, so one alone is not held to that.
    @Test(
        "centres of mass of the real test poses",
        .enabled(if: Shared.isPresent, Shared.skipped))
    func centres() throws {
        let hands = SyntheticHands(seed: 1, style: HandStyle(model: .icvl))
        let file = Shared.icvl("icvl_test_com.txt")
        let poses = try ["test_seq_1.txt", "test_seq_2.txt"].map { try PoseSource(hands, labelFile: Shared.icvl($0)) }
        let all = try CentreTable(contentsOf: file, count: 1596)
        let results = try zip(poses, [0..<702, 702..<1596]).map { source, range in
            // Every fourth frame, to be quick; Scripts/centres.sh takes all.
            let chosen = Array(stride(from: 0, to: range.count, by: 4))
            return try RenderedCentres(
                Chosen(source, chosen), 0..<chosen.count, centres: all.selecting(chosen.map { range.lowerBound + $0 }), camera: .icvl())
        }
        let share = results.map { Double($0.frames) / Double(results[0].frames + results[1].frames) }
        for axis in 0..<3 {
            let mean = results[0].mean[axis] * share[0] + results[1].mean[axis] * share[1]
            let square = zip(results, share).reduce(0) { sum, part in
                sum + part.1 * (part.0.deviation[axis] * part.0.deviation[axis] + part.0.mean[axis] * part.0.mean[axis])
            }
            #expect(abs(mean) < 3, "axis \(axis): \(mean) mm")
            #expect((square - mean * mean).squareRoot() < 8, "axis \(axis)")
            if axis > 0 { #expect(results.allSatisfy { abs($0.mean[axis]) < 5 && $0.deviation[axis] < 8 }, "axis \(axis): \(results)") }
        }
    }

    @Test("labels of the fitted hands lie 10 mm before the bones, at the same pixel")
    func labelDepth() {
        let label = SyntheticHands(seed: 5).frame(3).label
        var nearer = label
        for joint in 0..<16 { nearer[3 * joint + 2] -= 10 }
        // The same bones: flesh and forearm differ, the fingers' surface hardly.
        let first = SyntheticHands(seed: 5).frame(joints: label, 0)
        let fitted = SyntheticHands(seed: 5, style: HandStyle(model: .icvl)).frame(joints: nearer, 0)
        var (same, all) = (0, 0)
        for row in 0..<Int(first.joint(7).y) {
            for column in 0..<320 where isSurface(first.depth[row * 320 + column]) {
                all += 1
                if abs(Int(first.depth[row * 320 + column]) - Int(fitted.depth[row * 320 + column])) < 6 { same += 1 }
            }
        }
        #expect(all > 200 && Double(same) > 0.75 * Double(all), "\(same) of \(all)")
    }

    @Test("hands that point anywhere do so evenly, and keep their shape")
    func directions() {
        let upright = SyntheticHands(seed: 6)
        let any = SyntheticHands(seed: 6, style: HandStyle(directions: .any))
        var quarters = [0, 0, 0, 0]
        for index in 0..<400 {
            let label = any.label(UInt64(index))
            let palm = point(SIMD3(label[0], label[1], label[2]))
            let finger = point(SIMD3(label[21], label[22], label[23])) - palm
            let angle = atan2(finger.y, finger.x)
            quarters[min(3, Int((angle + .pi) / (.pi / 2)))] += 1
            #expect(stride(from: 0, to: 48, by: 3).allSatisfy { (0...320).contains(label[$0]) && (0...240).contains(label[$0 + 1]) })
        }
        #expect(quarters.allSatisfy { $0 > 60 }, "\(quarters)")
        // Most of the first tries fit both ways: the same hand then, turned.
        let pairs = (0..<40).map { (lengths(upright.label(UInt64($0))), lengths(any.label(UInt64($0)))) }
        #expect(pairs.count { zip($0, $1).allSatisfy { abs($0 - $1) < 0.05 } } > 20)
    }

    @Test("hands that show every side turn about their fingers in half of the frames, and keep their shape")
    func views() {
        // The index finger's root is left of the pinky's where ICVL's hand shows its palm, right of it where it shows its back.
        func shareOfBacks(_ hands: SyntheticHands) -> Double {
            Double((0..<400).count { hands.label(UInt64($0))[12] > hands.label(UInt64($0))[39] }) / 400
        }
        let all = SyntheticHands(seed: 6, style: HandStyle(model: .icvl, views: .all))
        let palm = SyntheticHands(seed: 6, style: HandStyle(model: .icvl))
        #expect(shareOfBacks(palm) == 0)
        #expect((0.15...0.35).contains(shareOfBacks(all)), "\(shareOfBacks(all))")
        for index in 0..<100 {
            let (seen, usual) = (lengths(all.label(UInt64(index))), lengths(palm.label(UInt64(index))))
            // Palm to finger roots: whatever side is seen, a hand is as large.
            #expect(abs(seen[3] / usual[3] - 1) < 0.3 && abs(seen[12] / usual[12] - 1) < 0.3)
        }
    }

    @Test("variation widens sizes by its factor")
    func variation() {
        // Of the middle finger's second bone, which bending shortens: the longest is of an extended one.
        func longest(_ factor: Double) -> Double {
            let hands = SyntheticHands(seed: 7, style: HandStyle(variation: factor))
            let bones: [Double] = (0..<400).map { lengths(hands.label(UInt64($0)))[7] }
            return bones.max()!
        }
        let (none, usual, wide) = (longest(0), longest(1), longest(3))
        #expect((1.04...1.18).contains(usual / none) && (1.2...1.5).contains(wide / none), "\(none), \(usual), \(wide) mm")
    }

    @Test("another camera sees the same hand elsewhere")
    func camera() {
        let camera = Camera(focalU: 287.26, focalV: 287.26, centreU: 159, centreV: 119)
        let hands = SyntheticHands(seed: 8, style: HandStyle(camera: camera))
        for index in 0..<20 {
            let (label, usual) = (hands.label(UInt64(index)), SyntheticHands(seed: 8).label(UInt64(index)))
            for joint in 0..<16 {
                let place = camera.millimetres(
                    u: Double(label[3 * joint]), v: Double(label[3 * joint + 1]), d: Double(label[3 * joint + 2]))
                let other = point(SIMD3(usual[3 * joint], usual[3 * joint + 1], usual[3 * joint + 2]))
                #expect(length(place - other) < 0.01)
            }
        }
    }

    @Test("a style is part of the fingerprint, and the plain one is as before")
    func fingerprints() {
        let camera = Camera(focalU: 287, focalV: 287, centreU: 159, centreV: 119)
        let styles = [
            HandStyle(), HandStyle(model: .icvl), HandStyle(model: .varied), HandStyle(variation: 2), HandStyle(directions: .any),
            HandStyle(camera: camera), HandStyle(views: .all), HandStyle(surfaceOffset: 10),
            HandStyle(surfaceOffset: 0),
        ]
        let prints = styles.map { SyntheticSource(SyntheticHands(seed: 1, width: 64, height: 48, style: $0), frames: 0..<9).fingerprint }
        #expect(Set(prints).count == styles.count)
        #expect(prints[0] == SyntheticSource(SyntheticHands(seed: 1, width: 64, height: 48), frames: 0..<9).fingerprint)
    }

    private func lengths(_ label: [Float]) -> [Double] {
        (1..<16).map { joint in
            func place(_ joint: Int) -> SIMD3<Double> { point(SIMD3(label[3 * joint], label[3 * joint + 1], label[3 * joint + 2])) }
            return length(place(joint) - place(parents[joint]))
        }
    }
}

extension SyntheticHands {
    fileprivate func label(_ index: UInt64) -> [Float] {
        var label = [Float](repeating: 0, count: 48)
        label.withUnsafeMutableBufferPointer { self.label(index: index, into: $0) }
        return label
    }
}

/// Some samples of a source.
private struct Chosen: FrameSource {
    let source: PoseSource
    let indices: [Int]

    init(_ source: PoseSource, _ indices: [Int]) { (self.source, self.indices) = (source, indices) }

    var count: Int { indices.count }
    var width: Int { source.width }
    var height: Int { source.height }
    var fingerprint: UInt64 { source.fingerprint }
    func readLabel(_ index: Int, into label: UnsafeMutableBufferPointer<Float>) { source.readLabel(indices[index], into: label) }
    func readFrame(_ index: Int, into depth: UnsafeMutableBufferPointer<UInt16>) throws(BadSample) {
        try source.readFrame(indices[index], into: depth)
    }
    func describe(_ index: Int) -> String { source.describe(indices[index]) }
}
