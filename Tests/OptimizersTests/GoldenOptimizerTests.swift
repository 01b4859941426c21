import Foundation
import Memory
import Optimizers
import Testing
import TestOracle

/// What `Scripts/reference/optimizers.py` wrote; its README says what each key is.
struct GoldenOptimizers: Decodable {
    let steps: Int
    let sizes: [Int]
    let rate, steps_per_epoch, base: Double
    let optimizers: [Case]
    let schedules: [Rates]

    struct Case: Decodable {
        let name: String
        let kind: OptimizerKind
        let momentum, decay, multiplier, epsilon: Double?
        let nesterov: Bool?
        let schedule: String?
        let snapshots: [[[Double]]]
        let state: [[[Double]]]

        func configuration(rate: Double) -> OptimizerConfiguration {
            OptimizerConfiguration(
                kind: kind, learningRate: rate, epsilon: epsilon ?? 1e-8, momentum: momentum ?? 0, nesterov: nesterov ?? false,
                weightDecay: decay ?? 0, biasRateMultiplier: multiplier ?? 1)
        }
    }

    struct Rates: Decodable {
        let text: String
        let rates: [Double]
    }

    static func load() throws -> GoldenOptimizers {
        let url = Bundle.module.url(forResource: "optimizers", withExtension: "json", subdirectory: "Golden")!
        return try JSONDecoder().decode(GoldenOptimizers.self, from: Data(contentsOf: url))
    }

    /// The tensor of this number: 16 binary digits an element, times `factor`.
    static func tensor(_ number: Int, count: Int, factor: Float) -> [Float] {
        (0..<count).map { index in
            let integer = (UInt64(index) &* 2_654_435_761 &+ UInt64(number * 40503 + 12345)) % (1 << 32)
            return (Float(integer >> 16) / 65536 - 0.5) * factor
        }
    }
}

@Suite("Against PyTorch in float64")
struct GoldenOptimizerTests {
    /// Each of 20 steps rounds a weight by half an ulp, and is itself right to a few ulps of the largest weight, at most 4.
    @Test("each optimiser takes PyTorch's 20 steps")
    func optimizers() throws {
        let golden = try GoldenOptimizers.load()
        #expect(Set(golden.optimizers.map(\.kind)).isSuperset(of: [.sgd, .adamw, .adam]))
        let roles: [ParameterRole] = [.weight, .bias, .normalization]
        let table = ParameterTable(zip(golden.sizes, roles).map { ParameterDeclaration($1.rawValue, [$0], role: $1) })
        let ulp = Double(Float.ulpOfOne)
        for example in golden.optimizers {
            let settings = example.configuration(rate: golden.rate)
            let schedule = try Schedule(parsing: example.schedule ?? "constant")
            let arena = try Arena(
                capacity: settings.bytes(holding: HeldRanges(all: table)) + Arena.bytes(Float.self, count: table.count))
            let weights = arena.carve(Float.self, count: table.count).baseAddress!
            for (number, parameter) in table.parameters.enumerated() {
                let values = GoldenOptimizers.tensor(number, count: parameter.count, factor: 2)
                for (index, value) in values.enumerated() { weights[parameter.range.lowerBound + index] = value }
            }
            let optimizer = settings.make(weights: weights, table: table, arena: arena)
            for step in 0..<golden.steps {
                optimizer.beginStep(
                    rate: schedule.rate(
                        step: step, stepsPerEpoch: golden.steps_per_epoch, totalSteps: golden.steps, base: golden.rate))
                for (number, parameter) in table.parameters.enumerated() {
                    let gradient = GoldenOptimizers.tensor(10 + 3 * step + number, count: parameter.count, factor: 4)
                    optimizer.apply(parameter.range, gradient: gradient, scale: 1)
                }
                guard step % 5 == 4 else { continue }
                for (parameter, expected) in zip(table.parameters, example.snapshots[step / 5]) {
                    let actual = parameter.range.map { weights[$0] }
                    let tolerance = expected.map { 20 * ulp * max(1, abs($0)) }
                    let problem = mismatch(actual, expected, tolerance: tolerance)
                    #expect(problem == nil, "\(example.name), \(parameter.name), step \(step + 1)")
                }
            }
            #expect(example.state.count == optimizer.stateNames.count)
            for (index, state) in example.state.enumerated() {
                for (parameter, expected) in zip(table.parameters, state) {
                    let actual = parameter.range.map { optimizer.state(index)[$0] }
                    // 20 roundings of a state, whose values and new gradients are below 4 times the largest.
                    let largest = max(1, expected.magnitudes.max()!)
                    #expect(
                        mismatch(actual, expected, tolerance: expected.map { _ in 20 * ulp * largest }) == nil,
                        "\(example.name), \(optimizer.stateNames[index]) of \(parameter.name)")
                }
            }
        }
    }

    /// PyTorch multiplies its rates on from step to step, a rounding or two each: 20 steps, 40 ulps.
    @Test("each schedule gives PyTorch's 20 rates")
    func schedules() throws {
        let golden = try GoldenOptimizers.load()
        #expect(golden.schedules.count == 17)
        for example in golden.schedules {
            let schedule = try Schedule(parsing: example.text)
            let rates = (0..<golden.steps).map {
                schedule.rate(step: $0, stepsPerEpoch: golden.steps_per_epoch, totalSteps: golden.steps, base: golden.base)
            }
            let tolerance = example.rates.map { _ in 40 * golden.base * Double.ulpOfOne }
            #expect(mismatch(rates, example.rates, tolerance: tolerance) == nil, "\(example.text)")
        }
    }
}
