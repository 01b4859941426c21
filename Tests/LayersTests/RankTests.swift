import Collectives
import Layers
import Memory
import Testing
import TestOracle
import TestSupport

@Suite("Layers on several ranks")
struct RankTests {
    private static let layer = LayerCase(
        "normalised", (2, 3, 5), samples: 7, ulps: 256,
        [LayerNode(BatchNormalization(rectified: true)), LayerNode(Convolution(3, kernel: 1)), LayerNode(BatchNormalization())])

    struct Part: Sendable {
        let y, x: [Float]
        let parameters: [String: [Float]]
        let running: [[Float]]
    }

    /// The layers on one rank's samples.
    private static func run(_ samples: Range<Int>, _ communicator: any Communicator) throws -> Part {
        let rig = try LayerRig(layer.nodes, layer.input, samples: max(1, samples.count), communicator: communicator)
        rig.set(layer.parameters())
        func part(_ values: [Double]) -> [Double] {
            let width = values.count / layer.samples
            return Array(values[samples.lowerBound * width..<samples.upperBound * width])
        }
        let y = try rig.forward(part(layer.x), mode: .training)
        let gradients = try rig.backward(part(layer.values(layer.samples * 2 * 3 * 3, seed: 4)))
        return Part(
            y: y, x: gradients.x!, parameters: gradients.parameters,
            running: rig.table.parameters.filter { $0.role == .statistic }.map { rig.value($0.name) })
    }

    @Test(
        "Batch normalisation sees the global batch, however it is divided",
        arguments: [[7], [4, 3], [2, 0, 5], [0, 7, 0], [1, 1, 1, 1, 3]])
    func globalBatch(_ counts: [Int]) throws {
        let whole = try Self.run(0..<7, Solo())
        let parts = try Simulated.run(ranks: counts.count) { communicator in
            let first = counts[..<communicator.rank].reduce(0, +)
            return try Self.run(first..<first + counts[communicator.rank], communicator)
        }
        let layer = Self.layer
        #expect(mismatch(parts.flatMap(\.y), whole.y.doubles, tolerance: layer.tolerance(whole.y.doubles)) == nil)
        #expect(mismatch(parts.flatMap(\.x), whole.x.doubles, tolerance: layer.tolerance(whole.x.doubles)) == nil)
        for (name, values) in whole.parameters {
            // Gradients are summed over the ranks by whoever exchanges them.
            let sum = values.indices.map { index in parts.reduce(0) { $0 + Double($1.parameters[name]![index]) } }
            #expect(mismatch(values, sum, tolerance: layer.tolerance(sum)) == nil, "\(name)")
        }
        for part in parts {
            #expect(part.running == parts[0].running, "ranks agree on running statistics bit for bit")
            for (own, all) in zip(part.running, whole.running) {
                #expect(mismatch(own, all.doubles, tolerance: layer.tolerance(all.doubles)) == nil)
            }
        }
    }
}
