import Foundation
import HandData
import Testing

/// Frames the statistics are taken over: small frames, whose labels are scaled back to 320 x 240.
private let sample: [SyntheticFrame] = {
    let hands = SyntheticHands(seed: 1, width: 32, height: 24)
    return (UInt64(0)..<1500).map { index in
        var frame = hands.frame(index)
        for value in 0..<48 where value % 3 != 2 { frame.label[value] *= 10 }
        return frame
    }
}()

@Suite("Synthetic hands: labels")
struct SyntheticLabelTests {
    @Test("within the bounds of the real labels")
    func bounds() {
        for frame in sample {
            for joint in 0..<16 {
                let label = frame.joint(joint)
                #expect(label.x > 44.9 && label.x < 247.3)
                #expect(label.y > 44.9 && label.y < 210.1)
                #expect(label.z > 189 && label.z < 453.1)
            }
        }
    }

    /// The facts are computed from the 1596 real test labels.
    @Test("places and depths are distributed like the real test labels")
    func distribution() {
        let all = SyntheticStatistics(sample.flatMap { frame in (0..<16).map { frame.joint($0) } })
        let mean = SIMD3(158.12, 110.72, 341.97)
        let deviation = SIMD3(35.50, 25.23, 50.38)
        for axis in 0..<3 {
            #expect(abs(all.mean[axis] - mean[axis]) < 4, "mean \(all.mean)")
            #expect(abs(all.deviation[axis] / deviation[axis] - 1) < 0.1, "standard deviation \(all.deviation)")
        }
        // Errors of a network that outputs zeros, and of one that outputs the mean label.
        var square = 0.0
        var columns = [(sum: Double, square: Double)](repeating: (0, 0), count: 48)
        for frame in sample {
            for (column, value) in frame.label.enumerated() {
                square += Double(value) * Double(value) / Double(sample.count * 48)
                columns[column].sum += Double(value) / Double(sample.count)
                columns[column].square += Double(value) * Double(value) / Double(sample.count)
            }
        }
        let aboutMean = columns.reduce(0) { $0 + $1.square - $1.sum * $1.sum } / 48
        #expect(abs(square / 52_878.53 - 1) < 0.02, "mean squared label \(square)")
        #expect(abs(aboutMean / 1_192.16 - 1) < 0.1, "mean squared error of the mean label \(aboutMean)")
    }

    /// Mean bone lengths over test_seq_1; tip left of tip in 99.7% of the frames.
    @Test("bones and thumb are like the real ones")
    func bones() {
        let expected = [
            29.5, 29.7, 24.4, 55.8, 28.2, 18.3, 52.2, 32.3, 20.4, 44.3, 28.3, 19.2, 41.9, 21.7, 17.8,
        ]
        for joint in 1..<16 {
            let lengths = sample.map { length(point($0.joint(joint)) - point($0.joint(parents[joint]))) }
            let mean = lengths.reduce(0, +) / Double(lengths.count)
            #expect(abs(mean - expected[joint - 1]) < 2.5, "bone to joint \(joint): \(mean) mm")
        }
        let left = sample.count { $0.joint(3).x < $0.joint(15).x }
        #expect(Double(left) / Double(sample.count) > 0.99)
    }

    /// How well the mean pose alone does on the real labels: 18.25 mm at the true centroid, 22.49 mm at the true palm.
    @Test("poses vary as much as the real ones")
    func floors() {
        func floor(_ anchor: (SyntheticFrame) -> SIMD3<Double>) -> Double {
            var mean = [SIMD3<Double>](repeating: .zero, count: 16)
            for frame in sample {
                for joint in 0..<16 { mean[joint] += (point(frame.joint(joint)) - anchor(frame)) / Double(sample.count) }
            }
            let errors = sample.flatMap { frame in
                (0..<16).map { length(point(frame.joint($0)) - anchor(frame) - mean[$0]) }
            }
            return errors.reduce(0, +) / Double(errors.count)
        }
        let centroid = floor { frame in (0..<16).reduce(SIMD3<Double>()) { $0 + point(frame.joint($1)) / 16 } }
        let palm = floor { point($0.joint(0)) }
        #expect(abs(centroid - 18.25) < 2, "\(centroid) mm")
        #expect(abs(palm - 22.49) < 2, "\(palm) mm")
    }

    /// Joint minus centre of mass of the real frames: mean (-10.1, -29.7, -24.1) mm, never beyond 125 mm. The synthetic mean is 14 mm
    /// off in depth: how far the real forearms and labels lie behind the surface is not known.
    @Test("joints lie in a cube of 125 mm about the centre of mass")
    func centreOfMass() {
        let hands = SyntheticHands(seed: 1)
        let frames = 150
        var outside = 0
        var mean = SIMD3<Double>()
        for index in 0..<frames {
            let frame = hands.frame(UInt64(index))
            let surface = frame.depth.indices.filter { isSurface(frame.depth[$0]) }
                .map { point(SIMD3(Float($0 % 320), Float($0 / 320), Float(frame.depth[$0]))) }
            var centre = surface.reduce(SIMD3<Double>(), +) / Double(surface.count)
            for _ in 0..<4 {
                let near = surface.filter { abs($0.x - centre.x) < 125 && abs($0.y - centre.y) < 125 && abs($0.z - centre.z) < 125 }
                centre = near.reduce(SIMD3<Double>(), +) / Double(near.count)
            }
            let offsets = (0..<16).map { point(frame.joint($0)) - centre }
            mean = offsets.reduce(mean) { $0 + $1 / Double(16 * frames) }
            if offsets.contains(where: { max(abs($0.x), abs($0.y), abs($0.z)) > 125 }) { outside += 1 }
        }
        #expect(outside <= frames / 50)
        #expect(abs(mean.x + 10.1) < 8 && abs(mean.y + 29.7) < 10 && abs(mean.z + 24.1) < 18, "\(mean)")
    }

    @Test("angles keep to their anatomical limits, and differ")
    func angles() {
        let hands = SyntheticHands(seed: 8)
        var folded = 0
        var coupling = 0.0
        for index in 0..<600 {
            let pose = hands.pose(index: UInt64(index))
            for finger in 0..<4 {
                let angles = pose.fingers[finger]
                #expect(HandPose.abductionLimits.contains(angles.abduction))
                #expect(HandPose.metacarpophalangealLimits.contains(angles.metacarpophalangeal))
                #expect(HandPose.proximalLimits.contains(angles.proximal))
                #expect(HandPose.distalLimits.contains(angles.distal))
                // DIP = 2/3 PIP, give or take the variation of a hand.
                coupling += Double(abs(angles.distal - angles.proximal * 2 / 3)) / 2400
                if angles.proximal > 70 { folded += 1 }
            }
            #expect(HandPose.radialAbductionLimits.contains(pose.thumb.radialAbduction))
            #expect(HandPose.palmarAbductionLimits.contains(pose.thumb.palmarAbduction))
            #expect(HandPose.pronationLimits.contains(pose.thumb.pronation))
            #expect(HandPose.thumbMetacarpophalangealLimits.contains(pose.thumb.metacarpophalangeal))
            #expect(HandPose.interphalangealLimits.contains(pose.thumb.interphalangeal))
        }
        #expect(coupling < 5, "DIP is on average \(coupling) degrees off 2/3 PIP")
        #expect(folded > 240 && folded < 1200, "\(folded) of 2400 fingers folded")
    }

    @Test("labels lie in the flesh: covered by it, and just below it where nothing is before them")
    func flesh() {
        let hands = SyntheticHands(seed: 10)
        var covered = 0
        var measured = 0
        var near = 0
        var unobstructed = 0
        for index in 0..<300 {
            let frame = hands.frame(UInt64(index))
            for joint in 0..<16 {
                let label = frame.joint(joint)
                let depth = frame.depth[Int(label.y.rounded()) * 320 + Int(label.x.rounded())]
                guard isSurface(depth) else { continue }
                measured += 1
                let below = label.z - Float(depth)
                if below > -6 { covered += 1 }
                // A joint is free if no other stands before it, a finger's length around.
                let free = (0..<16).allSatisfy { other in
                    let apart = point(frame.joint(other)) - point(label)
                    return other == joint || apart.z > -8 || (apart.x * apart.x + apart.y * apart.y).squareRoot() > 40
                }
                guard free, [3, 6, 9, 12, 15].contains(joint) else { continue }
                unobstructed += 1
                // Radius of a fingertip, up to 8 mm, and its noise.
                if below > -6 && below < 14 { near += 1 }
            }
        }
        #expect(Double(measured) > 0.97 * 4800)
        #expect(Double(covered) > 0.995 * Double(measured), "\(covered) of \(measured)")
        #expect(unobstructed > 500)
        #expect(Double(near) > 0.97 * Double(unobstructed), "\(near) of \(unobstructed)")
    }

    @Test(
        "joint by joint like the real labels",
        .enabled(if: RealLabels.arePresent, "the shared folder with the real labels is absent (set DTRAIN_SHARED)"))
    func perJoint() throws {
        let real = try RealLabels.read()
        #expect(real.count == 1596)
        for joint in 0..<16 {
            let theirs = SyntheticStatistics(real.map { SIMD3($0[3 * joint], $0[3 * joint + 1], $0[3 * joint + 2]) })
            let ours = SyntheticStatistics(sample.map { $0.joint(joint) })
            for axis in 0..<3 {
                #expect(
                    abs(theirs.mean[axis] - ours.mean[axis]) < 7, "joint \(joint): mean \(ours.mean), real \(theirs.mean)")
                let ratio = ours.deviation[axis] / theirs.deviation[axis]
                #expect(
                    ratio > 0.8 && ratio < 1.35,
                    "joint \(joint): standard deviation \(ours.deviation), real \(theirs.deviation)")
            }
        }
    }
}
