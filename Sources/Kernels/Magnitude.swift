/// How large values are.
package enum Magnitude {
    /// max |x| over `count` values; NaN or infinite when any x is: nothing hides behind a comparison that NaN fails.
    package static func peak(_ values: UnsafePointer<Float>, count: Int) -> Float {
        // The bits of |x| order as the numbers do, infinity above them, NaN above that.
        let mask = SIMD8<UInt32>(repeating: 0x7FFF_FFFF)
        var lanes = SIMD8<UInt32>()
        var others = SIMD8<UInt32>()
        var index = 0
        let raw = UnsafeRawPointer(values)
        while index &+ 16 <= count {
            let first = (raw + 4 &* index).loadUnaligned(as: SIMD8<UInt32>.self) & mask
            let second = (raw + (4 &* index &+ 32)).loadUnaligned(as: SIMD8<UInt32>.self) & mask
            lanes.replace(with: first, where: first .> lanes)
            others.replace(with: second, where: second .> others)
            index &+= 16
        }
        var peak = pointwiseMax(lanes, others).max()
        while index < count {
            peak = max(peak, values[index].bitPattern & mask[0])
            index += 1
        }
        return Float(bitPattern: peak)
    }
}
