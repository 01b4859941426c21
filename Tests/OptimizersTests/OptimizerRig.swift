import Memory
import Optimizers
import Testing
import TestOracle

/// Weights of all roles, an optimiser, and the memory they live in.
struct OptimizerRig {
    static let table = ParameterTable([
        ParameterDeclaration("conv.weight", [5, 7]), ParameterDeclaration("conv.bias", [9], role: .bias),
        ParameterDeclaration("norm.mean", [4], role: .statistic), ParameterDeclaration("norm.scale", [3], role: .normalization),
        ParameterDeclaration("basis", [2], role: .constant), ParameterDeclaration("basis.none", [0], role: .bias),
        ParameterDeclaration("fc.weight", [11, 9], isTiled: true),
    ])
    static var count: Int { table.count }

    let arena: Arena
    let weights: UnsafeMutablePointer<Float>
    let optimizer: any Optimizer

    init(_ configuration: OptimizerConfiguration, holding held: HeldRanges? = nil, seed: UInt64 = 7) throws {
        let table = Self.table
        let state = configuration.bytes(holding: held ?? HeldRanges(all: table))
        arena = try Arena(capacity: state + Arena.bytes(Float.self, count: table.count))
        weights = arena.carve(Float.self, count: table.count).baseAddress!
        var values = TestValues(seed: seed)
        let initial = values.uniform(table.count)
        for parameter in table.parameters { for index in parameter.range { weights[index] = Float(initial[index]) } }
        optimizer = configuration.make(weights: weights, table: table, holding: held, arena: arena)
    }

    var values: [Float] { Array(UnsafeBufferPointer(start: weights, count: Self.count)) }

    /// All state, one name after the other.
    var state: [Float] {
        optimizer.stateNames.indices.flatMap {
            UnsafeBufferPointer(start: optimizer.state($0), count: optimizer.held.count)
        }
    }

    /// Gradients of `steps` steps, 0 in the padding.
    static func gradients(steps: Int, seed: UInt64 = 8) -> [[Float]] {
        var values = TestValues(seed: seed)
        return (0..<steps).map { _ in
            var gradient = [Float](repeating: 0, count: count)
            let all = values.uniform(count, bound: 3).floats
            for parameter in table.parameters { for index in parameter.range { gradient[index] = all[index] } }
            return gradient
        }
    }

    func step(_ gradient: [Float], rate: Double? = nil, scale: Float = 1) {
        optimizer.beginStep(rate: rate ?? optimizer.configuration.learningRate)
        optimizer.apply(0..<Self.count, gradient: gradient, scale: scale)
    }
}

/// Settings that reach every code path of every optimiser.
let allSettings: [OptimizerConfiguration] =
    OptimizerKind.allCases.flatMap { kind in
        [
            OptimizerConfiguration(kind: kind, learningRate: 0.01, weightDecay: 0),
            OptimizerConfiguration(
                kind: kind, learningRate: 0.01, nesterov: true, weightDecay: 0.05, biasRateMultiplier: 2,
                normalizationRateMultiplier: 0.5),
        ]
    } + [OptimizerConfiguration(kind: .sgd, learningRate: 0.01, momentum: 0, weightDecay: 0.05)]

extension OptimizerConfiguration: CustomTestStringConvertible {
    package var testDescription: String { "\(kind), momentum \(momentum), decay \(weightDecay), bias x\(biasRateMultiplier)" }
}
