/// Depth frames with bones drawn over them.
package enum HandPicture {
    /// A part of a frame, as a square or the whole, and where its pixels come to lie.
    package struct View {
        /// Frame pixel of the picture's upper left corner.
        var origin: SIMD2<Double>
        /// Picture pixels a frame pixel.
        var scale: Double

        package init(origin: SIMD2<Double>, scale: Double) {
            self.origin = origin
            self.scale = scale
        }

        func place(_ u: Double, _ v: Double) -> SIMD2<Double> { (SIMD2(u, v) + 0.5 - origin) * scale - 0.5 }
    }

    private static let noSurface = Canvas.Colour(16, 16, 22)
    private static let truth = Canvas.Colour(255, 255, 255)

    /// Draws the frame's depths into a rectangle of the canvas: nearer is lighter; what is not at the hand's depth is dim.
    /// - Parameter depths: of the hand, mm, nearest to farthest.
    package static func draw(
        _ frame: DepthFrame, depths: ClosedRange<Double>, view: View, into canvas: inout Canvas, x left: Int, y top: Int, width: Int, height: Int
    ) {
        for y in 0..<height {
            let v = Int((view.origin.y + (Double(y) + 0.5) / view.scale).rounded(.down))
            for x in 0..<width {
                let u = Int((view.origin.x + (Double(x) + 0.5) / view.scale).rounded(.down))
                var colour = noSurface
                if u >= 0, v >= 0, u < frame.width, v < frame.height {
                    colour = self.colour(Double(frame.depth[v * frame.width + u]), depths)
                }
                canvas.blend(left + x, top + y, colour)
            }
        }
    }

    private static func colour(_ depth: Double, _ depths: ClosedRange<Double>) -> Canvas.Colour {
        guard depth > 0, depth < Double(DepthConditioning.farthestValid) else { return noSurface }
        guard depth <= depths.upperBound else { return SIMD3(42, 42, 52) }
        let share = max(0, (depth - depths.lowerBound) / (depths.upperBound - depths.lowerBound))
        return SIMD3(repeating: UInt8(225 - 150 * share))
    }

    /// Draws joints and bones, a colour a finger.
    /// - Parameters:
    ///   - joints: 48 numbers, u px, v px, d mm.
    ///   - isThin: thin and white, as the truth beneath a prediction.
    package static func draw(
        joints: [Double], view: View, into canvas: inout Canvas, x left: Int, y top: Int, isThin: Bool = false
    ) {
        func place(_ joint: Int) -> SIMD2<Double> {
            view.place(joints[3 * joint], joints[3 * joint + 1]) + SIMD2(Double(left), Double(top))
        }
        let width = max(isThin ? 1.0 : 1.5, view.scale * (isThin ? 0.5 : 0.9))
        for digit in 0..<5 {
            let colour = isThin ? truth : ContactSheet.colours[digit]
            var previous = place(0)
            for joint in (1 + 3 * digit)...(3 + 3 * digit) {
                let next = place(joint)
                canvas.line(previous, next, width: width, colour)
                canvas.line(next, next, width: 2.4 * width, colour)
                previous = next
            }
        }
        canvas.line(place(0), place(0), width: 2.4 * width, isThin ? truth : ContactSheet.colours[5])
    }

    /// Depths in which a hand at these joints lies.
    package static func depths(_ joints: [Double]) -> ClosedRange<Double> {
        let depths = stride(from: 2, to: joints.count, by: 3).map { joints[$0] }
        let (near, far) = ((depths.min() ?? 0) - 40, (depths.max() ?? 0) + 40)
        return near...max(far, near + 1)
    }

    /// What a cut-out shows, mm.
    private static let span = 250.0

    /// A square of so many pixels around a hand, and where the frame's pixels lie in it.
    /// - Parameter truth: the hand's joints, 48 numbers.
    /// - Returns: nil where no square can be made about them.
    package static func cutout(_ frame: DepthFrame, around truth: [Double], camera: Camera, size: Int) -> (canvas: Canvas, view: View)? {
        var middle = SIMD3<Double>()
        for start in stride(from: 0, to: truth.count, by: 3) { middle += SIMD3(truth[start], truth[start + 1], truth[start + 2]) }
        middle /= Double(truth.count / 3)
        guard middle.x.isFinite, middle.y.isFinite, middle.z.isFinite, middle.z > 0 else { return nil }
        let scale = Double(size) / (span * camera.focalU / middle.z)
        let view = View(origin: SIMD2(middle.x, middle.y) + 0.5 - Double(size) / 2 / scale, scale: scale)
        var canvas = Canvas(width: size, height: size, background: noSurface)
        draw(frame, depths: depths(truth), view: view, into: &canvas, x: 0, y: 0, width: size, height: size)
        return (canvas, view)
    }
}
