import Collectives
import Foundation
import Layers
import Memory
import Networks
import System
import Testing
import TestOracle

/// Whole networks, small, against the definitions in Double.
@Suite("Whole networks")
struct WholeNetworkTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let description: NetworkDescription
        /// Relative distance allowed of the slope along the gradient.
        var slopeTolerance = 16_384 * Double(Float.ulpOfOne)
        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case(name: "deepprior", description: .deepPrior(size: 48)), Case(name: "ren", description: .ren(size: 16, units: 24)),
        // Its joints' features differ little from pixel to pixel, and normalisation makes much of what is rounded in them.
        Case(name: "dense", description: .dense(size: 64), slopeTolerance: 0.05), Case(name: "dtrain-hand", description: .hand(size: 24)),
    ]

    private static let samples = 3

    private final class Rig {
        let network: Network
        let description: NetworkDescription
        let frames: GuardedBuffer<Float>
        let labels: GuardedBuffer<Float>
        let positions: [UInt64] = [11, 12, 13]
        let team: WorkerTeam

        /// - Parameter sharp: joints that vote for few pixels, so that the features of pixels differ.
        init(_ description: NetworkDescription, threads: Int = 2, sharp: Bool = false) throws {
            self.description = description
            team = try WorkerTeam(count: threads, spins: 0)
            let setting = Network.Setting(maximumSamples: samples)
            let arena = try Arena(capacity: Network.bytes(description, setting, threads: threads))
            network = Network(description, setting, team: team, communicator: Solo(), arena: arena)
            network.pass.seed = 5
            var random = TestValues(seed: 8)
            frames = GuardedBuffer(random.uniform(samples * description.input.count))
            labels = GuardedBuffer(random.uniform(samples * NetworkDescription.outputs, bound: 0.5))
            let components = (0..<30).map { _ in random.uniform(48, bound: 0.2).floats }
            let poses = PoseStatistics(mean: random.uniform(48, bound: 0.5).floats, components: components)
            description.initialize(network.parameters, seed: 3, team: team, poses: poses)
            // Convolutions before a normalisation begin so small that rounding would be compared: make all weights like.
            for parameter in network.table.parameters where parameter.role == .weight {
                let values = network.parameters + parameter.range.lowerBound
                let mean = (0..<parameter.count).reduce(0) { $0 + Double(values[$1]) * Double(values[$1]) } / Double(parameter.count)
                let inputs = parameter.shape.dropLast().reduce(1, *)
                let gain = sharp && parameter.name.hasSuffix("scores.weight") ? 50 : 1.5
                let factor = Float((gain / Double(inputs) / mean).squareRoot())
                for index in 0..<parameter.count { values[index] *= factor }
            }
            // Blocks that begin as their skips would pass no gradient on.
            for parameter in network.table.parameters where parameter.name.hasSuffix("-norm.scale") {
                for index in parameter.range { network.parameters[index] = 1 }
            }
            network.weightsChanged()
        }

        var parameters: [String: [Double]] {
            Dictionary(
                uniqueKeysWithValues: network.table.parameters.map { parameter in
                    (parameter.name, (0..<parameter.count).map { Double(network.parameters[parameter.range.lowerBound + $0]) })
                })
        }

        /// Outputs of the definition, those on the way first.
        func oracle(_ parameters: [String: [Double]], isTraining: Bool) -> [[Double]] {
            let frames = frames.values.doubles
            var oracle = OracleLayers(
                parameters: parameters, samples: samples, isTraining: isTraining, frames: (description.input, frames),
                positions: positions)
            let y = oracle.run(description.layers, frames, description.input)
            return oracle.intermediates + [y]
        }

        func loss(_ outputs: [[Double]]) -> Double {
            let (labels, weights) = (labels.values.doubles, description.intermediateWeights + [1])
            return zip(outputs, weights).reduce(0) { sum, pair in
                sum + pair.1 * zip(pair.0, labels).reduce(0) { $0 + WholeNetworkTests.error($1.0 - $1.1, description.loss) }
            }
        }
    }

    private static func error(_ x: Double, _ loss: Loss) -> Double {
        switch loss.kind {
        case .meanSquared: return x * x
        case .smoothL1:
            let edge = 1 / (loss.sigma * loss.sigma)
            return abs(x) < edge ? 0.5 * loss.sigma * loss.sigma * x * x : abs(x) - 0.5 * edge
        case .huber: return abs(x) < loss.delta ? 0.5 * x * x : loss.delta * (abs(x) - 0.5 * loss.delta)
        }
    }

    /// Errors add up over some dozens of layers, whose normalisations divide by deviations of few samples.
    private static let tolerance = 4096 * Double(Float.ulpOfOne)

    @Test("Outputs, loss and gradient are those of the definition", arguments: cases)
    func gradient(_ network: Case) throws {
        let rig = try Rig(network.description, sharp: true)
        let parameters = rig.parameters
        let y = try rig.positions.withUnsafeBufferPointer {
            try rig.network.forward(input: rig.frames.start, samples: Self.samples, positions: $0)
        }
        let found = Array(UnsafeBufferPointer(start: y, count: Self.samples * NetworkDescription.outputs))
        let expected = rig.oracle(parameters, isTraining: true)
        // What weights changed by half an ulp change, many times over, as every layer rounds.
        var random = TestValues(seed: 21)
        let shaken = parameters.mapValues { values in
            zip(values, random.uniform(values.count, bound: 0.5 * Double(Float.ulpOfOne))).map { $0 * (1 + $1) }
        }
        let sensitivity = zip(rig.oracle(shaken, isTraining: true).last!, expected.last!).map { abs($0 - $1) }.max()!
        let tolerance = max(Self.tolerance * max(1, expected.last!.magnitudes.max()!), 64 * sensitivity)
        #expect(tolerance < 0.05)
        #expect(mismatch(found, expected.last!, tolerance: tolerance) == nil)
        let loss = rig.loss(expected)
        #expect(abs(rig.network.lossSum(labels: rig.labels.start, samples: Self.samples) - loss) < network.slopeTolerance * loss)

        // Along the gradient g found, the loss must rise by |g|² a unit: a wrong g would not be the direction's slope.
        try rig.positions.withUnsafeBufferPointer { places in
            rig.network.pass.positions = places
            try rig.network.backward(labels: rig.labels.start, scale: 1, sink: NotingSink())
        }
        let gradients = rig.network.table.parameters.filter(\.role.isTrained).map { parameter in
            (parameter.name, (0..<parameter.count).map { Double(rig.network.gradients[parameter.range.lowerBound + $0]) })
        }
        // Each parameter's own part has the length 1, so that all count.
        var slope = 0.0
        var direction: [String: [Double]] = [:]
        for (name, gradient) in gradients {
            let length = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
            #expect(length.isFinite, "\(name)")
            guard length > 0 else { continue }
            direction[name] = gradient.map { $0 / length }
            slope += length
        }
        func moved(by step: Double) -> Double {
            var parameters = parameters
            for (name, way) in direction { parameters[name] = zip(parameters[name]!, way).map { $0 + step * $1 } }
            return rig.loss(rig.oracle(parameters, isTraining: true))
        }
        let step = 1e-7
        let risen = (moved(by: step) - moved(by: -step)) / (2 * step)
        #expect(abs(risen - slope) < network.slopeTolerance * slope, "\(risen) instead of \(slope); sensitivity \(sensitivity)")
    }

    @Test("A prediction's bits are its frame's and the weights' own", arguments: cases)
    func prediction(_ network: Case) throws {
        let (rig, other) = (try Rig(network.description), try Rig(network.description, threads: 1))
        let width = NetworkDescription.outputs
        let whole = Array(
            UnsafeBufferPointer(
                start: try rig.network.predict(input: rig.frames.start, samples: Self.samples), count: Self.samples * width))
        let expected = rig.oracle(rig.parameters, isTraining: false).last!
        #expect(mismatch(whole, expected, tolerance: Self.tolerance * max(1, expected.magnitudes.max()!)) == nil)
        for sample in 0..<Self.samples {
            let y = try other.network.predict(input: rig.frames.start + sample * network.description.input.count, samples: 1)
            let alone = Array(UnsafeBufferPointer(start: y, count: width))
            #expect(bitDifference(alone, Array(whole[sample * width..<(sample + 1) * width])) == nil, "sample \(sample)")
        }
    }
}
