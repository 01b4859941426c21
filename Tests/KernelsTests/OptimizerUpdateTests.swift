import Kernels
import Testing
import TestOracle

/// Weights, two states and a gradient of `count` elements.
private struct UpdateState {
    let weights, first, second, gradient: GuardedBuffer<Float>

    init(count: Int, seed: UInt64) {
        var values = TestValues(seed: seed)
        weights = GuardedBuffer(values.uniform(count))
        first = GuardedBuffer(values.uniform(count).magnitudes)
        second = GuardedBuffer(values.uniform(count).magnitudes)
        gradient = GuardedBuffer(values.uniform(count, bound: 10))
    }

    var isIntact: Bool { weights.isIntact && first.isIntact && second.isIntact && gradient.isIntact }
}

private let ulp = Double(Float.ulpOfOne)
private let counts = [0, 1, 7, 8, 9, 31, 100, 1000]

@Suite("Steps of optimisers over a range")
struct OptimizerUpdateTests {
    @Test("momentum agrees with the formula in Double", arguments: counts, [false, true])
    func momentum(count: Int, isNesterov: Bool) {
        let state = UpdateState(count: count, seed: 71)
        let (w, b, g) = (state.weights.values.doubles, state.first.values.doubles, state.gradient.values.doubles)
        let update = MomentumUpdate(rate: 0.5, momentum: 0.875, isNesterov: isNesterov, decay: 0.25)
        update.apply(
            weights: state.weights.start, buffer: state.first.start, gradient: state.gradient.start, count: count, scale: 0.75)
        let scaled = w.indices.map { g[$0] * 0.75 + 0.25 * w[$0] }
        let buffer = w.indices.map { 0.875 * b[$0] + scaled[$0] }
        let expected = w.indices.map { w[$0] - 0.5 * (isNesterov ? scaled[$0] + 0.875 * buffer[$0] : buffer[$0]) }
        // At most eight roundings of terms that |w| + |b| + |g| bounds.
        let tolerance = w.indices.map { 8 * ulp * (abs(w[$0]) + abs(b[$0]) + abs(g[$0])) }
        #expect(mismatch(state.first.values, buffer, tolerance: tolerance) == nil)
        #expect(mismatch(state.weights.values, expected, tolerance: tolerance) == nil)
        #expect(state.isIntact)
    }

    @Test("without a momentum buffer it is plain gradient descent, with the bits of a momentum of 0", arguments: counts)
    func plain(count: Int) {
        let (plain, zero) = (UpdateState(count: count, seed: 72), UpdateState(count: count, seed: 72))
        let update = MomentumUpdate(rate: 0.1, momentum: 0, decay: 0.01)
        update.apply(weights: plain.weights.start, buffer: nil, gradient: plain.gradient.start, count: count, scale: 0.3)
        update.apply(
            weights: zero.weights.start, buffer: zero.first.start, gradient: zero.gradient.start, count: count, scale: 0.3)
        #expect(bitDifference(plain.weights.values, zero.weights.values) == nil)
        #expect(plain.isIntact && zero.isIntact)
    }

    @Test("RMSProp agrees with the formula in Double", arguments: counts)
    func rmsprop(count: Int) {
        let state = UpdateState(count: count, seed: 73)
        // Every third element has little behind it and a small gradient: the floor divides.
        for index in stride(from: 0, to: count, by: 3) {
            state.first.start[index] = 0
            state.gradient.start[index] *= 1e-3
        }
        let (w, s, g) = (state.weights.values.doubles, state.first.values.doubles, state.gradient.values.doubles)
        RMSPropUpdate(rate: 0.5, rho: 0.9, floor: 0.25).apply(
            weights: state.weights.start, meanSquare: state.first.start, gradient: state.gradient.start, count: count)
        let squares = w.indices.map { 0.9 * s[$0] + (1 - 0.9) * g[$0] * g[$0] }
        let expected = w.indices.map { w[$0] - 0.5 * g[$0] / max(squares[$0].squareRoot(), 0.25) }
        #expect(
            mismatch(state.first.values, squares, tolerance: w.indices.map { 4 * ulp * (s[$0] + g[$0] * g[$0]) }) == nil)
        // The square root halves the mean square's error, 4 ulps of at most 10 times itself.
        let tolerance = w.indices.map { ulp * (abs(w[$0]) + 24 * 0.5 * abs(g[$0]) / max(squares[$0].squareRoot(), 0.25)) }
        #expect(mismatch(state.weights.values, expected, tolerance: tolerance) == nil)
        #expect(state.isIntact)
    }

    @Test("a decaying Adam step agrees with the formula in Double", arguments: counts)
    func adamDecay(count: Int) {
        let state = UpdateState(count: count, seed: 74)
        let (w, m, v) = (state.weights.values.doubles, state.first.values.doubles, state.second.values.doubles)
        let g = state.gradient.values.doubles
        let update = AdamUpdate(rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8)
        AdamDecay(update, scale: 0.75, decay: 0.25, keep: 0.5).apply(
            weights: state.weights.start, firstMoment: state.first.start, secondMoment: state.second.start,
            gradient: state.gradient.start, count: count)
        let scaled = w.indices.map { g[$0] * 0.75 + 0.25 * w[$0] }
        let first = w.indices.map { 0.9 * m[$0] + (1 - 0.9) * scaled[$0] }
        let second = w.indices.map { 0.999 * v[$0] + (1 - 0.999) * scaled[$0] * scaled[$0] }
        let expected = w.indices.map { 0.5 * w[$0] - Double(update.rate) * first[$0] / (second[$0].squareRoot() + 1e-8) }
        let size = w.indices.map { abs(w[$0]) + abs(g[$0]) }
        #expect(mismatch(state.first.values, first, tolerance: w.indices.map { 4 * ulp * (m[$0] + size[$0]) }) == nil)
        #expect(
            mismatch(state.second.values, second, tolerance: w.indices.map { 4 * ulp * (v[$0] + size[$0] * size[$0]) }) == nil)
        let step = w.indices.map { 1e-3 * (m[$0] + size[$0]) / second[$0].squareRoot() }
        #expect(
            mismatch(state.weights.values, expected, tolerance: w.indices.map { 6 * ulp * (abs(w[$0]) + step[$0]) }) == nil)
        #expect(state.isIntact)
    }

    @Test("an Adam step that neither scales nor decays has AdamUpdate's bits", arguments: counts)
    func neutral(count: Int) {
        let (plain, neutral) = (UpdateState(count: count, seed: 75), UpdateState(count: count, seed: 75))
        let update = AdamUpdate(rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8)
        update.apply(
            weights: plain.weights.start, firstMoment: plain.first.start, secondMoment: plain.second.start,
            gradient: plain.gradient.start, count: count)
        AdamDecay(update, scale: 1).apply(
            weights: neutral.weights.start, firstMoment: neutral.first.start, secondMoment: neutral.second.start,
            gradient: neutral.gradient.start, count: count)
        #expect(bitDifference(plain.weights.values, neutral.weights.values) == nil)
        #expect(bitDifference(plain.first.values, neutral.first.values) == nil)
        #expect(bitDifference(plain.second.values, neutral.second.values) == nil)
    }
}
