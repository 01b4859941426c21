import Memory
import Optimizers
import Testing
import TestOracle

private let ulp = Double(Float.ulpOfOne)

@Suite("RMSProp")
struct RMSPropTests {
    @Test("agrees with DeepPrior's formula in Double, also where the floor divides", arguments: [3.0, 1e-3], [1, 20, 200])
    func formula(bound: Double, steps: Int) throws {
        let rig = try OptimizerRig(OptimizerConfiguration(kind: .rmsprop, learningRate: 0.01))
        var oracle = OracleRMSProp(rate: 0.01, weights: rig.values.doubles)
        var values = TestValues(seed: 21)
        for _ in 0..<steps {
            let gradient = values.uniform(OptimizerRig.count, bound: bound)
            oracle.update(gradient)
            rig.step(gradient.floats)
        }
        let trained = OptimizerRig.table.parameters.filter(\.role.isTrained).flatMap(\.range)
        let (actual, expected) = (trained.map { rig.values[$0] }, trained.map { oracle.weights[$0] })
        // A weight is rounded once a step, this way and that; a step is right to four ulps of at most 3.2 rates.
        let drift = 4 * ulp * 0.032 * Double(steps)
        #expect(
            mismatch(
                actual, expected,
                tolerance: expected.map { (abs($0) + 1) * ulp * Double(steps).squareRoot() + drift }) == nil)
        let squares = trained.map { oracle.meanSquares[$0] }
        // A mean square forgets its roundings in ten steps.
        #expect(
            mismatch(trained.map { rig.state[$0] }, squares, tolerance: squares.map { 10 * ulp * ($0 + bound * bound) }) == nil)
    }

    @Test("a step over a range agrees with the formula in Double", arguments: UpdateState.counts)
    func range(count: Int) {
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

    @Test("keeps a mean square, bounds its steps, and updates stored gradients alone")
    func facts() throws {
        let rig = try OptimizerRig(OptimizerConfiguration(kind: .rmsprop))
        #expect(rig.optimizer.stateNames == ["ms"])
        #expect(rig.optimizer.configuration.weightDecay == 0)
        #expect(rig.optimizer.largestGrowth != nil)
        #expect(rig.optimizer.fusedUpdate(of: OptimizerRig.table["fc.weight"]) == nil)
    }
}

extension RMSProp: TestedOptimizer {
    static func oracle(_ weight: inout Double, _ state: inout [Double], _ step: OracleStep) {
        let gradient = step.gradient + step.decay * weight
        state[0] += (gradient * gradient - state[0]) * (1 - step.settings.rho)
        weight -= step.rate * gradient / max(state[0].squareRoot(), step.settings.floor)
    }
}
