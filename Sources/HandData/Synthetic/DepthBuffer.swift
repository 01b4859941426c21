/// A depth buffer in mm into which tapered capsules are drawn by ray intersection, the nearest surface winning.
///
/// One belongs to one thread at a time: not Sendable.
final class DepthBuffer {
    /// What a pixel without surface holds, mm.
    static let empty: Float = 1e9

    let camera: HandCamera
    /// Pixels from one row to the next: the width rounded up to whole vectors of 8.
    let stride: Int
    private let pixels: UnsafeMutableBufferPointer<Float>  // (height, stride), mm
    /// Pixels drawn upon since the last clearing; whole vectors of 8 in u.
    private(set) var dirty: PixelBounds

    init(camera: HandCamera) {
        self.camera = camera
        stride = (camera.width + 7) & ~7
        let bytes = max(stride * camera.height, 8) * MemoryLayout<Float>.stride
        let raw = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 64)
        pixels = raw.bindMemory(to: Float.self)
        pixels.initialize(repeating: Self.empty)
        dirty = .none
    }

    deinit { pixels.deallocate() }

    /// A row of `stride` depths.
    func row(_ v: Int) -> UnsafeMutablePointer<Float> { pixels.baseAddress! + v * stride }

    /// Empties the pixels drawn upon.
    func clear() {
        for v in dirty.rows {
            row(v).advanced(by: dirty.left).update(repeating: Self.empty, count: dirty.right - dirty.left)
        }
        dirty = .none
    }

    /// Draws the convex hull of two spheres: centres in camera space, radii and `farthest` in mm. Surface beyond `farthest` is left out,
    /// and so is a hull that comes within 20 mm of the camera or is 10 m away.
    ///
    /// The ray through pixel (u, v) is t * ((u - cx) / fx, (v - cy) / fy, 1), so that t is the depth. Its first intersection
    /// with the hull is on the cone between the spheres (a quadratic in t) or on one of the spheres;
    /// the formulas are those of Quilez, "Intersectors: rounded cone", for a ray direction that is not of unit length.
    func draw(from a: Vector3, radius ra: Float, to b: Vector3, radius rb: Float, farthest: Float) {
        // Also false for what is not finite.
        guard min(a.z - ra, b.z - rb) > 20, max(a.z, b.z) < 10_000, (a + b).length.isFinite else { return }
        let axis = b - a
        let taper = ra - rb
        let d2 = axis.dot(axis) - taper * taper
        guard d2 > 1e-3 else {
            // One sphere holds the other.
            if ra >= rb { drawSphere(a, ra, farthest: farthest) } else { drawSphere(b, rb, farthest: farthest) }
            return
        }
        let bounds = bounds(a, ra).union(bounds(b, rb)).clipped(width: camera.width, height: camera.height)
        guard !bounds.isEmpty else { return }
        dirty = dirty.union(bounds)

        // Constants of the capsule; the ray starts at the origin, so "origin minus a" is -a.
        let m1 = -axis.dot(a)
        let aSquare = a.dot(a)
        let aTerm = Vector8(repeating: aSquare - ra * ra)
        let bTerm = Vector8(repeating: b.dot(b) - rb * rb)
        let k0 = Vector8(repeating: d2 * aSquare - m1 * m1 + m1 * taper * ra * 2 - axis.dot(axis) * ra * ra)
        let k1Slope = Vector8(repeating: taper * ra - m1)
        let yStart = Vector8(repeating: m1 - ra * taper)
        let d2s = Vector8(repeating: d2)
        let zero = Vector8.zero
        let emptys = Vector8(repeating: Self.empty)
        let farthests = Vector8(repeating: farthest)
        let axisX = Vector8(repeating: axis.x)
        let aX = Vector8(repeating: a.x)
        let bX = Vector8(repeating: b.x)
        let step = 1 / camera.focalX

        for v in bounds.rows {
            let rayY = (Float(v) - camera.centreY) / camera.focalY
            let axisYZ = Vector8(repeating: axis.y * rayY + axis.z)
            let aYZ = Vector8(repeating: a.y * rayY + a.z)
            let bYZ = Vector8(repeating: b.y * rayY + b.z)
            let lengthYZ = Vector8(repeating: rayY * rayY + 1)
            let depths = UnsafeMutableRawPointer(row(v))
            var u = bounds.left
            while u < bounds.right {
                let rayX = (Vector8.ramp + (Float(u) - camera.centreX)) * step
                let length = rayX * rayX + lengthYZ  // |ray|2
                let m2 = axisX * rayX + axisYZ  // axis . ray
                let m3 = -(aX * rayX + aYZ)  // -a . ray
                let m6 = -(bX * rayX + bYZ)

                // Cone.
                let k2 = d2s * length - m2 * m2
                let k1 = d2s * m3 + m2 * k1Slope
                let h = k1 * k1 - k0 * k2
                let onCone = (h .>= zero) .& (k2 .> zero)
                let cone = (-k1 - squareRoot(h.replacing(with: zero, where: h .< zero))) / k2
                let y = yStart + cone * m2
                let coneHit = onCone .& (y .> zero) .& (y .< d2s)

                // Spheres.
                let h1 = m3 * m3 - length * aTerm
                let h2 = m6 * m6 - length * bTerm
                let sphereA = (-m3 - squareRoot(h1.replacing(with: zero, where: h1 .< zero))) / length
                let sphereB = (-m6 - squareRoot(h2.replacing(with: zero, where: h2 .< zero))) / length
                let nearA = sphereA.replacing(with: emptys, where: h1 .< zero)
                let nearB = sphereB.replacing(with: emptys, where: h2 .< zero)
                var depth = nearA.replacing(with: nearB, where: nearB .< nearA)
                depth.replace(with: cone, where: coneHit)
                depth.replace(with: emptys, where: depth .> farthests)

                let address = depths + u * MemoryLayout<Float>.stride
                let old = address.load(as: Vector8.self)
                address.storeBytes(of: old.replacing(with: depth, where: depth .< old), as: Vector8.self)
                u += 8
            }
        }
    }

    private func drawSphere(_ centre: Vector3, _ radius: Float, farthest: Float) {
        draw(
            from: centre, radius: radius, to: centre + Vector3(0, 0, 0.1), radius: radius - 0.01, farthest: farthest)
    }

    /// Pixels a sphere can cover.
    private func bounds(_ centre: Vector3, _ radius: Float) -> PixelBounds {
        let position = camera.project(centre)
        // Perspective widens a sphere's image away from the optical axis; 15% covers the whole field of view.
        let reach = 1.15 * radius / (centre.z - radius)
        let across = camera.focalX * reach + 1
        let down = camera.focalY * reach + 1
        func pixel(_ value: Float) -> Int { Int(value.clamped(to: -1e6...1e6)) }
        return PixelBounds(
            left: pixel(position.x - across), right: pixel(position.x + across) + 2,
            top: pixel(position.y - down), bottom: pixel(position.y + down) + 2)
    }
}

typealias Vector8 = SIMD8<Float>

extension SIMD8 where Scalar == Float {
    /// 0, 1, ... 7.
    static var ramp: Vector8 { Vector8(0, 1, 2, 3, 4, 5, 6, 7) }
}

@inline(__always)
private func squareRoot(_ values: Vector8) -> Vector8 { values.squareRoot() }

/// A rectangle of pixels: columns left ..< right, rows top ..< bottom.
struct PixelBounds {
    var left: Int
    var right: Int
    var top: Int
    var bottom: Int

    static let none = PixelBounds(left: .max, right: .min, top: .max, bottom: .min)

    var isEmpty: Bool { left >= right || top >= bottom }

    /// Its rows; none if it is empty.
    var rows: Range<Int> { isEmpty ? 0..<0 : top..<bottom }

    func union(_ other: PixelBounds) -> PixelBounds {
        PixelBounds(
            left: min(left, other.left), right: max(right, other.right), top: min(top, other.top),
            bottom: max(bottom, other.bottom))
    }

    /// The part within a frame, its columns widened to whole vectors of 8 (a buffer's rows have room for them).
    func clipped(width: Int, height: Int) -> PixelBounds {
        let first = max(left, 0) & ~7
        let last = (min(max(right, 0), width) + 7) & ~7
        return PixelBounds(left: first, right: last, top: max(top, 0), bottom: min(bottom, height))
    }
}
