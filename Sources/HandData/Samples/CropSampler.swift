import Kernels

/// A frame's depths as a loader or a camera holds them.
package struct DepthFrame {
    /// (height, width), row-major, mm.
    package let depth: UnsafeBufferPointer<UInt16>
    package let width: Int
    package let height: Int

    package init(_ depth: UnsafeBufferPointer<UInt16>, width: Int, height: Int) {
        precondition(depth.count == width * height, "a frame holds width x height depths")
        self.depth = depth
        self.width = width
        self.height = height
    }
}

/// How a crop's pixels are made of the frame's.
package enum Resampling: String, Sendable, Codable, CaseIterable {
    /// The depth of the nearest pixel.
    case nearest
    /// Of the four pixels around, those that are surface within the cube, weighted by their nearness. Where the nearest one is
    /// background the crop has background, so hand and background are never mixed and the silhouette is that of `nearest`.
    case bilinear
}

extension CropGeometry {
    /// The input of a pixel without surface: the cube's far plane.
    package static let background: Float = 1

    /// Writes the crop of `frame`: each crop pixel takes the depth d of the frame pixel nearest to its centre, or of the pixels
    /// around it, as (d - d0) / half clamped to [-1, 1].
    ///
    /// No measurement (0), what lies behind the cube (so every background value) and what lies beyond the frame is +1. What lies in
    /// front of the cube is -1, the front plane, as in DeepPrior's code: a finger that reaches out of a cube put a little too far
    /// away stays a surface there, where +1 would punch a hole with a sharp edge into the hand.
    /// - Parameter input: (size, size), overwritten.
    package func sample(
        _ frame: DepthFrame, resampling: Resampling = .nearest, into input: UnsafeMutableBufferPointer<Float>
    ) {
        switch resampling {
        case .nearest: sampleNearest(frame, into: input)
        case .bilinear: sampleBilinear(frame, into: input)
        }
    }

    private func sampleNearest(_ frame: DepthFrame, into input: UnsafeMutableBufferPointer<Float>) {
        precondition(input.count == size * size, "the crop's pixels")
        guard let source = frame.depth.baseAddress, let target = input.baseAddress else { return }
        // The frame's place of crop pixel (column, row) is affine in both. Float is fine: 1e-4 px in a frame of 1000.
        let origin = imagePoint(column: 0, row: 0)
        let alongColumns = imagePoint(column: 1, row: 0) - origin
        let alongRows = imagePoint(column: 0, row: 1) - origin
        let step = SIMD2<Float>(alongColumns)
        for row in 0..<size {
            // One half is added, so that cutting the fraction off rounds to the nearest pixel.
            CropRow.sample(
                source, width: frame.width, height: frame.height, start: SIMD2<Float>(origin + Double(row) * alongRows) + 0.5, step: step,
                centre: Float(centre.z), inverse: Float(1 / half), into: target + row &* size, count: size)
        }
    }

    private func sampleBilinear(_ frame: DepthFrame, into input: UnsafeMutableBufferPointer<Float>) {
        precondition(input.count == size * size, "the crop's pixels")
        guard let source = frame.depth.baseAddress, let target = input.baseAddress else { return }
        let (width, height) = (frame.width, frame.height)
        let origin = imagePoint(column: 0, row: 0)
        let alongColumns = imagePoint(column: 1, row: 0) - origin
        let alongRows = imagePoint(column: 0, row: 1) - origin
        let (centreDepth, inverse) = (Float(centre.z), Float(1 / half))
        /// Of a frame pixel; nil: background.
        func surface(_ column: Int, _ row: Int) -> Float? {
            guard column >= 0, row >= 0, column < width, row < height else { return nil }
            let depth = source[row &* width &+ column]
            let offset = (Float(depth) - centreDepth) * inverse
            return depth == 0 || offset >= 1 ? nil : max(offset, -1)
        }
        for row in 0..<size {
            let start = origin + Double(row) * alongRows
            for column in 0..<size {
                let place = start + Double(column) * alongColumns
                let corner = place.rounded(.down)
                let share = SIMD2<Float>(place - corner)
                let (left, top) = (Int(corner.x), Int(corner.y))
                guard surface(left &+ (share.x < 0.5 ? 0 : 1), top &+ (share.y < 0.5 ? 0 : 1)) != nil else {
                    target[row &* size &+ column] = Self.background
                    continue
                }
                var (sum, weights): (Float, Float) = (0, 0)
                for corner in 0..<4 {
                    let (right, down) = (corner & 1, corner >> 1)
                    guard let value = surface(left &+ right, top &+ down) else { continue }
                    let weight = (right == 0 ? 1 - share.x : share.x) * (down == 0 ? 1 - share.y : share.y)
                    sum += weight * value
                    weights += weight
                }
                target[row &* size &+ column] = sum / weights
            }
        }
    }
}
