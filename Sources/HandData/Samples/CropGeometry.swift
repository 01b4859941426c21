/// Where a square crop of a frame lies, and how its coordinates and the frame's become each other.
///
/// One convention for all networks, weak perspective at the depth of the centre:
///
///     x = (u - u0) d0 / fx / half,  y = (v - v0) d0 / fy / half       offset from the centre, in half cubes
///     cu = cos x - sin y,  cv = sin x + cos y                         turned by the rotation
///     cd = (d - d0) / half
///
/// so a crop spans [-1, 1] in each of cu (right), cv (down) and cd (away from the camera). A positive rotation turns the picture
/// clockwise. Frame pixel (u, v) has its centre at the whole numbers u, v, as ICVL's labels have it. Crop pixel i of `size` covers
/// cu from -1 + 2i / size to -1 + 2(i + 1) / size; its centre is half-way.
///
/// Everything is in Double: a crop coordinate written as Float is off by at most 1e-5 px of the frame.
package struct CropGeometry: Sendable, Equatable, BitwiseCopyable {
    /// The centre of the cube: u0 px, v0 px, d0 mm.
    package let centre: SIMD3<Double>
    /// Half the edge of the cube, mm, scale included.
    package let half: Double
    /// Pixels along a side of the crop.
    package let size: Int
    package let camera: Camera
    /// Clockwise rotation of the picture, radians.
    package let rotation: Double

    private let cosine: Double
    private let sine: Double
    /// Pixels of the frame a half cube spans at the centre's depth.
    private let halfU: Double
    private let halfV: Double

    /// - Parameters:
    ///   - centre: u px, v px, d mm; must be `isUsable`.
    ///   - cube: edge of the cube, mm.
    ///   - size: pixels along a side of the crop.
    ///   - camera: of the frame.
    ///   - rotation: clockwise rotation of the picture about the centre, radians.
    ///   - scale: multiplies the cube, so 1.1 shows the hand smaller by 1.1.
    package init(
        centre: SIMD3<Double>, cube: Double, size: Int, camera: Camera, rotation: Double = 0, scale: Double = 1
    ) {
        precondition(Self.isUsable(centre), "a centre lies in front of the camera")
        precondition(cube > 0 && scale > 0 && size > 0, "a cube and its picture have a size")
        self.centre = centre
        self.size = size
        self.camera = camera
        self.rotation = rotation
        half = cube / 2 * scale
        (sine, cosine) = sineAndCosine(rotation)
        halfU = half * camera.focalU / centre.z
        halfV = half * camera.focalV / centre.z
    }

    /// Whether a crop can be made around `centre`: finite, 10 mm to 10 m from the camera, and not far out of any picture.
    package static func isUsable(_ centre: SIMD3<Double>) -> Bool {
        abs(centre.x) <= 1e5 && abs(centre.y) <= 1e5 && centre.z >= 10 && centre.z <= 10_000
    }

    /// Crop coordinates (cu, cv, cd) of (u px, v px, d mm).
    package func crop(_ image: SIMD3<Double>) -> SIMD3<Double> {
        let x = (image.x - centre.x) / halfU
        let y = (image.y - centre.y) / halfV
        return SIMD3(cosine * x - sine * y, sine * x + cosine * y, (image.z - centre.z) / half)
    }

    /// (u px, v px, d mm) of crop coordinates (cu, cv, cd): `crop` undone.
    package func image(_ crop: SIMD3<Double>) -> SIMD3<Double> {
        let x = cosine * crop.x + sine * crop.y
        let y = cosine * crop.y - sine * crop.x
        return SIMD3(centre.x + x * halfU, centre.y + y * halfV, centre.z + crop.z * half)
    }

    /// Crop coordinates of joints: (u px, v px, d mm) each in `image`, (cu, cv, cd) each in `crop`. They may be one buffer.
    package func crop(_ image: UnsafeBufferPointer<Float>, into crop: UnsafeMutableBufferPointer<Float>) {
        map(image, into: crop) { self.crop($0) }
    }

    /// (u px, v px, d mm) of joints in crop coordinates; they may be one buffer.
    package func image(_ crop: UnsafeBufferPointer<Float>, into image: UnsafeMutableBufferPointer<Float>) {
        map(crop, into: image) { self.image($0) }
    }

    /// The crop coordinate of the centre of crop pixel `index`, along either axis; also for fractions and beyond the crop.
    package func coordinate(ofPixel index: Double) -> Double { (2 * index + 1) / Double(size) - 1 }

    /// The crop pixel, whole at pixel centres, of crop coordinate `coordinate`: `coordinate(ofPixel:)` undone.
    package func pixel(ofCoordinate coordinate: Double) -> Double { ((coordinate + 1) * Double(size) - 1) / 2 }

    /// (u px, v px) of the centre of the crop pixel in `column` and `row`.
    package func imagePoint(column: Double, row: Double) -> SIMD2<Double> {
        let place = image(SIMD3(coordinate(ofPixel: column), coordinate(ofPixel: row), 0))
        return SIMD2(place.x, place.y)
    }

    @inline(__always)
    private func map(
        _ source: UnsafeBufferPointer<Float>, into target: UnsafeMutableBufferPointer<Float>,
        _ body: (SIMD3<Double>) -> SIMD3<Double>
    ) {
        precondition(source.count == target.count && source.count % 3 == 0, "three numbers a joint")
        for start in stride(from: 0, to: source.count, by: 3) {
            let place = body(SIMD3(Double(source[start]), Double(source[start + 1]), Double(source[start + 2])))
            for axis in 0..<3 { target[start + axis] = Float(place[axis]) }
        }
    }
}

/// Sine and cosine of `angle` in radians, |angle| below some thousands, to 1e-14.
///
/// Polynomials rather than the C library's functions, whose last bit differs between versions: a crop has to be the same bytes on
/// every node of a cluster.
func sineAndCosine(_ angle: Double) -> (sine: Double, cosine: Double) {
    let quarters = (angle / (.pi / 2)).rounded()
    let x = angle - quarters * (.pi / 2)
    // Taylor series; the next terms are below 1e-15 at pi / 4.
    let square = x * x
    var sine = 1.0
    var cosine = 1.0
    for step in stride(from: 14.0, through: 2, by: -2) {
        sine = 1 - square * sine / (step * (step + 1))
        cosine = 1 - square * cosine / ((step - 1) * step)
    }
    sine *= x
    switch Int(quarters) & 3 {
    case 0: return (sine, cosine)
    case 1: return (cosine, -sine)
    case 2: return (-sine, -cosine)
    default: return (-cosine, sine)
    }
}
