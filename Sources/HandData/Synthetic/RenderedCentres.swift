/// How far the centres of mass of rendered frames lie from those of the real frames whose poses they have.
///
/// The centre is the field's for ICVL (REN): the mean (u, v, d) of all pixels with 0 < d <= 500 mm, then in mm.
package struct RenderedCentres: Sendable {
    /// Farthest depth that counts, mm.
    package static let farthest: UInt16 = 500

    package let frames: Int
    /// Mean and standard deviation of rendered minus given, x, y, z, mm.
    package let mean: SIMD3<Double>
    package let deviation: SIMD3<Double>

    /// Compares the frames `range` of `source` with their given centres.
    /// - Parameters:
    ///   - centres: as many as the source has frames.
    ///   - camera: of the frames.
    /// - Throws: `BadSample` for a frame that cannot be read or has no such pixel.
    package init(
        _ source: any FrameSource, _ range: Range<Int>, centres: CentreTable, camera: Camera
    ) throws(BadSample) {
        precondition(centres.count == source.count, "a centre a frame")
        let depth = UnsafeMutableBufferPointer<UInt16>.allocate(capacity: source.width * source.height)
        defer { depth.deallocate() }
        var (sum, square) = (SIMD3<Double>(), SIMD3<Double>())
        for index in range {
            try source.readFrame(index, into: depth)
            guard let centre = Self.centre(UnsafeBufferPointer(depth), width: source.width) else {
                throw source.refuse(index, reason: "no pixel within \(Self.farthest) mm")
            }
            let (given, found) = (centres[index], camera.millimetres(u: centre.x, v: centre.y, d: centre.z))
            let difference = found - camera.millimetres(u: given.x, v: given.y, d: given.z)
            sum += difference
            square += difference * difference
        }
        frames = range.count
        mean = sum / Double(max(1, frames))
        deviation = (square / Double(max(1, frames)) - mean * mean).squareRoot()
    }

    /// The mean (u px, v px, d mm) of a frame's pixels within `farthest`; nil where there are none.
    package static func centre(_ depth: UnsafeBufferPointer<UInt16>, width: Int) -> SIMD3<Double>? {
        var (u, v, d, count) = (0, 0, 0, 0)
        for (index, value) in depth.enumerated() where value > 0 && value <= farthest {
            u += index % width
            v += index / width
            d += Int(value)
            count += 1
        }
        guard count > 0 else { return nil }
        return SIMD3(Double(u), Double(v), Double(d)) / Double(count)
    }
}
