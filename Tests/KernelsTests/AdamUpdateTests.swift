import Kernels
import Testing
import TestOracle

@Suite("One Adam step over a range")
struct AdamUpdateTests {
    static let update = AdamUpdate(rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8)

    /// Weights, moments and gradient of `count` elements.
    private struct State {
        let weights, first, second, gradient: GuardedBuffer<Float>
        init(count: Int, seed: UInt64) {
            var values = TestValues(seed: seed)
            weights = GuardedBuffer(values.uniform(count))
            first = GuardedBuffer(values.uniform(count))
            second = GuardedBuffer(values.uniform(count).magnitudes)
            gradient = GuardedBuffer(values.uniform(count, bound: 10))
        }
        func apply(_ range: Range<Int>) {
            AdamUpdateTests.update.apply(
                weights: weights.start + range.lowerBound, firstMoment: first.start + range.lowerBound,
                secondMoment: second.start + range.lowerBound, gradient: gradient.start + range.lowerBound,
                count: range.count)
        }
        var isIntact: Bool { weights.isIntact && first.isIntact && second.isIntact && gradient.isIntact }
    }

    @Test("agrees with the formula in Double", arguments: [0, 1, 7, 8, 9, 31, 100, 1000])
    func formula(count: Int) {
        let state = State(count: count, seed: 61)
        let (w, m, v) = (state.weights.values.doubles, state.first.values.doubles, state.second.values.doubles)
        let g = state.gradient.values.doubles
        let update = Self.update
        let (c1, c2) = (1 - 0.9, 1 - 0.999)
        let expectedFirst = m.indices.map { m[$0] + (g[$0] - m[$0]) * c1 }
        let expectedSecond = v.indices.map { v[$0] + (g[$0] * g[$0] - v[$0]) * c2 }
        let steps = m.indices.map {
            expectedFirst[$0] * Double(update.rate) / (expectedSecond[$0].squareRoot() + Double(update.epsilon))
        }
        let expected = w.indices.map { w[$0] - steps[$0] }
        state.apply(0..<count)
        // Each result is a handful of operations: 3 ulps of the largest term in it.
        let ulp = 3 * Double(Float.ulpOfOne)
        #expect(
            mismatch(state.first.values, expectedFirst, tolerance: m.indices.map { ulp * (abs(m[$0]) + abs(g[$0])) })
                == nil)
        #expect(
            mismatch(state.second.values, expectedSecond, tolerance: v.indices.map { ulp * (v[$0] + g[$0] * g[$0]) })
                == nil)
        let magnitudes = w.indices.map {
            abs(w[$0]) + Double(update.rate) * (abs(m[$0]) + abs(g[$0])) / expectedSecond[$0].squareRoot()
        }
        #expect(mismatch(state.weights.values, expected, tolerance: magnitudes.map { ulp * $0 }) == nil)
        #expect(state.isIntact)
    }

    @Test("the bits do not depend on how a range is cut", arguments: [1, 3, 8, 13, 64])
    func pieces(size: Int) {
        let (whole, cut) = (State(count: 203, seed: 62), State(count: 203, seed: 62))
        whole.apply(0..<203)
        for start in stride(from: 0, to: 203, by: size) { cut.apply(start..<min(203, start + size)) }
        #expect(bitDifference(whole.weights.values, cut.weights.values) == nil)
        #expect(bitDifference(whole.first.values, cut.first.values) == nil)
        #expect(bitDifference(whole.second.values, cut.second.values) == nil)
        #expect(cut.isIntact)
    }

    @Test("NaN in the gradient stays in weight and moments, and touches no neighbour", arguments: [0, 5, 8, 9])
    func nan(place: Int) {
        let state = State(count: 10, seed: 63)
        state.gradient.start[place] = .nan
        state.apply(0..<10)
        for index in 0..<10 {
            #expect(state.weights.values[index].isNaN == (index == place))
            #expect(state.first.values[index].isNaN == (index == place))
            #expect(state.second.values[index].isNaN == (index == place))
        }
    }

    @Test("a gradient of 0 at the start moves nothing")
    func zeroGradient() {
        let (w, zero) = (GuardedBuffer<Float>([1, 2, 3], outside: 0), [Float](repeating: 0, count: 3))
        let (m, v) = (GuardedBuffer(zero, outside: 9), GuardedBuffer(zero, outside: 9))
        Self.update.apply(weights: w.start, firstMoment: m.start, secondMoment: v.start, gradient: zero, count: 3)
        #expect(w.values == [1, 2, 3])
        #expect(m.values == zero && v.values == zero)
    }
}
