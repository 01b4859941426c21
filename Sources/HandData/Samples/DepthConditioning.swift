/// How depths in mm become the network's input.
package enum DepthConditioning: String, CaseIterable, Sendable, Codable {
    /// Nearness, 0 for the background and what is no depth, else 0.05...2, near surfaces large.
    case normalized
    /// The number itself, as the question's program fed it.
    case raw

    /// A depth is one where 0 < d < this; the background is a large number (32001 in most accounts of ICVL).
    package static let farthestValid: UInt16 = 1500

    /// Writes the conditioned `depth` to `input`.
    ///
    /// normalized: 0 < d < 1500 gives (800 - d) / 400, at least 0.05 and at most 2, so that even a far surface differs
    /// from the background's 0. Hands lie at 150 to 600 mm, so at 1.6 to 0.5.
    /// - Parameters:
    ///   - depth: depths, mm.
    ///   - input: as many values.
    package func apply(_ depth: UnsafeBufferPointer<UInt16>, to input: UnsafeMutableBufferPointer<Float>) {
        precondition(depth.count == input.count, "one input a pixel")
        guard let source = depth.baseAddress, let target = input.baseAddress else { return }
        switch self {
        case .normalized:
            for index in 0..<depth.count { target[index] = Self.nearness(source[index]) }
        case .raw:
            for index in 0..<depth.count { target[index] = Float(source[index]) }
        }
    }

    /// The conditioned value of one depth.
    package func value(_ depth: UInt16) -> Float {
        switch self {
        case .normalized: Self.nearness(depth)
        case .raw: Float(depth)
        }
    }

    @inline(__always)
    private static func nearness(_ depth: UInt16) -> Float {
        // d - 1 wraps for d = 0, so that one comparison tells what is a depth.
        let isValid = depth &- 1 < farthestValid - 1
        let near = max((800 - Float(depth)) * 0.0025, 0.05)
        return isValid ? near : 0
    }
}
