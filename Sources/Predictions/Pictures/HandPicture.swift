import HandData

/// Depth frames with bones drawn over them.
struct HandPicture {
    /// A part of a frame, as a square or the whole, and where its pixels come to lie.
    struct View {
        /// Frame pixel of the picture's upper left corner.
        var origin: SIMD2<Double>
        /// Picture pixels a frame pixel.
        var scale: Double

        func place(_ u: Double, _ v: Double) -> SIMD2<Double> { (SIMD2(u, v) + 0.5 - origin) * scale - 0.5 }
    }

    private static let noSurface = Canvas.Colour(16, 16, 22)
    private static let truth = Canvas.Colour(255, 255, 255)

    /// Draws the frame's depths into a rectangle of the canvas: nearer is lighter; what is not at the hand's depth is dim.
    /// - Parameter depths: of the hand, mm, nearest to farthest.
    static func draw(
        _ image: DepthImage, depths: ClosedRange<Double>, view: View, into canvas: inout Canvas, x left: Int, y top: Int, width: Int, height: Int
    ) {
        for y in 0..<height {
            let v = Int((view.origin.y + (Double(y) + 0.5) / view.scale).rounded(.down))
            for x in 0..<width {
                let u = Int((view.origin.x + (Double(x) + 0.5) / view.scale).rounded(.down))
                var colour = noSurface
                if u >= 0, v >= 0, u < image.width, v < image.height {
                    colour = self.colour(Double(image.depth[v * image.width + u]), depths)
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
    static func draw(
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
    static func depths(_ joints: [Double]) -> ClosedRange<Double> {
        let depths = stride(from: 2, to: joints.count, by: 3).map { joints[$0] }
        let (near, far) = ((depths.min() ?? 0) - 40, (depths.max() ?? 0) + 40)
        return near...max(far, near + 1)
    }
}
