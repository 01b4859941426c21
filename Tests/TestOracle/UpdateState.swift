/// Weights, two states and a gradient of `count` elements.
package struct UpdateState {
    package let weights, first, second, gradient: GuardedBuffer<Float>

    /// Counts of whole eights and parts of eight.
    package static let counts = [0, 1, 7, 8, 9, 31, 100, 1000]

    package init(count: Int, seed: UInt64) {
        var values = TestValues(seed: seed)
        weights = GuardedBuffer(values.uniform(count))
        first = GuardedBuffer(values.uniform(count).magnitudes)
        second = GuardedBuffer(values.uniform(count).magnitudes)
        gradient = GuardedBuffer(values.uniform(count, bound: 10))
    }

    package var isIntact: Bool { weights.isIntact && first.isIntact && second.isIntact && gradient.isIntact }
}
