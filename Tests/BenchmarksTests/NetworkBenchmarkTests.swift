import Benchmarks
import Layers
import Memory
import Networks
import Optimizers
import System
import Telemetry
import Testing

/// Benchmarks of small networks whose gradients are stored. One thread: a team of as many as there are processors is pinned.
@Suite("Benchmarks of networks")
struct NetworkBenchmarkTests {
    private static let small = NetworkDescription(
        input: Shape(height: 8, width: 8, channels: 1),
        layers: [LayerNode(FullyConnected(32)), LayerNode(Activation(.relu)), LayerNode(FullyConnected(48))])
    private static let parameters = 64 * 32 + 32 + 32 * 48 + 48

    @Test("the floors of the kinds of layers add up to the step's, and the update's memory is counted", arguments: [false, true])
    func floors(isForward: Bool) throws {
        let report = try NetworkStepBenchmark(
            network: Self.small, name: "small", batch: 4, threads: 1, repeats: 2, optimizer: OptimizerConfiguration(), isForward: isForward
        ).run()
        let floors = report.rows.compactMap { row in row.shareOfFloor.map { row.seconds / $0 } }
        #expect(floors.count == (isForward ? 1 : 2))
        guard case .number(let whole) = report.facts.first(where: { $0.0 == "floor_s" })?.1 else {
            Issue.record("no floor")
            return
        }
        #expect(abs(floors.reduce(0, +) - whole) < 1e-9 * whole)
        for row in report.rows where row.name.hasPrefix("activation") { #expect(row.shareOfFloor == nil) }
        let memory = report.rows.filter { $0.unit == .gigabytes }.sorted { $0.name < $1.name }
        #expect(memory.map(\.name) == (isForward ? [] : ["gradient norm", "weight update"]))
        // Gradient; and gradient, weight there and back, two moments there and back.
        #expect(memory.map(\.work) == (isForward ? [] : [4, 28].map { $0 * Double(Self.parameters) }))
    }

    @Test("every optimiser's update is timed on as many parameters as there are, statistics left out")
    func updates() throws {
        let table = ParameterTable([
            ParameterDeclaration("weight", [300, 300]), ParameterDeclaration("bias", [7], role: .bias),
            ParameterDeclaration("mean", [5], role: .statistic),
        ])
        let team = try WorkerTeam(count: 2)
        let rows = try UpdateBenchmark(table: table, repeats: 2, reference: HardwareReference(team: team), team: team).rows()
        #expect(
            rows.map(\.name) == ["y += x", "gradient norm", "clipping by value"] + OptimizerKind.allCases.map { "update by \($0.rawValue)" })
        #expect(rows[0].work == 12 * Double(table.count))
        // Gradient, weight and state, the latter two read and written.
        let updates = OptimizerKind.allCases.map { Double(12 + 8 * OptimizerConfiguration(kind: $0).stateNames.count) }
        #expect(rows.dropFirst().map { $0.work / 90_007 } == [4, 8] + updates)
        #expect(rows.allSatisfy { $0.unit == .gigabytes && $0.seconds > 0 && $0.rate > 0 })
    }

    @Test("a preset's kernels are its convolutions and its updates")
    func kernels() throws {
        let network = NetworkDescription.hand(size: 32)
        let report = try NetworkKernelBenchmark(network: network, name: "dtrain-hand", batch: 2, threads: 1, repeats: 1).run()
        #expect(report.title.hasPrefix("kernels: dtrain-hand, batch 2, 1 thread, "))
        #expect(report.rows.contains { $0.name.hasSuffix(": weight gradient") && $0.unit == .gflops })
        #expect(report.rows.last?.name == OptimizerKind.allCases.last.map { "update by \($0.rawValue)" })
        #expect(report.notes.contains { $0.hasPrefix("updates: \(UpdateTraffic.trained(network.table)) parameters; ") })
    }
}
