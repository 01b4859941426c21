/// A pinhole camera: x = (u - centreU) * d / focalU, y = (v - centreV) * d / focalV, z = d, in mm; y points down.
package struct Camera: Sendable, Equatable, Codable, BitwiseCopyable {
    /// Focal lengths and principal point, px.
    package let focalU: Double
    package let focalV: Double
    package let centreU: Double
    package let centreV: Double

    package init(focalU: Double, focalV: Double, centreU: Double, centreV: Double) {
        self.focalU = focalU
        self.focalV = focalV
        self.centreU = centreU
        self.centreV = centreV
    }

    /// ICVL's camera as DeepPrior and V2V have it: 241.42 px at 320x240. Other sizes scale it.
    package static func icvl(width: Int = 320, height: Int = 240) -> Camera {
        scaled(focalU: 241.42, focalV: 241.42, width: width, height: height)
    }

    /// ICVL's camera as the evaluator in common use has it, with which the published tables are made.
    package static func commonEvaluator(width: Int = 320, height: Int = 240) -> Camera {
        scaled(focalU: 240.99, focalV: 240.96, width: width, height: height)
    }

    private static func scaled(focalU: Double, focalV: Double, width: Int, height: Int) -> Camera {
        let scaleU = Double(width) / 320
        let scaleV = Double(height) / 240
        return Camera(focalU: focalU * scaleU, focalV: focalV * scaleV, centreU: 160 * scaleU, centreV: 120 * scaleV)
    }

    /// The place (x, y, z), mm, of pixel (u, v) at depth d mm.
    package func millimetres(u: Double, v: Double, d: Double) -> SIMD3<Double> {
        SIMD3((u - centreU) * d / focalU, (v - centreV) * d / focalV, d)
    }

    /// The pixel (u, v) and depth d mm of the place (x, y, z), mm, with z > 0: `millimetres` undone.
    package func image(_ place: SIMD3<Double>) -> SIMD3<Double> {
        SIMD3(centreU + place.x * focalU / place.z, centreV + place.y * focalV / place.z, place.z)
    }
}

extension Camera {
    /// - Parameter text: `fx,fy,cx,cy` in pixels.
    /// - Returns: nil for any other text, and for focal lengths that are none.
    package init?(text: String) {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { Double($0) }
        guard parts.count == 4, numbers.count == 4, numbers[..<2].allSatisfy((1...100_000).contains),
            numbers[2...].allSatisfy({ abs($0) <= 100_000 })
        else { return nil }
        self.init(focalU: numbers[0], focalV: numbers[1], centreU: numbers[2], centreV: numbers[3])
    }

    /// `fx,fy,cx,cy`, with as many digits as tell it from any other.
    package var text: String { "\(focalU),\(focalV),\(centreU),\(centreV)" }
}
