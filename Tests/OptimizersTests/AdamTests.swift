import Memory
import Optimizers
import System
import Testing
import TestOracle

@Suite("Adam")
struct AdamTests {
    /// Weights, Adam and the memory they live in.
    private struct Rig {
        let table = ParameterTable([ParameterDeclaration("a", [37]), ParameterDeclaration("b", [11, 9], isTiled: true)])
        let arena: Arena
        let weights: UnsafeMutablePointer<Float>
        let adam: Adam

        init(_ configuration: Adam.Configuration = Adam.Configuration(), initial: [Double] = []) throws {
            arena = try Arena(capacity: Adam.bytes(for: table) + Arena.bytes(Float.self, count: table.count))
            weights = arena.carve(Float.self, count: table.count).baseAddress!
            for (index, value) in initial.enumerated() { weights[index] = Float(value) }
            adam = Adam(configuration: configuration, weights: weights, table: table, arena: arena)
        }

        func values(_ pointer: UnsafeMutablePointer<Float>) -> [Float] { (0..<table.count).map { pointer[$0] } }
    }

    @Test("defaults are the question's")
    func defaults() {
        let configuration = Adam.Configuration()
        #expect(configuration.learningRate == 1e-4)
        #expect(configuration.beta1 == 0.9 && configuration.beta2 == 0.999 && configuration.epsilon == 1e-8)
    }

    @Test("keeps two moments, bounds its steps, and can be fused where nothing decays")
    func facts() throws {
        let rig = try OptimizerRig(OptimizerConfiguration(kind: .adam))
        #expect(rig.optimizer.stateNames == ["m", "v"])
        #expect(rig.optimizer.configuration.weightDecay == 0)
        #expect(rig.optimizer.largestGrowth != nil)
        let parameter = OptimizerRig.table["fc.weight"]
        #expect(rig.optimizer.fusedUpdate(of: parameter) != nil)
        let decaying = try OptimizerRig(OptimizerConfiguration(kind: .adam, weightDecay: 0.1))
        #expect(decaying.optimizer.fusedUpdate(of: parameter) == nil)
    }

    /// A step changes a weight by at most a few rates, and is itself right to a few ulps; a weight near 1 is rounded by half
    /// an ulp each step, this way and that.
    @Test("agrees with TensorFlow 1's formula in Double over many steps", arguments: [1e-4, 1e-2], [1, 10, 300])
    func manySteps(learningRate: Double, steps: Int) throws {
        var values = TestValues(seed: 101)
        let probe = try Rig()
        let count = probe.table.count
        let initial = values.uniform(count)
        let rig = try Rig(Adam.Configuration(learningRate: learningRate), initial: initial)
        var oracle = OracleAdam(learningRate: learningRate, weights: initial)
        for _ in 0..<steps {
            let gradient = values.uniform(count, bound: 3)
            oracle.update(gradient)
            rig.adam.beginStep()
            rig.adam.apply(0..<count, gradient: gradient.floats)
        }
        #expect(rig.adam.step == steps)
        let ulp = Double(Float.ulpOfOne)
        // Each step, of about a rate at most, is right to a few ulps.
        let drift = learningRate * Double(steps) * 4 * ulp
        #expect(
            mismatch(
                rig.values(rig.weights), oracle.weights,
                tolerance: oracle.weights.map { (abs($0) + 1) * ulp * Double(steps).squareRoot() + drift }) == nil)
        #expect(
            mismatch(rig.values(rig.adam.firstMoments), oracle.firstMoments, tolerance: 8 * ulp * 3) == nil)
        // A second moment is rounded once a step; a new gradient's share of it is at most 0.001 · 3².
        let roundings = 2 + Double(steps).squareRoot() / 2
        #expect(
            mismatch(
                rig.values(rig.adam.secondMoments), oracle.secondMoments,
                tolerance: oracle.secondMoments.map { ($0 + 9e-3) * roundings * ulp }) == nil)
    }

    @Test("the first step is one rate against the gradient's sign, whatever its size")
    func firstStep() throws {
        let rig = try Rig(Adam.Configuration(learningRate: 0.5))
        rig.adam.beginStep()
        let gradients: [Float] = [1e-3, -1e-3, 1, -1, 1000, -1000, 0]
        rig.adam.apply(0..<7, gradient: gradients)
        for (index, gradient) in gradients.enumerated() {
            let expected: Float = gradient == 0 ? 0 : gradient > 0 ? -0.5 : 0.5
            // sqrt(v) + epsilon: 1e-8 of 3e-5 for the smallest gradient.
            #expect(abs(rig.weights[index] - expected) <= 0.5 * 4e-4, "\(gradient)")
        }
        #expect(rig.weights[7] == 0)
    }

    @Test("tile by tile in any order gives the same bits as at once")
    func tiles() throws {
        var values = TestValues(seed: 102)
        let count = try Rig().table.count
        let initial = values.uniform(count)
        let (whole, tiled) = (try Rig(initial: initial), try Rig(initial: initial))
        for step in 0..<5 {
            let gradient = values.uniform(count).floats
            whole.adam.beginStep()
            tiled.adam.beginStep()
            whole.adam.apply(0..<count, gradient: gradient)
            let ranges = stride(from: 0, to: count, by: 9 + step).map { $0..<min(count, $0 + 9 + step) }
            for range in ranges.reversed() { tiled.adam.apply(range, gradient: Array(gradient[range])) }
        }
        #expect(bitDifference(whole.values(whole.weights), tiled.values(tiled.weights)) == nil)
        #expect(bitDifference(whole.values(whole.adam.firstMoments), tiled.values(tiled.adam.firstMoments)) == nil)
        #expect(bitDifference(whole.values(whole.adam.secondMoments), tiled.values(tiled.adam.secondMoments)) == nil)
    }

    @Test("going on from saved moments and step gives the same bits as never stopping", arguments: [1, 7, 20_000])
    func restore(stop: Int) throws {
        var values = TestValues(seed: 103)
        let count = try Rig().table.count
        let initial = values.uniform(count)
        let gradients = (0..<3).map { _ in values.uniform(count).floats }
        let steady = try Rig(initial: initial)
        for step in 0..<stop {
            steady.adam.beginStep()
            steady.adam.apply(0..<count, gradient: gradients[step % 3])
        }
        let resumed = try Rig(initial: steady.values(steady.weights).doubles)
        for index in 0..<count {
            resumed.adam.firstMoments[index] = steady.adam.firstMoments[index]
            resumed.adam.secondMoments[index] = steady.adam.secondMoments[index]
        }
        resumed.adam.restore(step: stop)
        for rig in [steady, resumed] {
            for step in 0..<3 {
                rig.adam.beginStep()
                rig.adam.apply(0..<count, gradient: gradients[step])
            }
        }
        #expect(resumed.adam.step == stop + 3)
        #expect(bitDifference(resumed.values(resumed.weights), steady.values(steady.weights)) == nil)
    }

    @Test("a step late in a long run begins as fast as an early one")
    func lateSteps() throws {
        let adam = try Rig().adam
        adam.restore(step: 1_000_000)
        let start = Stopwatch.now
        for _ in 0..<1000 { adam.beginStep() }
        let seconds = Stopwatch.now - start
        #expect(seconds < 0.1, "\(seconds) s for 1,000 steps")
        #expect(adam.step == 1_001_000)
    }

    @Test("moments of a weight whose gradient stays 0 fade, and end in no number that is slow to compute with")
    func decay() throws {
        let team = try WorkerTeam(count: 1)
        let rig = try Rig()
        let count = rig.table.count
        let zero = [Float](repeating: 0, count: count)
        team.run { _ in
            rig.adam.beginStep()
            rig.adam.apply(0..<count, gradient: [Float](repeating: 1e-3, count: count))
            for _ in 0..<1000 {
                rig.adam.beginStep()
                rig.adam.apply(0..<count, gradient: zero)
            }
        }
        #expect(rig.values(rig.adam.firstMoments).allSatisfy { !$0.isSubnormal && $0 < 1e-36 })
        #expect(rig.values(rig.adam.secondMoments).allSatisfy { $0.isNormal })
    }

    @Test("numbers below the normal range are 0 to a step, on whatever thread it is taken")
    func subnormals() throws {
        let team = try WorkerTeam(count: 2)
        let rigs = [try Rig(), try Rig()]
        let count = rigs[0].table.count
        let gradient = (0..<count).map { $0 % 3 == 0 ? 0 : Float.leastNormalMagnitude * 64 / Float($0 % 50 + 1) }
        for (number, rig) in rigs.enumerated() {
            for _ in 0..<40 {
                rig.adam.beginStep()
                func apply() { rig.adam.apply(0..<count, gradient: gradient) }
                if number == 0 { apply() } else { team.run { if $0 == 0 { apply() } } }
            }
        }
        let moments = rigs.map { $0.values($0.adam.firstMoments) }
        #expect(bitDifference(moments[0], moments[1]) == nil)
        #expect(moments[0].allSatisfy { !$0.isSubnormal } && moments[0].contains { $0 != 0 })
        #expect(bitDifference(rigs[0].values(rigs[0].weights), rigs[1].values(rigs[1].weights)) == nil)
    }

    /// Gradients that pull as hard as they can, among them ones that grow in the ratio that the bound comes from.
    @Test("no weight changes by more than largestChange in a step", arguments: [0.5, 0.9, 0.9009, 0.95, 1, 1.2, 30])
    func largestChange(growth: Double) throws {
        for sign in [1.0, -1.0] {
            let rig = try Rig(Adam.Configuration(learningRate: 1e-2))
            var gradient = 1e-6
            var largest = 0.0
            for step in 0..<60 {
                let before = rig.values(rig.weights)
                rig.adam.beginStep()
                let value = Float(gradient) * (step % 7 == 6 ? Float(sign) : 1)
                rig.adam.apply(0..<rig.table.count, gradient: [Float](repeating: value, count: rig.table.count))
                for (old, new) in zip(before, rig.values(rig.weights)) { largest = max(largest, Double(abs(new - old))) }
                gradient = min(gradient * growth, 1e15)
            }
            #expect(largest > 0 && largest <= rig.adam.largestChange)
        }
    }
}

extension Adam: TestedOptimizer {
    static func oracle(_ weight: inout Double, _ state: inout [Double], _ step: OracleStep) {
        let settings = step.settings
        let gradient = step.gradient + step.decay * weight
        state[0] = settings.beta1 * state[0] + (1 - settings.beta1) * gradient
        state[1] = settings.beta2 * state[1] + (1 - settings.beta2) * gradient * gradient
        let correction = (1 - step.power(of: settings.beta2)).squareRoot() / (1 - step.power(of: settings.beta1))
        weight -= step.rate * correction * state[0] / (state[1].squareRoot() + settings.epsilon)
    }
}
