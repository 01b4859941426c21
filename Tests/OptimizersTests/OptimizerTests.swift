import Kernels
import Memory
import Optimizers
import System
import Testing
import TestOracle

@Suite("Every optimiser")
struct OptimizerTests {
    /// Each of 20 steps rounds a weight by half an ulp, and is itself right to a few ulps of the largest weight; so is a state.
    @Test("takes the steps of its formula in Double, with the rate and the decay of each role", arguments: allSettings)
    func definition(_ settings: OptimizerConfiguration) throws {
        guard let type = settings.kind.type as? any TestedOptimizer.Type else {
            Issue.record("no formula of \(settings.kind.rawValue) here; hint: make its class a TestedOptimizer in a file of its tests")
            return
        }
        let rig = try OptimizerRig(settings)
        let parameters = OptimizerRig.table.parameters.filter(\.role.isTrained)
        var weights = rig.values.doubles
        var states = [[Double]](repeating: [Double](repeating: 0, count: settings.stateNames.count), count: OptimizerRig.count)
        for (step, gradient) in OptimizerRig.gradients(steps: 20).enumerated() {
            let rate = step < 10 ? 0.01 : 0.003
            rig.step(gradient, rate: rate)
            for parameter in parameters {
                let multiplier =
                    switch parameter.role {
                    case .bias: settings.biasRateMultiplier
                    case .normalization: settings.normalizationRateMultiplier
                    default: 1.0
                    }
                let decay = parameter.role == .weight ? settings.weightDecay : 0
                for index in parameter.range {
                    let taken = OracleStep(
                        number: step + 1, gradient: Double(gradient[index]), rate: rate * multiplier, decay: decay, settings: settings)
                    type.oracle(&weights[index], &states[index], taken)
                }
            }
        }
        let (found, places) = (rig.values, parameters.flatMap(\.range))
        let (actual, expected) = (places.map { found[$0] }, places.map { weights[$0] })
        let ulp = Double(Float.ulpOfOne)
        #expect(mismatch(actual, expected, tolerance: expected.map { 40 * ulp * max(1, abs($0)) }) == nil)
        for (number, name) in settings.stateNames.enumerated() {
            let (actual, expected) = (places.map { rig.optimizer.state(number)[$0] }, places.map { states[$0][number] })
            #expect(mismatch(actual, expected, tolerance: 40 * ulp * expected.magnitudes.max()!) == nil, "\(name)")
        }
    }

    @Test("gives the same bits however the arena is cut, in any order", arguments: allSettings, [1, 7, 16, 50])
    func pieces(_ settings: OptimizerConfiguration, size: Int) throws {
        let (whole, cut) = (try OptimizerRig(settings), try OptimizerRig(settings))
        for gradient in OptimizerRig.gradients(steps: 3) {
            whole.step(gradient)
            cut.optimizer.beginStep()
            for start in stride(from: 0, to: OptimizerRig.count, by: size).reversed() {
                let range = start..<min(start + size, OptimizerRig.count)
                gradient.withUnsafeBufferPointer { cut.optimizer.apply(range, gradient: $0.baseAddress! + start) }
            }
        }
        #expect(bitDifference(whole.values, cut.values) == nil)
        #expect(bitDifference(whole.state, cut.state) == nil)
    }

    @Test("gives the same bits with any number of threads", arguments: allSettings)
    func threads(_ settings: OptimizerConfiguration) throws {
        // Two blocks of the team's and a part.
        let table = ParameterTable([ParameterDeclaration("w", [150_001])])
        var results: [[Float]] = []
        for threads in 1...4 {
            let arena = try Arena(
                capacity: settings.bytes(holding: HeldRanges(all: table)) + Arena.bytes(Float.self, count: table.count))
            let weights = arena.carve(Float.self, count: table.count)
            for index in weights.indices { weights[index] = Float(index % 97) }
            let optimizer = settings.make(weights: weights.baseAddress!, table: table, arena: arena)
            let gradient = (0..<table.count).map { Float($0 % 61 - 30) / 16 }
            optimizer.beginStep()
            optimizer.apply(0..<table.count, gradient: gradient, scale: 0.3, team: try WorkerTeam(count: threads))
            results.append(Array(weights))
        }
        #expect(results[0] != (0..<table.count).map { Float($0 % 97) })
        for result in results.dropFirst() { #expect(bitDifference(results[0], result) == nil) }
    }

    @Test("leaves statistics and constants and their state alone, and changes all else", arguments: allSettings)
    func roles(_ settings: OptimizerConfiguration) throws {
        let rig = try OptimizerRig(settings)
        let before = rig.values
        // One step: two of a sign each may take each other back.
        for gradient in OptimizerRig.gradients(steps: 1) { rig.step(gradient) }
        let (after, state) = (rig.values, rig.state)
        for parameter in OptimizerRig.table.parameters {
            for index in parameter.range {
                #expect((after[index] != before[index]) == parameter.role.isTrained, "\(parameter.name)")
                for kind in rig.optimizer.stateNames.indices {
                    #expect((state[kind * OptimizerRig.count + index] != 0) == parameter.role.isTrained, "\(parameter.name)")
                }
            }
        }
    }

    @Test("decays weights alone", arguments: OptimizerKind.allCases)
    func decay(kind: OptimizerKind) throws {
        let rig = try OptimizerRig(OptimizerConfiguration(kind: kind, learningRate: 1e-5, weightDecay: 0.5))
        let before = rig.values
        rig.step([Float](repeating: 0, count: OptimizerRig.count))
        for parameter in OptimizerRig.table.parameters {
            for index in parameter.range {
                let isSmaller = abs(rig.values[index]) < abs(before[index])
                #expect(isSmaller == (parameter.role == .weight), "\(parameter.name)")
                #expect(isSmaller || rig.values[index] == before[index])
            }
        }
    }

    @Test("a scaled gradient is the gradient times the scale", arguments: allSettings)
    func scale(_ settings: OptimizerConfiguration) throws {
        let (scaled, multiplied) = (try OptimizerRig(settings), try OptimizerRig(settings))
        for gradient in OptimizerRig.gradients(steps: 3) {
            scaled.step(gradient, scale: 0.37)
            multiplied.step(gradient.map { $0 * 0.37 })
        }
        #expect(bitDifference(scaled.values, multiplied.values) == nil)
        #expect(bitDifference(scaled.state, multiplied.state) == nil)
    }

    @Test("a rate multiplier of a role is that role's rate", arguments: OptimizerKind.allCases)
    func multiplier(kind: OptimizerKind) throws {
        let base = OptimizerConfiguration(kind: kind, learningRate: 0.25, weightDecay: 0)
        let rig = try OptimizerRig(
            OptimizerConfiguration(
                kind: kind, learningRate: 0.25, weightDecay: 0, biasRateMultiplier: 2, normalizationRateMultiplier: 0))
        let (slow, fast) = (try OptimizerRig(base), try OptimizerRig(base))
        for gradient in OptimizerRig.gradients(steps: 3) {
            rig.step(gradient)
            slow.step(gradient)
            fast.step(gradient, rate: 0.5)
        }
        let initial = try OptimizerRig(base).values
        for parameter in OptimizerRig.table.parameters where parameter.role.isTrained {
            let like = parameter.role == .bias ? fast.values : parameter.role == .weight ? slow.values : initial
            #expect(bitDifference(Array(rig.values[parameter.range]), Array(like[parameter.range])) == nil, "\(parameter.name)")
        }
    }

    @Test("on a part of the arena does what it does there on all of it", arguments: allSettings)
    func held(_ settings: OptimizerConfiguration) throws {
        let held = HeldRanges([3..<40, 50..<52, 70..<OptimizerRig.count - 5])
        let (whole, part) = (try OptimizerRig(settings), try OptimizerRig(settings, holding: held))
        let before = part.values
        for gradient in OptimizerRig.gradients(steps: 3) {
            whole.step(gradient)
            part.optimizer.beginStep()
            for range in held.ranges {
                gradient.withUnsafeBufferPointer { part.optimizer.apply(range, gradient: $0.baseAddress! + range.lowerBound) }
            }
        }
        for index in 0..<OptimizerRig.count {
            let isHeld = held.ranges.contains { $0.contains(index) }
            #expect(part.values[index] == (isHeld ? whole.values[index] : before[index]))
        }
    }

    @Test("goes on from its state and number of steps with the same bits", arguments: allSettings)
    func resume(_ settings: OptimizerConfiguration) throws {
        let (steady, resumed) = (try OptimizerRig(settings), try OptimizerRig(settings))
        let gradients = OptimizerRig.gradients(steps: 9)
        for gradient in gradients.prefix(5) { steady.step(gradient, rate: 0.02) }
        for (index, value) in steady.values.enumerated() { resumed.weights[index] = value }
        for kind in steady.optimizer.stateNames.indices {
            resumed.optimizer.state(kind).update(from: steady.optimizer.state(kind), count: steady.optimizer.held.count)
        }
        resumed.optimizer.restore(step: 5)
        for gradient in gradients.suffix(4) {
            steady.step(gradient)
            resumed.step(gradient)
        }
        #expect(resumed.optimizer.step == 9)
        #expect(bitDifference(steady.values, resumed.values) == nil)
        #expect(bitDifference(steady.state, resumed.state) == nil)
    }

    @Test("no weight grows by more than the bound it gives", arguments: allSettings, [0.5, 0.9, 0.9009, 1, 1.2, 30])
    func growthBound(_ settings: OptimizerConfiguration, growth: Double) throws {
        let rig = try OptimizerRig(settings)
        // Which of them give a bound is for their own tests.
        guard rig.optimizer.largestGrowth != nil else { return }
        let trained = OptimizerRig.table.parameters.filter(\.role.isTrained).flatMap(\.range)
        var (gradient, largest) = (1e-6, 0.0)
        for step in 0..<60 {
            let (before, rate) = (rig.values, step == 30 ? 0.03 : 0.01)
            rig.step([Float](repeating: Float(gradient) * (step % 7 == 6 ? -1 : 1), count: OptimizerRig.count), rate: rate)
            let bound = try #require(rig.optimizer.largestGrowth)
            for index in trained {
                let change = Double(abs(rig.values[index])) - Double(abs(before[index]))
                #expect(change <= bound)
                largest = max(largest, change / bound)
            }
            gradient = min(gradient * growth, 1e15)
        }
        if growth == 30, settings.weightDecay == 0 { #expect(largest > 0.1, "the gradients do not try the bound") }
    }

    @Test("the bytes are those of the state", arguments: OptimizerKind.allCases)
    func bytes(kind: OptimizerKind) {
        let held = HeldRanges([0..<10, 20..<50])
        let settings = OptimizerConfiguration(kind: kind)
        #expect(Set(settings.stateNames).count == settings.stateNames.count)
        // A page more for each state, so that none begins where another does.
        #expect(settings.bytes(holding: held) == settings.stateNames.count * Arena.bytes(Float.self, count: held.count + 1_024))
    }

    @Test("a fused update gives the same bits as a stored one", arguments: allSettings)
    func fused(_ settings: OptimizerConfiguration) throws {
        let (stored, fused) = (try OptimizerRig(settings), try OptimizerRig(settings))
        let parameter = OptimizerRig.table["fc.weight"]
        for gradient in OptimizerRig.gradients(steps: 3) {
            stored.step(gradient)
            fused.optimizer.beginStep()
            // Which of them can is for their own tests.
            guard let immediate = fused.optimizer.fusedUpdate(of: parameter) else { return }
            let tile = Array(gradient[parameter.range])
            immediate.update.apply(
                weights: immediate.weights, firstMoment: immediate.firstMoment, secondMoment: immediate.secondMoment,
                gradient: tile, count: parameter.count)
        }
        #expect(bitDifference(Array(stored.values[parameter.range]), Array(fused.values[parameter.range])) == nil)
    }

    @Test("NaN in a gradient stays where it is", arguments: allSettings, [0, 34, 48, 56, 65, 82, 97, 210])
    func nan(_ settings: OptimizerConfiguration, place: Int) throws {
        let rig = try OptimizerRig(settings)
        var gradient = OptimizerRig.gradients(steps: 1)[0]
        gradient[place] = .nan
        rig.step(gradient, scale: 0.5)
        let isTrained = OptimizerRig.table.parameters.contains { $0.range.contains(place) && $0.role.isTrained }
        for index in 0..<OptimizerRig.count { #expect(rig.values[index].isNaN == (isTrained && index == place)) }
    }
}

@Suite("An optimiser's settings")
struct OptimizerConfigurationTests {
    @Test("the defaults of every kind are sound", arguments: OptimizerKind.allCases)
    func sound(kind: OptimizerKind) {
        #expect(OptimizerConfiguration(kind: kind).problem == nil)
    }

    @Test("a bad value is refused in one line that names its flag and ends in a hint")
    func bad() {
        let changes: [(flag: String, change: (inout OptimizerConfiguration, Double) -> Void, good: Double)] = [
            ("learning-rate", { $0.learningRate = $1 }, 0.1), ("beta1", { $0.beta1 = $1 }, 0.5), ("beta2", { $0.beta2 = $1 }, 0.5),
            ("epsilon", { $0.epsilon = $1 }, 1e-3), ("momentum", { $0.momentum = $1 }, 0.5), ("rho", { $0.rho = $1 }, 0.5),
            ("rms-floor", { $0.floor = $1 }, 0.5), ("weight-decay", { $0.weightDecay = $1 }, 0.5),
            ("bias-rate-multiplier", { $0.biasRateMultiplier = $1 }, 2),
            ("normalization-rate-multiplier", { $0.normalizationRateMultiplier = $1 }, 0),
        ]
        for (flag, change, good) in changes {
            for value in [-1, .nan, .infinity, 1e300] {
                var settings = OptimizerConfiguration()
                change(&settings, value)
                let problem = settings.problem ?? ""
                #expect(problem.hasPrefix("--\(flag) is \(value); hint: "), "\(flag) \(value): \(problem)")
                #expect(!problem.contains("\n"))
            }
            var settings = OptimizerConfiguration()
            change(&settings, good)
            #expect(settings.problem == nil)
        }
    }
}
