import Foundation
import HandData
import Testing

/// A synthetic hand of `index` with its background replaced.
private func hand(_ index: Int, background: UInt16 = 32001) -> (depth: [UInt16], label: [Float]) {
    let frame = SyntheticHands(seed: 21).frame(UInt64(index))
    return (frame.depth.map { $0 == 32001 ? background : $0 }, frame.label)
}

@Suite("Centre of the hand: centre of mass")
struct CentreOfMassTests {
    @Test("it lies on the hand, and no joint leaves the cube")
    func synthetic() throws {
        var cut = 0
        var distances: [Double] = []
        for index in 0..<300 {
            let (depth, label) = hand(index)
            let centre = try #require(centreOfMass(depth))
            let geometry = CropGeometry(centre: centre, cube: 250, size: 96, camera: .icvl())
            if geometry.reach(label) > 1 { cut += 1 }
            distances.append(
                length(Camera.icvl().millimetres(u: centre.x, v: centre.y, d: centre.z) - meanPlace(label, .icvl())))
        }
        #expect(cut <= 3, "\(cut) of 300 hands have a joint outside of 250 mm")
        #expect(distances.reduce(0, +) / 300 < 35, "mm from the mean of the joints, on average")
        #expect(distances.max()! < 85)
    }

    @Test("0 and 32001 as background are the same frame", arguments: [0, 1, 2, 3, 4])
    func backgrounds(index: Int) throws {
        let centre = try #require(centreOfMass(hand(index).depth))
        #expect(centreOfMass(hand(index, background: 0).depth) == centre)
        #expect(centreOfMass(hand(index, background: 65535).depth) == centre)
    }

    @Test("clutter behind, a wall, a body and a face, is no part of it")
    func clutter() throws {
        for index in 0..<40 {
            let (depth, _) = hand(index)
            let alone = try #require(centreOfMass(depth))
            let deepest = depth.filter { isSurface($0) }.max()!
            var crowded = depth
            for v in 0..<240 {
                for u in 0..<320 where !isSurface(depth[v * 320 + u]) {
                    let (x, y) = ((Double(u) - 230) / 50, (Double(v) - 60) / 60)
                    let fromFace = x * x + y * y
                    let isBody = v > 130 && abs(u - 230) < 80
                    // A body as close as 60 mm behind the farthest of the hand.
                    crowded[v * 320 + u] = fromFace < 1 || isBody ? min(deepest + 60, 1200) : 1400
                }
            }
            let centre = try #require(centreOfMass(crowded))
            #expect(apart(centre, alone) < 1e-9, "frame \(index)")
        }
    }

    @Test("flying pixels and small things before the hand do not matter")
    func noise() throws {
        for index in 0..<20 {
            let (depth, _) = hand(index)
            let alone = try #require(centreOfMass(depth))
            var noisy = depth
            for place in stride(from: 0, to: depth.count, by: 517) where !isSurface(depth[place]) { noisy[place] = 120 }
            for v in 0..<14 { for u in 0..<14 { noisy[v * 320 + u] = 150 } }
            let centre = try #require(centreOfMass(noisy))
            #expect(apart(centre, alone) < 6)
        }
    }

    @Test("a forearm that fills the rest of the frame hardly moves it", arguments: [0, 1, 2, 3])
    func forearm(turn: Int) throws {
        // A palm of 85 x 100 mm with four fingers of 15 x 75 mm, on an arm of 60 mm to the border of the frame; from any side.
        let camera = Camera.icvl()
        let d = 420.0
        var depth = [UInt16](repeating: 32001, count: 240 * 240)
        for v in 0..<240 {
            for u in 0..<240 {
                let (a, b) = [(u, v), (v, u), (u, 239 - v), (v, 239 - u)][turn]
                let x = (Double(a) - 120) * d / camera.focalU
                let y = (Double(b) - 70) * d / camera.focalV
                let isPalm = abs(x) < 42 && (0..<100).contains(y)
                let isFinger = abs(x) < 42 && (-75..<0).contains(y) && (x + 42).truncatingRemainder(dividingBy: 22) < 15
                let isArm = abs(x) < 30 && y >= 100
                if isPalm || isFinger || isArm { depth[v * 240 + u] = UInt16(d) }
            }
        }
        let square = Camera(focalU: camera.focalU, focalV: camera.focalV, centreU: 120, centreV: 120)
        let centre = try #require(centreOfMass(depth, width: 240, height: 240, camera: square))
        let (u, v) = (centre.x, centre.y)
        let along = [v, u, 239 - v, 239 - u][turn]
        let millimetres = (along - 70) * d / camera.focalV
        #expect((-20...60).contains(millimetres), "\(millimetres) mm from the palm's upper edge")
        #expect(centre.z == d)
    }

    /// Its fingers point at the camera, so that no piece without a step has 15 cm2; all of it has 40.
    @Test("a hand in pieces has a centre, and all joints lie near")
    func pieces() throws {
        let hands = SyntheticHands(seed: 1, style: HandStyle(model: .varied, variation: 1.5))
        let frame = hands.frame(2_215_295)
        let centre = try #require(centreOfMass(frame.depth))
        #expect(CropGeometry(centre: centre, cube: 250, size: 96, camera: .icvl()).reach(frame.label) < 0.8)
    }

    @Test("frames without a hand have no centre")
    func none() {
        #expect(centreOfMass([UInt16](repeating: 0, count: 320 * 240)) == nil)
        #expect(centreOfMass([UInt16](repeating: 32001, count: 320 * 240)) == nil)
        var speckled = [UInt16](repeating: 32001, count: 320 * 240)
        for place in stride(from: 0, to: speckled.count, by: 13) { speckled[place] = UInt16(200 + place % 700) }
        #expect(centreOfMass(speckled) == nil)
    }

    @Test("frames of any size and content give a finite centre or none", arguments: [(1, 1), (1, 7), (3, 2), (64, 48), (333, 5), (640, 480)])
    func anySize(width: Int, height: Int) {
        for kind in 0..<4 {
            let frame = (0..<(width * height)).map { index -> UInt16 in
                switch kind {
                case 0: 1
                case 1: 1499
                case 2: UInt16(truncatingIfNeeded: index &* 40503)
                default: UInt16(300 + index % 97)
                }
            }
            func check(_ centre: SIMD3<Double>?) {
                guard let centre else { return }
                #expect(centre.x.isFinite && centre.y.isFinite && centre.z > 0 && centre.z <= 65535, "\(kind): \(centre)")
            }
            check(centreOfMass(frame, width: width, height: height))
            // A camera that cannot be.
            for focal in [1e-9, 1e9] {
                let camera = Camera(focalU: focal, focalV: focal, centreU: 0, centreV: 0)
                check(centreOfMass(frame, width: width, height: height, camera: camera))
            }
        }
    }

    @Test("real hands of another sensor, some before a face", .enabled(if: RealFrames.isPresent, RealFrames.skipped))
    func realLabelled() throws {
        let frames = try RealFrames.labelled()
        #expect(frames.count == 8)
        for (name, label) in frames {
            let frame = try RealFrames.read(name)
            let centre = try #require(
                centreOfMass(frame.depth, width: frame.width, height: frame.height, camera: RealFrames.camera))
            let geometry = CropGeometry(centre: centre, cube: 250, size: 96, camera: RealFrames.camera)
            let place = RealFrames.camera.millimetres(u: centre.x, v: centre.y, d: centre.z)
            #expect(geometry.reach(label) <= 1, "\(name): a joint lies outside")
            #expect(length(place - meanPlace(label, RealFrames.camera)) < 65, "\(name)")
        }
    }

    @Test("real hands from any side, before a body", .enabled(if: RealFrames.isPresent, RealFrames.skipped))
    func realUnlabelled() throws {
        let camera = Camera(focalU: 476.007, focalV: 476.007, centreU: 313.683, centreV: 242.755)
        let names = try FileManager.default.contentsOfDirectory(atPath: RealFrames.path("sr305")).filter { $0.hasSuffix(".png") }
        #expect(names.count == 19)
        for name in names {
            let frame = try RealFrames.read("sr305/\(name)")
            let depth = frame.depth.map { UInt16((Double($0) * 0.125).rounded()) }
            let centre = try #require(centreOfMass(depth, width: frame.width, height: frame.height, camera: camera))
            // The nearest of the scene is the hand: in these 3 frames it is not in the picture, only the body.
            let isBodyAlone = ["20210326-230536_30", "20210326-231615_20", "20210326-231615_200"].contains { name == "\($0).png" }
            #expect(isBodyAlone || (480...620).contains(centre.z), "\(name): \(centre)")
            // Here an arm as wide as the hand comes from above.
            if name == "20210326-230536_170.png" { #expect((150...290).contains(centre.y) && centre.x < 310) }
        }
    }

    @Test("no joint of a real test frame leaves the cube about its centre of mass", .enabled(if: Shared.isPresent, Shared.skipped))
    func realCentres() throws {
        let labels = try RealLabels.read()
        let table = try CentreTable(contentsOf: Shared.icvl("icvl_test_com.txt"), count: labels.count)
        #expect(table.count == 1596)
        var outside = [0, 0, 0]
        for (index, label) in labels.enumerated() {
            let camera = Camera.icvl()
            let centre = table[index]
            #expect(CropGeometry(centre: centre, cube: 250, size: 96, camera: camera).reach(label) <= 1)
            let place = camera.millimetres(u: centre.x, v: centre.y, d: centre.z)
            let reach = (0..<16).map { (joint: Int) -> Double in
                let (u, v, d) = (Double(label[3 * joint]), Double(label[3 * joint + 1]), Double(label[3 * joint + 2]))
                return apart(camera.millimetres(u: u, v: v, d: d), place)
            }.max()!
            for (index, limit) in [95.0, 110, 125].enumerated() where reach > limit { outside[index] += 1 }
        }
        #expect(outside == [71, 0, 0])
    }

    /// As `--centre FILE` reads them.
    @Test(
        "no joint of a real test frame leaves the cube about its refined centre, and there is one for each frame",
        .enabled(if: Shared.isPresent && RealFrames.haveCentres, RealFrames.noCentres))
    func refinedCentres() throws {
        let labels = try RealLabels.read()
        let table = try CentreTable(contentsOf: RealFrames.path("icvl_centres/icvl_center_test.txt"), count: labels.count)
        #expect(table.count == 1596)
        var (outside, distances) = ([0, 0, 0], 0.0)
        for (index, label) in labels.enumerated() {
            let place = Camera.icvl().millimetres(u: table[index].x, v: table[index].y, d: table[index].z)
            let reach = (0..<16).map { (joint: Int) -> Double in
                let (u, v, d) = (Double(label[3 * joint]), Double(label[3 * joint + 1]), Double(label[3 * joint + 2]))
                return apart(Camera.icvl().millimetres(u: u, v: v, d: d), place)
            }.max()!
            for (index, limit) in [95.0, 110, 125].enumerated() where reach > limit { outside[index] += 1 }
            distances += length(place - meanPlace(label, .icvl()))
        }
        // What is known of the learned centres in common use: nearer to the joints' mean than the centre of mass.
        #expect(outside == [16, 6, 0])
        #expect(abs(distances / Double(labels.count) - 13.3) < 0.1)

        let training = try String(contentsOfFile: Shared.icvl("icvl_train_list.txt"), encoding: .utf8).split(whereSeparator: \.isNewline)
        let path = RealFrames.path("icvl_centres/icvl_center_train.txt")
        #expect(try CentreTable(contentsOf: path, count: training.count).count == 22_068)
        #expect(throws: DataError.self) { try CentreTable(contentsOf: path, count: labels.count) }
    }

    @Test("hands rendered at the real joints stay within the cube", .enabled(if: Shared.isPresent, Shared.skipped))
    func renderedPoses() throws {
        let source = try PoseSource(SyntheticHands(seed: 3), labelFile: Shared.icvl("test_seq_2.txt"))
        var crop = HandCrop(size: 96)
        crop.labelUnits = .crop
        let scratch = SampleScratch(width: 320, height: 240)
        for index in stride(from: 0, to: source.count, by: 4) {
            let sample = try PreparedSample(.crop(crop), source, index, scratch: scratch)
            #expect(sample.label.allSatisfy { abs($0) <= 1 }, "frame \(index)")
        }
    }
}

@Suite("Centre of the hand: files and labels")
struct CentreTableTests {
    private func table(_ text: String, count: Int) throws -> CentreTable {
        let folder = try TemporaryFolder()
        try folder.write(text, to: "centres.txt")
        return try CentreTable(contentsOf: "\(folder.path)/centres.txt", count: count)
    }

    private func complaint(_ text: String, count: Int = 2) -> String {
        do {
            _ = try table(text, count: count)
            return "none"
        } catch {
            let text = "\(error)"
            return String(text[(text.range(of: "centres.txt")?.lowerBound ?? text.startIndex)...])
        }
    }

    @Test("a line is u v d, whatever the blanks and line ends")
    func reading() throws {
        let table = try table("181.541 131.784 374.72 \n\n  1\t-2.5 3e2 \r\r\n", count: 2)
        #expect(table.count == 2)
        #expect(apart(table[0], SIMD3(181.541, 131.784, 374.72)) < 1e-4)
        #expect(table[1] == SIMD3(1, -2.5, 300))
        #expect(table.removing([0])[0] == table[1])
        #expect(table.selecting([1, 0, 1]).count == 3)
    }

    @Test("what is wrong is one line with file and line number")
    func errors() {
        let hint = "hint: a line is `u v d`: px, px, mm of the hand's centre"
        #expect(complaint("1 2 300\n1 2\n") == "centres.txt:2: 2 numbers, expected 3; \(hint)")
        #expect(complaint("1 2 300 4\n") == "centres.txt:1: 4 numbers, expected 3; \(hint)")
        #expect(complaint("\n1 x 300\n") == "centres.txt:2: 'x' is not a number; \(hint)")
        #expect(complaint("nan 1 300\n") == "centres.txt:1: 'nan' is not finite; \(hint)")
        #expect(complaint("1 1 0\n") == "centres.txt:1: no centre in front of the camera (d is 0.0 mm); \(hint)")
        #expect(
            complaint("1 1 300\n") == "centres.txt: 1 centres for 2 frames; "
                + "hint: a line `u v d` a frame is expected, in the order of the label file")
        #expect(complaint("").hasPrefix("centres.txt: 0 centres for 2 frames"))
        #expect(
            (try? CentreTable(contentsOf: "/nowhere/c.txt", count: 1)) == nil)
    }

    @Test("labels as centres are marked as using the truth")
    func marked() throws {
        #expect(CentreFinder.labels.usesTruth && !CentreFinder.com.usesTruth)
        #expect(CentreFinder.labels.name.contains("truth"))
        #expect(!CentreFinder.file(try table("1 2 300\n", count: 1)).usesTruth)
    }
}
