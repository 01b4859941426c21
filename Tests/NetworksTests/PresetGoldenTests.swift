import Collectives
import Foundation
import Layers
import Memory
import Networks
import Optimizers
import System
import Testing
import TestOracle

/// PyTorch in float64 against the presets and a network from a file, in Float.
///
/// No ReLU is nearer to 0, and no pooling window's winner to its runner-up, than `smallest_margin` in the first step.
@Suite("Golden values by PyTorch")
struct PresetGoldenTests {
    static let cases = ["deepprior", "deepprior-dropout", "ren", "ren-dropout", "dense", "dtrain-hand", "tiny"]

    private static func description(_ golden: PresetGolden.Case) throws -> NetworkDescription {
        var description: NetworkDescription
        switch golden.name {
        case "ren", "ren-dropout": description = .ren(size: golden.size, units: 48)
        case "tiny":
            let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
            description = try NetworkFile.read(root.appendingPathComponent("Docs/examples/tiny.yaml").path)
        default:
            let name = golden.name.replacingOccurrences(of: "-dropout", with: "")
            description = try #require(Architecture(rawValue: name)).description(size: golden.size)
        }
        if !golden.dropout { description.layers = description.layers.withoutDropout }
        return description
    }

    /// One rank with a case's network, weights and batch.
    private final class Rig {
        let golden: PresetGolden.Case
        let network: Network
        let optimizer: any Optimizer
        let table: ParameterTable
        /// Layers one after the other at most, as each rounds.
        let depth: Double
        private let document: PresetGolden
        private let schedule: Schedule
        private let input, labels: GuardedBuffer<Float>
        private let team: WorkerTeam
        private var step = 0

        init(_ name: String, threads: Int) throws {
            document = try PresetGolden.load()
            #expect(document.cases.map(\.name) == PresetGoldenTests.cases)
            golden = try #require(document.cases.first { $0.name == name })
            schedule = try Schedule(parsing: golden.schedule)
            let description = try PresetGoldenTests.description(golden)
            #expect(description.loss.kind == golden.loss.kind)
            if golden.loss.kind == .huber { #expect(description.loss.delta == golden.loss.value) }
            if golden.loss.kind == .smoothL1 { #expect(description.loss.sigma == golden.loss.value) }
            depth = Double(description.leafKinds.count)
            team = try WorkerTeam(count: threads, spins: 0)
            let samples = document.positions.count
            let setting = Network.Setting(maximumSamples: samples)
            let settings = golden.optimizer.configuration
            let bytes = settings.bytes(holding: HeldRanges(all: description.table))
            let arena = try Arena(capacity: Network.bytes(description, setting, threads: threads) + bytes)
            network = Network(description, setting, team: team, communicator: Solo(), arena: arena)
            network.pass.seed = document.seed
            table = network.table
            optimizer = settings.make(weights: network.parameters, table: table, arena: arena)
            input = GuardedBuffer(golden.values("input", count: samples * description.input.count).doubles)
            labels = GuardedBuffer(golden.values("labels", count: golden.outputs.count, exponent: -1).doubles)
            // Every parameter of the one is one of the other.
            let declared = Set(description.declarations.map { "\($0.name) \($0.shape)" })
            #expect(declared == Set(golden.tensors.map { "\($0.name) \($0.shape)" }))
            for tensor in golden.tensors {
                let range = table[tensor.name].range
                let values = golden.values(tensor.name, count: range.count, exponent: tensor.exponent, offset: tensor.offset)
                for (index, value) in values.enumerated() { network.parameters[range.lowerBound + index] = value }
            }
            network.weightsChanged()
        }

        /// Forward and backward.
        /// - Returns: the loss.
        func pass() throws -> Double {
            let samples = document.positions.count
            return try document.positions.withUnsafeBufferPointer { positions in
                try network.forward(input: input.start, samples: samples, positions: positions)
                let count = samples * NetworkDescription.outputs
                let loss = network.lossSum(labels: labels.start, samples: samples) / Double(count)
                try network.backward(labels: labels.start, scale: 1 / Float(count), sink: SilentSink())
                return loss
            }
        }

        func update() {
            optimizer.beginStep(
                rate: schedule.rate(
                    step: step, stepsPerEpoch: document.steps_per_epoch, totalSteps: document.steps,
                    base: golden.optimizer.rate))
            for parameter in table.parameters where parameter.role.isTrained {
                optimizer.apply(parameter.range, gradient: network.gradients.baseAddress! + parameter.range.lowerBound)
            }
            network.finishStep()
            step += 1
        }

        func gradient(_ name: String) -> [Double] { table[name].range.map { Double(network.gradients[$0]) } }
        func value(_ name: String) -> [Double] { table[name].range.map { Double(network.parameters[$0]) } }
    }

    /// Compares a tensor with all its golden values, or with samples and the sum of squares.
    /// - Parameters:
    ///   - tolerance: of a value, relative to the tensor's largest.
    ///   - least: what that largest counts as at least: sums whose terms cancel, such as the gradient of a score's bias, are 0
    ///     but for the terms' rounding.
    private func expectNear(
        _ actual: [Double], _ golden: PresetGolden.Summary, tolerance: Double, least: Double = 0, _ name: String
    ) throws {
        let largest = max(least, golden.magnitude)
        let allowed = tolerance * largest
        if let values = golden.values {
            #expect(mismatch(actual, values, tolerance: values.map { _ in allowed }) == nil, "\(name)")
            return
        }
        let (indices, samples) = (try #require(golden.indices), try #require(golden.samples))
        #expect(mismatch(indices.map { actual[$0] }, samples, tolerance: samples.map { _ in allowed }) == nil, "\(name)")
        let squares = actual.reduce(0) { $0 + $1 * $1 }
        let expected = try #require(golden.sum_of_squares)
        let norm = max(expected.squareRoot(), least * Double(actual.count).squareRoot())
        #expect(
            abs(squares.squareRoot() - expected.squareRoot()) <= tolerance * norm, "squares of \(name): \(squares), \(expected)")
    }

    /// Each layer rounds its output, and its gradient, by some ulps of the largest.
    private static let ulps = 16 * Double(Float.ulpOfOne)

    @Test("Loss, outputs, gradients and running statistics of the first step", arguments: cases, [1, 3])
    func firstStep(_ name: String, threads: Int) throws {
        let rig = try Rig(name, threads: threads)
        let golden = rig.golden
        let tolerance = Self.ulps * rig.depth
        let loss = try rig.pass()
        #expect(abs(loss - golden.losses[0]) <= tolerance * golden.losses[0], "\(loss), expected \(golden.losses[0])")
        let outputs = Array(UnsafeBufferPointer(start: rig.network.outputs, count: golden.outputs.count))
        let largest = golden.outputs.magnitudes.max()!
        #expect(mismatch(outputs, golden.outputs, tolerance: tolerance * largest) == nil)
        #expect(golden.gradients.count == rig.table.parameters.count { $0.role.isTrained })
        // Terms that cancel are as large as other gradients: 1/32 of the largest at least.
        let least = golden.gradients.values.map(\.magnitude).max()! / 32
        for (name, gradient) in golden.gradients {
            try expectNear(rig.gradient(name), gradient, tolerance: tolerance, least: least, name)
        }
        rig.network.finishStep()
        #expect(golden.statistics.count == rig.table.parameters.count { $0.role == .statistic })
        for (name, statistic) in golden.statistics { try expectNear(rig.value(name), statistic, tolerance: tolerance, name) }
    }

    /// From step to step rounding grows, and where it takes a ReLU across 0, jumps.
    @Test("Losses of ten steps by the preset's optimiser and schedule, and running statistics after them", arguments: cases)
    func tenSteps(_ name: String) throws {
        let rig = try Rig(name, threads: 2)
        let golden = rig.golden
        #expect(golden.losses.count == 10)
        for (step, expected) in golden.losses.enumerated() {
            let loss = try rig.pass()
            let tolerance = Self.ulps * rig.depth * Double(1 + step)
            #expect(abs(loss - expected) <= tolerance * expected, "step \(step): \(loss), expected \(expected)")
            rig.update()
        }
        for (name, statistic) in golden.last_statistics {
            try expectNear(rig.value(name), statistic, tolerance: 20 * Self.ulps * rig.depth, name)
        }
    }
}

/// Leaves gradients where they are.
private final class SilentSink: GradientSink {
    func buckets(of parameter: Parameter) -> [Range<Int>] { [0..<parameter.shape[0]] }
    func destination(of parameter: Parameter, rows: Range<Int>, thread: Int) -> UnsafeMutablePointer<Float> {
        preconditionFailure("no layer here makes tiles")
    }
    func tileFinished(_ parameter: Parameter, rows: Range<Int>, gradient: UnsafeMutablePointer<Float>, thread: Int) {}
    func bucketFinished(_ parameter: Parameter, rows: Range<Int>) {}
    func gradientFinished(_ parameter: Parameter) {}
    func smallFinished(_ gradients: UnsafeMutableBufferPointer<Float>) {}
}
