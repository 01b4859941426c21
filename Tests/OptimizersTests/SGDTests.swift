import Memory
import Optimizers
import Testing
import TestOracle

private let ulp = Double(Float.ulpOfOne)

@Suite("SGD")
struct SGDTests {
    @Test("a step over a range agrees with the formula in Double", arguments: UpdateState.counts, [false, true])
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

    @Test("without a momentum buffer it is plain gradient descent, with the bits of a momentum of 0", arguments: UpdateState.counts)
    func plain(count: Int) {
        let (plain, zero) = (UpdateState(count: count, seed: 72), UpdateState(count: count, seed: 72))
        let update = MomentumUpdate(rate: 0.1, momentum: 0, decay: 0.01)
        update.apply(weights: plain.weights.start, buffer: nil, gradient: plain.gradient.start, count: count, scale: 0.3)
        update.apply(
            weights: zero.weights.start, buffer: zero.first.start, gradient: zero.gradient.start, count: count, scale: 0.3)
        #expect(bitDifference(plain.weights.values, zero.weights.values) == nil)
        #expect(plain.isIntact && zero.isIntact)
    }

    @Test("keeps a momentum unless that is 0, gives no bound of its steps, and updates stored gradients alone")
    func facts() throws {
        let rig = try OptimizerRig(OptimizerConfiguration(kind: .sgd))
        #expect(rig.optimizer.stateNames == ["momentum"])
        #expect(OptimizerConfiguration(kind: .sgd, momentum: 0).stateNames.isEmpty)
        #expect(rig.optimizer.configuration.weightDecay == 0)
        #expect(rig.optimizer.largestGrowth == nil)
        #expect(rig.optimizer.fusedUpdate(of: OptimizerRig.table["fc.weight"]) == nil)
    }

    @Test("Nesterov's form without momentum is refused, of SGD alone")
    func nesterov() {
        let nesterov = OptimizerConfiguration(kind: .sgd, momentum: 0, nesterov: true)
        #expect(nesterov.problem?.hasPrefix("--nesterov without momentum") == true)
        #expect(OptimizerConfiguration(kind: .adam, momentum: 0, nesterov: true).problem == nil)
    }
}

extension SGD: TestedOptimizer {
    static func oracle(_ weight: inout Double, _ state: inout [Double], _ step: OracleStep) {
        let momentum = step.settings.momentum
        let gradient = step.gradient + step.decay * weight
        guard momentum > 0 else {
            weight -= step.rate * gradient
            return
        }
        state[0] = momentum * state[0] + gradient
        weight -= step.rate * (step.settings.nesterov ? gradient + momentum * state[0] : state[0])
    }
}
