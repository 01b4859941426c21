import Foundation
import Layers
import Memory
import Networks
import Testing

@Suite("Network summaries")
struct NetworkSummaryTests {
    private static let run = NetworkSummary.Run(ranks: 4, batch: 100, threads: 2)

    private static func summary(_ architecture: Architecture, _ run: NetworkSummary.Run = run) -> NetworkSummary {
        NetworkSummary(architecture.description(), name: architecture.rawValue, run: run)
    }

    @Test("The layers' figures add up to the network's", arguments: Architecture.allCases)
    func sums(_ architecture: Architecture) {
        let summary = Self.summary(architecture)
        let leaves = summary.layers.filter { !$0.containsLayers }
        #expect(leaves.reduce(0) { $0 + $1.parameters } == summary.parameters)
        #expect(leaves.reduce(0) { $0 + $1.kept } == summary.kept)
        #expect(abs(leaves.reduce(0) { $0 + $1.operations } / summary.operations - 1) < 1e-12)
        #expect(Set(summary.layers.map(\.name)).count == summary.layers.count, "names are places")
    }

    @Test("Memory is what a network takes, state besides", arguments: Architecture.allCases)
    func memory(_ architecture: Architecture) {
        let summary = Self.summary(architecture)
        let bytes = Dictionary(uniqueKeysWithValues: summary.memory.map { ($0.kind, $0.bytes) })
        let network = Network.bytes(architecture.description(), Network.Setting(maximumSamples: 25), threads: 2)
        #expect(bytes.values.reduce(0, +) - bytes[.state]! == network)
        #expect(bytes[.parameters]! == bytes[.gradients]! && bytes[.state]! == 2 * bytes[.parameters]!)
        #expect(bytes[.parameters]! >= 4 * (summary.parameters + summary.kept))
        #expect(bytes.values.allSatisfy { $0 > 0 })
    }

    @Test("Activations grow with the samples, parameters do not")
    func samples() {
        func bytes(_ batch: Int) -> [MemoryKind: Int] {
            let run = NetworkSummary.Run(ranks: 1, batch: batch)
            return Dictionary(uniqueKeysWithValues: Self.summary(.hand, run).memory.map { ($0.kind, $0.bytes) })
        }
        let (one, two) = (bytes(8), bytes(16))
        #expect(two[.activations]! == 2 * one[.activations]! && two[.activationGradients]! == 2 * one[.activationGradients]!)
        #expect(two[.parameters] == one[.parameters] && two[.state] == one[.state])
    }

    @Test("Bytes of exchanges are those of rings, and of activations where layers are divided")
    func exchanges() throws {
        // The question's network: 153,600 x 1024, global batch 100, as in the table of strategies: 944 MB and 24 MB on 4 ranks.
        let summary = NetworkSummary(WindowNetwork().description, name: "seed", run: Self.run)
        let bytes = Dictionary(uniqueKeysWithValues: summary.exchanges.map { ($0.kind, $0.bytes) })
        #expect(abs(bytes["allreduce"]! - 1.5 * 4 * Double(summary.parameters)) < 1)
        #expect(bytes["sharded"] == bytes["allreduce"])
        let small = 1.5 * 4 * Double(summary.parameters - 153_600 * 1024)
        #expect(abs(bytes["split"]! - (small + 1.5 * 4 * 25 * 153_600 + 2 * 3 * 25 * 1024 * 4)) < 1)
        #expect(summary.divisible.map(\.name) == ["fc1.weight"])
        let half = NetworkSummary(
            WindowNetwork().description, name: "seed", run: NetworkSummary.Run(ranks: 4, batch: 100, halvesGradients: true))
        #expect(half.exchanges[0].bytes == bytes["allreduce"]! / 2)
        // Without large layers nothing is split; batch normalisation sends its sums.
        let dense = Self.summary(.dense)
        #expect(dense.exchanges.map(\.kind) == ["allreduce", "sharded"])
        let gradients = 1.5 * 4 * Double(dense.parameters)
        #expect(dense.exchanges[0].bytes > gradients && dense.exchanges[0].bytes < 1.1 * gradients)
        #expect(Self.summary(.ren).divisible.count == 9)
        #expect(Self.summary(.hand, NetworkSummary.Run(ranks: 1)).exchanges.allSatisfy { $0.bytes == 0 })
    }

    @Test("The table has a line a layer, totals, and at most 80 columns", arguments: Architecture.allCases)
    func table(_ architecture: Architecture) {
        let summary = NetworkSummary(
            architecture.description(), name: architecture.rawValue, run: Self.run,
            predictions: [NetworkSummary.Prediction(gigabits: 10, exchange: "allreduce", seconds: 0.1234)])
        let lines = summary.table.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.allSatisfy { $0.count <= 80 && !$0.hasSuffix(" ") }, "\(lines.filter { $0.count > 80 })")
        #expect(lines.count > summary.layers.count + 10)
        #expect(lines.contains { $0.hasPrefix("10 Gbit/s, allreduce") && $0.hasSuffix("123.4") })
        if architecture == .ren { #expect(lines.contains { $0.hasPrefix("  branch4.fc2 ") }) }
        #expect(lines.contains { $0.hasPrefix("total, a frame forward") && $0.contains("\(summary.parameters)") })
    }

    @Test("JSON holds the same")
    func json() throws {
        let summary = Self.summary(.hand)
        #expect(try JSONDecoder().decode(NetworkSummary.self, from: try JSONEncoder().encode(summary)) == summary)
    }
}
