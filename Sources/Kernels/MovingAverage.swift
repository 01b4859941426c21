/// An exponential moving average of weights: average = average · decay + weight · (1 - decay).
package struct MovingAverage: Sendable {
    private let decay: Float
    private let share: Float

    /// - Parameter decay: from 0 (a copy) to 1 (no change); 1 - decay is subtracted in Double.
    package init(decay: Double) {
        self.decay = Float(decay)
        share = Float(1 - decay)
    }

    /// Moves `count` averages towards the weights, in place. No fused multiply-add: every host gives the same bits.
    package func apply(average: UnsafeMutablePointer<Float>, weights: UnsafePointer<Float>, count: Int) {
        let (a, w) = (UnsafeMutableRawPointer(average), UnsafeRawPointer(weights))
        var index = 0
        while index &+ 8 <= count {
            let offset = 4 &* index
            let old = (a + offset).loadUnaligned(as: SIMD8<Float>.self)
            let new = (w + offset).loadUnaligned(as: SIMD8<Float>.self)
            (a + offset).storeBytes(of: old * decay + new * share, as: SIMD8<Float>.self)
            index &+= 8
        }
        while index < count {
            average[index] = average[index] * decay + weights[index] * share
            index &+= 1
        }
    }
}
