import Kernels
import Testing
import TestOracle

private let ulp = Double(Float.ulpOfOne)

@Suite("Steps of Adam with decay over a range")
struct OptimizerUpdateTests {
    @Test("a decaying Adam step agrees with the formula in Double", arguments: UpdateState.counts)
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

    @Test("an Adam step that neither scales nor decays has AdamUpdate's bits", arguments: UpdateState.counts)
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
