import HandData
import Testing

/// A hand whose joints' mean is at the principal point, and the same turned about it by `rotation`, clockwise.
private func turnedHands(_ index: UInt64, rotation: Double) -> (straight: SyntheticFrame, turned: SyntheticFrame) {
    let hands = SyntheticHands(seed: 31)
    var label = hands.frame(index).label
    for axis in 0..<2 {
        let mean = (0..<16).map { label[3 * $0 + axis] }.reduce(0, +) / 16
        for joint in 0..<16 { label[3 * joint + axis] += [160, 120][axis] - mean }
    }
    let geometry = CropGeometry(centre: SIMD3(160, 120, 400), cube: 250, size: 96, camera: .icvl(), rotation: rotation)
    let plain = CropGeometry(centre: SIMD3(160, 120, 400), cube: 250, size: 96, camera: .icvl())
    var turned = label
    turned.withUnsafeMutableBufferPointer {
        geometry.crop(UnsafeBufferPointer($0), into: $0)
        plain.image(UnsafeBufferPointer($0), into: $0)
    }
    return (hands.frame(joints: label, index), hands.frame(joints: turned, index))
}

@Suite("Augmentation")
struct AugmentationTests {
    @Test("a rendered hand turned is the turned hand rendered", arguments: [30.0, 90, -135, 180])
    func rotation(degrees: Double) {
        let rotation = degrees * .pi / 180
        var agreement = 0.0
        var wrongWay = 0.0
        for index in 0..<12 {
            let (straight, turned) = turnedHands(UInt64(index), rotation: rotation)
            let centre = SIMD3(160, 120, Double(straight.joint(0).z))
            func crop(_ rotation: Double) -> CropGeometry {
                CropGeometry(centre: centre, cube: 250, size: 96, camera: .icvl(), rotation: rotation)
            }
            // The labels follow exactly.
            let joints = crop(0).joints(turned.label)
            for (a, b) in zip(crop(rotation).joints(straight.label), joints) { #expect(apart(a, b) < 1e-6) }
            let expected = sampled(crop(0), turned.depth, width: 320, height: 240)
            // The renderer guesses articulations and forearm from joints, not quite the same for a turned hand: within 15 mm of a joint.
            let pixels = expected.indices.filter { index in
                let x = crop(0).coordinate(ofPixel: Double(index % 96))
                let y = crop(0).coordinate(ofPixel: Double(index / 96))
                return joints.contains { ($0.x - x) * ($0.x - x) + ($0.y - y) * ($0.y - y) < 0.0144 }
            }
            func share(_ rotation: Double) -> Double {
                let input = sampled(crop(rotation), straight.depth, width: 320, height: 240)
                return Double(pixels.count { abs(input[$0] - expected[$0]) < 0.1 }) / Double(pixels.count)
            }
            agreement += share(rotation) / 12
            wrongWay += share(rotation + .pi / 2) / 12
        }
        #expect(agreement > 0.85, "\(agreement) of the pixels are the same within 12 mm")
        #expect(wrongWay < 0.6, "\(wrongWay) of them when turned elsewhere")
    }

    @Test("a frame turned by a quarter is the crop turned by a quarter, pixel by pixel")
    func quarterTurn() {
        // A square frame turns about its middle, (119.5, 119.5), into whole pixels.
        let camera = Camera(focalU: 241.42, focalV: 241.42, centreU: 119.5, centreV: 119.5)
        let frame = SyntheticHands(seed: 35).frame(2)
        var square: [UInt16] = []
        for v in 0..<240 { square += frame.depth[(v * 320 + 40)..<(v * 320 + 280)] }
        var turned = square
        for v in 0..<240 { for u in 0..<240 { turned[u * 240 + 239 - v] = square[v * 240 + u] } }
        let centre = SIMD3(110.31, 131.77, 350)
        let before = CropGeometry(centre: centre, cube: 250, size: 96, camera: camera, rotation: .pi / 2)
        let after = CropGeometry(centre: SIMD3(239 - centre.y, centre.x, 350), cube: 250, size: 96, camera: camera)
        #expect(
            sampled(before, square, width: 240, height: 240) == sampled(after, turned, width: 240, height: 240))
        #expect(apart(before.crop(SIMD3(70, 90, 300)), after.crop(SIMD3(239 - 90, 70, 300))) < 1e-12)
    }

    @Test("every variation's labels become the frame's joints again", arguments: [Augmentation.none, .icvl, .strong])
    func labelsComeBack(augmentation: Augmentation) throws {
        var crop = HandCrop(size: 96)
        crop.augmentation = augmentation
        let pipeline = SamplePipeline.crop(crop)
        let source = SyntheticSource(SyntheticHands(seed: 32), frames: 0..<40)
        for index in 0..<source.count {
            let variation = pipeline.variation(seed: 5, position: UInt64(index), count: source.count)
            let sample = try PreparedSample(pipeline, source, index, variation: variation)
            var joints = sample.label
            joints.withUnsafeMutableBufferPointer {
                pipeline.decoder.image(UnsafeBufferPointer($0), geometry: sample.geometry, into: $0)
            }
            for (value, expected) in zip(joints, readLabel(source, index)) { #expect(abs(value - expected) < 1e-3) }
        }
    }

    @Test("a variation is a function of seed, epoch and position")
    func pure() {
        func shift(_ seed: UInt64, _ epoch: UInt64, _ position: UInt64) -> SIMD3<Double> {
            Augmentation.icvl.variation(seed: seed, epoch: epoch, position: position).shift
        }
        #expect(shift(1, 2, 3) == shift(1, 2, 3))
        var seen: Set<SIMD3<Double>> = []
        for seed in 0..<4 as Range<UInt64> {
            for epoch in 0..<4 as Range<UInt64> { for position in 0..<20 as Range<UInt64> { seen.insert(shift(seed, epoch, position)) } }
        }
        #expect(seen.count == 4 * 4 * 20)
        // Positions of an order name the epoch too.
        var crop = HandCrop(size: 8)
        crop.augmentation = .icvl
        #expect(SamplePipeline.crop(crop).variation(seed: 9, position: 47, count: 20).shift == shift(9, 2, 7))
        // Switching a part off leaves the others as they were.
        var unturned = Augmentation.icvl
        unturned.rotation = 0
        #expect(unturned.variation(seed: 1, epoch: 0, position: 3).shift == shift(1, 0, 3))
        #expect(unturned.variation(seed: 1, epoch: 0, position: 3).rotation == 0)
    }

    @Test("amounts are those of the settings", arguments: [Augmentation.icvl, .strong])
    func amounts(augmentation: Augmentation) {
        let count = 20_000
        var (shifts, squares) = (SIMD3<Double>(), SIMD3<Double>())
        var (scales, scaleSquares, turns, mostTurned) = (0.0, 0.0, 0.0, 0.0)
        for position in 0..<count {
            let variation = augmentation.variation(seed: 3, epoch: 0, position: UInt64(position))
            shifts += variation.shift
            squares += variation.shift * variation.shift
            scales += variation.scale - 1
            scaleSquares += (variation.scale - 1) * (variation.scale - 1)
            turns += abs(variation.rotation)
            mostTurned = max(mostTurned, abs(variation.rotation))
        }
        let n = Double(count)
        // Five standard errors of each estimate.
        let error = 5 / n.squareRoot()
        for axis in 0..<3 {
            let deviation = (squares[axis] / n).squareRoot()
            #expect(abs(shifts[axis] / n) < augmentation.jitter * error)
            #expect(abs(deviation - augmentation.jitter) < augmentation.jitter * error)
        }
        #expect(abs(scales / n) < augmentation.scale * error)
        let spread = (scaleSquares / n).squareRoot()
        #expect(abs(spread - augmentation.scale) < augmentation.scale * error)
        let meanTurn = turns / n
        #expect(abs(meanTurn - Double.pi / 2) < Double.pi * error)
        #expect(mostTurned <= .pi && mostTurned > 3.13)
    }

    @Test("jitter moves the centre in mm, and scale the cube")
    func geometry() throws {
        var crop = HandCrop(size: 96)
        crop.augmentation = .strong
        let pipeline = SamplePipeline.crop(crop)
        let source = SyntheticSource(SyntheticHands(seed: 33), frames: 0..<5)
        for index in 0..<5 {
            let variation = pipeline.variation(seed: 1, position: UInt64(index), count: 5)
            let plain = try #require(try PreparedSample(pipeline, source, index).geometry)
            let varied = try #require(try PreparedSample(pipeline, source, index, variation: variation).geometry)
            func place(_ geometry: CropGeometry) -> SIMD3<Double> {
                geometry.camera.millimetres(u: geometry.centre.x, v: geometry.centre.y, d: geometry.centre.z)
            }
            #expect(apart(place(varied), place(plain) + variation.shift) < 1e-9)
            #expect(varied.half == 125 * variation.scale)
            #expect(varied.rotation == variation.rotation)
        }
    }

    @Test("noise, dropout and holes change hand pixels by their amounts, and nothing else")
    func pixels() throws {
        let source = SyntheticSource(SyntheticHands(seed: 34), frames: 0..<60)
        func prepared(_ change: (inout Augmentation) -> Void) throws -> [(plain: [Float], varied: [Float])] {
            var crop = HandCrop(size: 96)
            change(&crop.augmentation)
            let pipeline = SamplePipeline.crop(crop)
            return try (0..<source.count).map { index in
                let variation = pipeline.variation(seed: 2, position: UInt64(index), count: source.count)
                return (
                    try PreparedSample(pipeline, source, index).input,
                    try PreparedSample(pipeline, source, index, variation: variation).input
                )
            }
        }
        var (sum, square, count) = (0.0, 0.0, 0.0)
        for (plain, varied) in try prepared({ $0.depthNoise = 2 }) {
            for (a, b) in zip(plain, varied) {
                if a == 1 { #expect(b == 1) }
                guard abs(a) < 0.9 else { continue }
                sum += Double(b - a) * 125
                square += Double(b - a) * Double(b - a) * 125 * 125
                count += 1
            }
        }
        let error = 10 / count.squareRoot()
        let deviation = (square / count).squareRoot()
        #expect(abs(sum / count) < error)
        #expect(abs(deviation - 2) < error)

        var shares: [Double] = []
        for (plain, varied) in try prepared({ $0.dropout = 0.15 }) {
            var (hand, gone) = (0, 0)
            for (a, b) in zip(plain, varied) {
                if a < 1 { hand += 1 }
                if a != b { gone += 1 }
                if a != b { #expect(b == 1) }
            }
            shares.append(Double(gone) / Double(hand))
        }
        #expect(shares.allSatisfy { $0 < 0.18 })
        let mean = shares.reduce(0, +) / 60
        // A uniform share's deviation is 0.043; five standard errors.
        #expect(abs(mean - 0.075) < 0.028)

        var sizes: [Int] = []
        for (plain, varied) in try prepared({ $0.holes = 3 }) {
            let changed = zip(plain, varied).filter { $0 != $1 }
            #expect(changed.allSatisfy { $0.1 == 1 })
            sizes.append(changed.count)
        }
        // A hole of 0.06 of a side has 104 of 96 x 96 pixels.
        #expect((30..<375).contains(sizes.max()!))
        #expect(sizes.contains(0))
    }
}
