import HandData
import Testing

@Suite("Crop geometry")
struct CropGeometryTests {
    static let cameras = [
        Camera.icvl(), .commonEvaluator(), .icvl(width: 80, height: 60),
        Camera(focalU: 476.007, focalV: 470, centreU: 313.683, centreV: 242.755),
    ]

    private func geometries() -> [CropGeometry] {
        var all: [CropGeometry] = []
        for camera in Self.cameras {
            for centre in [SIMD3(160.0, 120, 350), SIMD3(-3.5, 239.25, 157.9), SIMD3(301, 10, 570.7)] {
                for rotation in [0, 0.3, .pi / 2, -2.5, .pi, 7] {
                    for scale in [1, 0.8, 1.13] {
                        all.append(
                            CropGeometry(
                                centre: centre, cube: 250, size: 96, camera: camera, rotation: rotation, scale: scale))
                    }
                }
            }
        }
        return all
    }

    @Test("image to crop and back is the same place to 1e-3 px and mm, also through Float")
    func roundTrip() {
        for geometry in geometries() {
            for place in [SIMD3(0.0, 0, 200), SIMD3(319, 239, 600), SIMD3(160.3, 99.7, 345.6), SIMD3(-40, 300, 90)] {
                let there = geometry.crop(place)
                let back = geometry.image(there)
                #expect(apart(back, place) < 1e-9)
                let single = SIMD3<Float>(there)
                let rounded = SIMD3<Double>(single)
                #expect(apart(geometry.image(rounded), place) < 1e-3)
            }
        }
        let label: [Float] = (0..<48).map { (value: Int) -> Float in value % 3 == 2 ? Float(300 + value) : Float(100 + 2 * value) }
        for geometry in geometries() {
            var joints = label
            joints.withUnsafeMutableBufferPointer { geometry.crop(UnsafeBufferPointer($0), into: $0) }
            joints.withUnsafeMutableBufferPointer { geometry.image(UnsafeBufferPointer($0), into: $0) }
            for (value, expected) in zip(joints, label) { #expect(abs(value - expected) < 1e-3) }
        }
    }

    @Test("a crop spans [-1, 1] over the cube at the centre's depth")
    func span() {
        let camera = Camera.icvl()
        let centre = SIMD3(200.0, 90, 400)
        let geometry = CropGeometry(centre: centre, cube: 250, size: 128, camera: camera)
        let place = camera.millimetres(u: 200, v: 90, d: 400)
        #expect(apart(geometry.crop(camera.image(place + SIMD3(125, 0, 0))), SIMD3(1, 0, 0)) < 1e-12)
        #expect(apart(geometry.crop(camera.image(place + SIMD3(0, -125, 0))), SIMD3(0, -1, 0)) < 1e-12)
        #expect(geometry.crop(SIMD3(200, 90, 525)) == SIMD3(0, 0, 1))
        #expect(geometry.crop(centre) == .zero)
        // A larger cube shows everything smaller.
        let wide = CropGeometry(centre: centre, cube: 250, size: 128, camera: camera, scale: 2)
        #expect(apart(wide.crop(SIMD3(250, 90, 500)), geometry.crop(SIMD3(250, 90, 500)) / 2) < 1e-12)
    }

    @Test("a positive rotation turns the picture clockwise")
    func clockwise() {
        func turned(_ rotation: Double) -> SIMD3<Double> {
            CropGeometry(centre: SIMD3(160, 120, 300), cube: 250, size: 96, camera: .icvl(), rotation: rotation)
                .crop(SIMD3(180, 120, 300))
        }
        let right = turned(0)
        // What lies right of the centre comes to lie below it.
        #expect(apart(turned(.pi / 2), SIMD3(0, right.x, 0)) < 1e-12)
        #expect(apart(turned(.pi), SIMD3(-right.x, 0, 0)) < 1e-12)
        let thirty = SIMD3(right.x * 0.75.squareRoot(), -right.x / 2, 0.0)
        #expect(apart(turned(-.pi / 6), thirty) < 1e-12)
        for degrees in stride(from: -720.0, through: 720, by: 0.5) {
            let distance = length(turned(degrees * .pi / 180))
            #expect(abs(distance - right.x) < 1e-12)
        }
    }

    @Test("crop pixel i covers -1 + 2i/size to -1 + 2(i + 1)/size; its centre is half-way")
    func pixelCentres() {
        let geometry = CropGeometry(centre: SIMD3(160, 120, 300), cube: 250, size: 96, camera: .icvl())
        #expect(geometry.coordinate(ofPixel: -0.5) == -1)
        #expect(geometry.coordinate(ofPixel: 95.5) == 1)
        #expect(abs(geometry.coordinate(ofPixel: 0) - (-1 + 1.0 / 96)) < 1e-15)
        for pixel in [0, 17, 95.0] {
            #expect(abs(geometry.pixel(ofCoordinate: geometry.coordinate(ofPixel: pixel)) - pixel) < 1e-12)
        }
        // The centre lies on the corner of the four middle pixels.
        #expect(geometry.imagePoint(column: 47.5, row: 47.5) == SIMD2(160, 120))
    }

    @Test("a crop pixel takes the frame pixel nearest to its centre", arguments: [0, 0.4, -2.1])
    func nearest(rotation: Double) {
        let frame = (0..<(320 * 240)).map { UInt16(300 + $0 % 251) }
        let geometry = CropGeometry(
            centre: SIMD3(151.3, 118.9, 400), cube: 250, size: 61, camera: .icvl(), rotation: rotation)
        let input = sampled(geometry, frame, width: 320, height: 240)
        var ties = 0
        for row in 0..<61 {
            for column in 0..<61 {
                let place = geometry.imagePoint(column: Double(column), row: Double(row))
                let fraction = place - place.rounded(.down)
                // Sampling works in Float: where two pixels are as near, either may be taken.
                if min(abs(fraction.x - 0.5), abs(fraction.y - 0.5)) < 1e-3 {
                    ties += 1
                    continue
                }
                let (u, v) = (Int(place.x.rounded()), Int(place.y.rounded()))
                let inside = (0..<320).contains(u) && (0..<240).contains(v)
                let expected: Double = inside ? (Double(frame[v * 320 + u]) - 400) / 125 : 1
                let value = Double(input[row * 61 + column])
                #expect(abs(value - min(expected, 1)) < 1e-6)
            }
        }
        #expect(ties < 100)
    }

    @Test("bilinear resampling is the mean of the surface around, and mixes none with background", arguments: [0, 0.4, -2.1])
    func bilinear(rotation: Double) {
        let geometry = CropGeometry(
            centre: SIMD3(151.3, 118.9, 400), cube: 250, size: 61, camera: .icvl(), rotation: rotation)
        // A slope within the cube, with columns without a measurement and rows behind the cube.
        func isSurface(_ u: Int, _ v: Int) -> Bool { (0..<320).contains(u) && (0..<240).contains(v) && u % 9 != 0 && v % 11 != 0 }
        let frame = (0..<(320 * 240)).map { index -> UInt16 in
            let (u, v) = (index % 320, index / 320)
            guard u % 9 != 0 else { return 0 }
            guard v % 11 != 0 else { return 32001 }
            return UInt16((400 + Double(u - 150) / 2 - Double(v - 120) / 4).rounded())
        }
        let input = sampled(geometry, frame, width: 320, height: 240, resampling: .bilinear)
        let nearest = sampled(geometry, frame, width: 320, height: 240)
        var mixed = 0
        for row in 0..<61 {
            for column in 0..<61 {
                let place = geometry.imagePoint(column: Double(column), row: Double(row))
                let fraction = place - place.rounded(.down)
                if min(abs(fraction.x - 0.5), abs(fraction.y - 0.5)) < 1e-3 { continue }
                let value = Double(input[row * 61 + column])
                #expect((value == 1) == (nearest[row * 61 + column] == 1), "the silhouette is that of the nearest")
                guard value < 1 else { continue }
                let (left, top) = (Int(place.x.rounded(.down)), Int(place.y.rounded(.down)))
                var (sum, weights) = (0.0, 0.0)
                for (u, v) in [(left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)] where isSurface(u, v) {
                    let weight = (1 - abs(place.x - Double(u))) * (1 - abs(place.y - Double(v)))
                    sum += weight * (Double(frame[v * 320 + u]) - 400) / 125
                    weights += weight
                }
                #expect(abs(value - sum / weights) < 2e-6)
                if abs(value - Double(nearest[row * 61 + column])) > 1e-6 { mixed += 1 }
            }
        }
        #expect(mixed > 100, "between pixels it is another value than the nearest one's")
    }

    @Test("one marked pixel appears where its crop coordinates say")
    func markedPixel() {
        for (u, v) in [(160, 120), (131, 99), (201, 140)] {
            var frame = [UInt16](repeating: 32001, count: 320 * 240)
            frame[v * 320 + u] = 310
            // 2.9 crop pixels a frame pixel: no pixel is missed.
            let geometry = CropGeometry(
                centre: SIMD3(165, 118, 300), cube: 150, size: 351, camera: .icvl(), rotation: 1.1)
            let input = sampled(geometry, frame, width: 320, height: 240)
            var (columns, rows, count) = (0.0, 0.0, 0.0)
            for index in input.indices where input[index] < 1 {
                columns += Double(index % 351)
                rows += Double(index / 351)
                count += 1
            }
            let place = geometry.crop(SIMD3(Double(u), Double(v), 310))
            #expect(count > 4)
            let (column, row) = (geometry.pixel(ofCoordinate: place.x), geometry.pixel(ofCoordinate: place.y))
            #expect(abs(columns / count - column) < 0.5)
            #expect(abs(rows / count - row) < 0.5)
        }
    }

    @Test("no measurement, background, beyond the cube and beyond the frame are +1; before the cube is -1")
    func values() {
        let geometry = CropGeometry(centre: SIMD3(0, 0, 400), cube: 250, size: 16, camera: .icvl())
        for (depth, expected) in [
            (0, 1), (32001, 1), (65535, 1), (526, 1), (525, 1), (400, 0), (275, -1), (274, -1), (1, -1), (337, -0.504),
        ] as [(UInt16, Float)] {
            let input = sampled(geometry, [UInt16](repeating: depth, count: 320 * 240), width: 320, height: 240)
            for (index, value) in input.enumerated() {
                // The frame begins at the crop's middle.
                let inside = index % 16 >= 8 && index / 16 >= 8
                let wanted = inside ? expected : 1
                #expect(abs(value - wanted) < 1e-6)
            }
        }
    }

    @Test("crops far out of the frame and of odd centres are background, not traps")
    func oddCentres() {
        let frame = [UInt16](repeating: 300, count: 64 * 48)
        for centre in [SIMD3(1e5, -1e5, 10), SIMD3(-5000, 20, 300), SIMD3(30, 9e4, 10_000)] {
            let geometry = CropGeometry(
                centre: centre, cube: 250, size: 33, camera: .icvl(width: 64, height: 48), rotation: 1)
            #expect(sampled(geometry, frame, width: 64, height: 48).allSatisfy { $0 == 1 })
        }
        for centre in [
            SIMD3(160, 120, 0), SIMD3(160, 120, -300), SIMD3(.nan, 120, 300), SIMD3(160, .infinity, 300),
            SIMD3(160, 120, .nan), SIMD3(160, 120, 1e9),
        ] { #expect(!CropGeometry.isUsable(centre)) }
    }

    @Test("a camera's places and pixels are each other's")
    func camera() {
        for camera in Self.cameras {
            let place = camera.millimetres(u: 37.5, v: 201, d: 412)
            #expect(apart(camera.image(place), SIMD3(37.5, 201, 412)) < 1e-9)
        }
    }
}
