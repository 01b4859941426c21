package import System

/// Limits values, each by itself, to [-limit, limit].
package enum ValueClip {
    private static let block = 1 << 16

    /// Clips `count` values in place. NaN stays NaN; an infinity becomes the limit, so look for it before.
    package static func apply(_ values: UnsafeMutablePointer<Float>, count: Int, limit: Float) {
        let raw = UnsafeMutableRawPointer(values)
        var index = 0
        while index &+ 8 <= count {
            let place = raw + 4 &* index
            var x = place.loadUnaligned(as: SIMD8<Float>.self)
            x.replace(with: limit, where: x .> limit)
            x.replace(with: -limit, where: x .< -limit)
            place.storeBytes(of: x, as: SIMD8<Float>.self)
            index &+= 8
        }
        while index < count {
            if values[index] > limit { values[index] = limit }
            if values[index] < -limit { values[index] = -limit }
            index &+= 1
        }
    }

    /// The same by all threads of a team.
    package static func apply(_ values: UnsafeMutablePointer<Float>, count: Int, limit: Float, team: WorkerTeam) {
        team.forEach((count + block - 1) / block) { item, _ in
            let start = item * block
            apply(values + start, count: min(block, count - start), limit: limit)
        }
    }
}
