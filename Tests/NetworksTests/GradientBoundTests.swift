import Kernels
import Layers
import Memory
import Networks
import System
import Testing
import TestOracle

/// The bound that a step is judged by, before any weight changes, against the gradients that come out afterwards.
struct GradientBoundTests {
    private static let samples = 3

    /// What is wrong with the network or its labels.
    enum Damage: String, CaseIterable, CustomTestStringConvertible {
        case none, image, convolutionWeight, convolutionBias, dense1Weight, dense1Bias, dense2Weight, dense2Bias, label

        var testDescription: String { rawValue }

        var parameter: String? {
            switch self {
            case .convolutionWeight: "conv1.weight"
            case .convolutionBias: "conv1.bias"
            case .dense1Weight: "fc1.weight"
            case .dense1Bias: "fc1.bias"
            case .dense2Weight: "fc2.weight"
            case .dense2Bias: "fc2.bias"
            default: nil
            }
        }
    }

    private struct Outcome {
        let isRefused: Bool
        let largest: Double
        let bound: Double
    }

    /// A step of a small network with `value` at some places.
    private static func step(
        _ damage: Damage, value: Float, everywhere: Bool, head: OutputHead = .linear, pool: Int = 2, hidden: Int = 16,
        isSparse: Bool = false
    ) throws -> Outcome {
        let (height, width) = isSparse ? (24, 32) : (8, 12)
        let shape = WindowNetwork(height: height, width: width, pool: pool, hidden: hidden, head: head)
        let rig = try NetworkRig(shape, maximumSamples: samples, threads: 2)
        rig.initialize(seed: 4)
        var values = TestValues(seed: 9)
        var input = values.uniform(samples * height * width).floats
        // A patch near a corner is seen, the rest is background.
        if isSparse {
            for index in input.indices where !(1...8).contains(index % width) || !(1...8).contains(index / width % height) {
                input[index] = 0
            }
        }
        var labels = values.uniform(samples * shape.outputs, bound: 100).floats
        switch damage {
        case .none: break
        case .image: for index in everywhere ? 0..<input.count : width + 3..<width + 4 { input[index] = value }
        case .label: for index in everywhere ? 0..<labels.count : 60..<61 { labels[index] = value }
        default:
            let range = rig.network.table[damage.parameter!].range
            for index in everywhere ? range : range.lowerBound + 3..<range.lowerBound + 4 {
                rig.network.parameters[index] = value
            }
        }
        let team = try WorkerTeam(count: 2)
        let sink = CollectingSink(table: shape.table)
        rig.forward(input, samples: samples)
        #expect(rig.stem.isSparse == isSparse)
        let loss = rig.network.lossSum(labels: labels, samples: samples)
        try rig.network.beginBackward(labels: labels, scale: 1 / Float(labels.count))
        let bound = rig.network.gradientBound(
            samples: samples, largestWeight: rig.network.largestWeight(team: team))
        try rig.network.finishBackward(sink: sink)
        let gradients = shape.table.parameters.flatMap { sink.gradient($0.name) }
        let largest = gradients.contains { !$0.isFinite } ? Double.infinity : Double(gradients.map(abs).max()!)
        return Outcome(isRefused: !loss.isFinite || !(bound < Network.largestGradient), largest: largest, bound: bound)
    }

    /// Whatever gradient is not finite, or has no finite square, was seen coming; and no gradient exceeds the bound.
    @Test(
        arguments: Damage.allCases,
        [Float.nan, .infinity, -.infinity, 3e38, -3e38, 1e30, 1e20, -1e20, 1e12, 1e6])
    func noGradientThatIsNotFiniteGetsThrough(damage: Damage, value: Float) throws {
        for everywhere in [false, true] {
            for head in [OutputHead.linear, .relu] {
                for (pool, hidden, isSparse) in [(2, 16, false), (4, 10, false), (2, 32, true)] {
                    // An image damaged everywhere has no background.
                    if isSparse && damage == .image && everywhere { continue }
                    let outcome = try Self.step(
                        damage, value: value, everywhere: everywhere, head: head, pool: pool, hidden: hidden, isSparse: isSparse)
                    let comment: Comment = "\(everywhere) \(head) \(pool) \(isSparse): \(outcome)"
                    if !outcome.largest.isFinite { #expect(outcome.isRefused, comment) }
                    if !outcome.isRefused {
                        #expect(outcome.largest < Network.largestGradient, comment)
                        // The bound is rounded at most as often as there are samples.
                        #expect(outcome.largest <= outcome.bound * (1 + 8 * Double(Float.ulpOfOne)), comment)
                    }
                }
            }
        }
    }

    /// These damages do make gradients that are not finite, so the test above tests something.
    @Test func damageDoesHarm() throws {
        for damage in Damage.allCases where damage != .none {
            let outcome = try Self.step(damage, value: .nan, everywhere: true)
            #expect(!outcome.largest.isFinite && outcome.isRefused, "\(damage)")
        }
    }

    @Test(arguments: OutputHead.allCases) func aSoundStepIsNotRefused(head: OutputHead) throws {
        let outcome = try Self.step(.none, value: 0, everywhere: false, head: head)
        #expect(!outcome.isRefused && outcome.largest > 0 && outcome.bound < 1e12)
    }

    @Test func theSamplesAreNamed() throws {
        let shape = WindowNetwork(height: 8, width: 12, pool: 2, hidden: 16)
        let rig = try NetworkRig(shape, maximumSamples: 3, threads: 1)
        rig.initialize(seed: 4)
        var values = TestValues(seed: 9)
        var input = values.uniform(3 * 96).floats
        input[96 + 40] = .nan
        rig.forward(input, samples: 3)
        try rig.network.beginBackward(labels: values.uniform(3 * shape.outputs).floats, scale: 1)
        #expect(rig.network.samplesNotFinite(samples: 3) == [1])
    }
}
