import HandData
import Testing

@Suite("Synthetic hands: given joints")
struct SyntheticPoseTests {
    @Test("a hand rendered from a frame's labels looks like that frame")
    func roundTrip() {
        let hands = SyntheticHands(seed: 12)
        var agreement = 0.0
        for index in 0..<60 {
            let original = hands.frame(UInt64(index))
            let again = hands.frame(joints: original.label, UInt64(index) + 1000)
            let fingers = 0..<Int(original.joint(0).y)
            var both = 0
            var either = 0
            for v in fingers {
                for u in 0..<320 {
                    let (a, b) = (original.depth[v * 320 + u], again.depth[v * 320 + u])
                    if isSurface(a) || isSurface(b) { either += 1 }
                    if isSurface(a) && isSurface(b) && abs(Int(a) - Int(b)) < 15 { both += 1 }
                }
            }
            agreement += Double(both) / Double(either) / 60
        }
        #expect(agreement > 0.78, "above the palm \(agreement) of the surface is the same within 15 mm")
    }

    @Test("the noise is that of the index, the hand that of the joints")
    func noise() {
        let hands = SyntheticHands(seed: 13)
        let label = hands.frame(0).label
        let first = hands.frame(joints: label, 1)
        #expect(hands.frame(joints: label, 1) == first)
        #expect(hands.frame(joints: label, 2).depth != first.depth)
    }

    @Test(
        "joints at odd places end in a frame, not in a trap",
        arguments: [Float.nan, .infinity, -500, 0, 1e-20, 30, 1e9, 1e30])
    func oddJoints(value: Float) {
        let hands = SyntheticHands(seed: 14, width: 64, height: 48)
        let good = hands.frame(0).label
        #expect(hands.frame(joints: [Float](repeating: value, count: 48), 0).depth.count == 64 * 48)
        for position in [0, 1, 2, 11, 45, 47] {
            var label = good
            label[position] = value
            let frame = hands.frame(joints: label, 0)
            #expect(!frame.depth.contains(7), "every pixel is written")
        }
    }

    @Test(
        "real joints are covered by flesh",
        .enabled(if: RealLabels.arePresent, "the shared folder with the real labels is absent (set DTRAIN_SHARED)"))
    func realJoints() throws {
        let hands = SyntheticHands(seed: 15)
        var covered = 0
        var count = 0
        for (index, label) in try RealLabels.read().enumerated() where index % 12 == 0 {
            let frame = hands.frame(joints: label, UInt64(index))
            for joint in 0..<16 {
                let place = frame.joint(joint)
                let depth = frame.depth[Int(place.y.rounded()) * 320 + Int(place.x.rounded())]
                count += 1
                if isSurface(depth) && Float(depth) < place.z + 6 { covered += 1 }
            }
        }
        #expect(count == 133 * 16)
        #expect(Double(covered) > 0.95 * Double(count), "\(covered) of \(count)")
    }
}

@Suite("Contact sheet")
struct SyntheticContactSheetTests {
    @Test("frames stand in reading order between dark gaps; hands are grey, joints coloured")
    func sheet() {
        let hands = SyntheticHands(seed: 1, width: 64, height: 48)
        let plain = ContactSheet(of: hands, rows: 2, columns: 3, drawingJoints: false)
        #expect(plain.width == 3 * 66 + 2 && plain.height == 2 * 50 + 2)
        #expect(plain.pixels.count == plain.width * plain.height * 3)
        #expect(plain.pixels[0] == 24)

        // Cell 4 is row 1, column 1: frame 4.
        let frame = hands.frame(4)
        var grey = 0
        for v in 0..<48 {
            for u in 0..<64 where isSurface(frame.depth[v * 64 + u]) {
                let offset = 3 * ((2 + 50 + v) * plain.width + 2 + 66 + u)
                let colour = Array(plain.pixels[offset..<offset + 3])
                #expect(colour[0] >= 45 && colour[0] == colour[1] && colour[1] == colour[2])
                grey += 1
            }
        }
        #expect(grey > 50)

        let drawn = ContactSheet(of: hands, rows: 2, columns: 3)
        let palm = frame.joint(0)
        let offset = 3 * ((52 + Int(palm.y.rounded())) * drawn.width + 68 + Int(palm.x.rounded()))
        #expect(Array(drawn.pixels[offset..<offset + 3]) == [255, 255, 255])
        #expect(drawn.pixels != plain.pixels)
    }
}
