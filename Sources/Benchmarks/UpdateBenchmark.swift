import Collectives
import Exchange
import Layers
package import Memory
package import Optimizers
package import System

/// Bytes that the passes over all parameters move once the gradients are there: what is read and what is written, each once a step.
package struct UpdateTraffic: Sendable {
    /// Parameters that are trained.
    package let parameters: Int
    /// Numbers that the optimiser keeps of each.
    package let states: Int

    package init(_ table: ParameterTable, _ optimizer: OptimizerConfiguration) {
        parameters = Self.trained(table)
        states = optimizer.stateNames.count
    }

    /// Parameters of the table that are trained.
    package static func trained(_ table: ParameterTable) -> Int {
        table.parameters.reduce(0) { $0 + ($1.role.isTrained ? $1.count : 0) }
    }

    private func bytes(floats: Int) -> Double { Double(floats * MemoryLayout<Float>.stride * parameters) }

    /// The gradient is read.
    package var norm: Double { bytes(floats: 1) }
    /// The gradient is read and written.
    package var clip: Double { bytes(floats: 2) }
    /// The gradient is read, weight and state are read and written.
    package var update: Double { bytes(floats: 3 + 2 * states) }
}

/// Times what follows the backward pass, on as many parameters as a network has: the gradient's norm, clipping by value and each
/// optimiser's update, by the code that training runs them with, on all threads of the team.
package struct UpdateBenchmark {
    package let table: ParameterTable
    package let repeats: Int
    package let reference: HardwareReference
    package let team: WorkerTeam

    package init(table: ParameterTable, repeats: Int, reference: HardwareReference, team: WorkerTeam) {
        self.table = table
        self.repeats = repeats
        self.reference = reference
        self.team = team
    }

    /// Rows in GB/s; the first is the memory's own rate, over arrays of the same size. Those of small networks lie in the caches.
    /// - Throws: `ArenaError`.
    package func rows() throws -> [BenchmarkRow] {
        let arena = try Arena(capacity: 2 * Arena.bytes(Float.self, count: table.count))
        defer { withExtendedLifetime(arena) {} }
        arena.touch(team: team)
        let weights = arena.carve(Float.self, count: table.count).baseAddress!
        let gradients = arena.carve(Float.self, count: table.count).baseAddress!
        fill(weights)
        fill(gradients)
        var rows = [
            row("y += x", bytes: 12 * Double(table.count)) { _ = reference.memoryRate(gradients, weights, count: table.count) }
        ]
        for kind in OptimizerKind.allCases {
            let configuration = OptimizerConfiguration(kind: kind)
            let traffic = UpdateTraffic(table, configuration)
            let (optimizer, exchange) = try make(configuration, weights: weights, gradients: gradients)
            // These are the same with every optimiser.
            if rows.count == 1 {
                rows.append(try row("gradient norm", bytes: traffic.norm) { _ = try exchange.gradientNorm() })
                rows.append(row("clipping by value", bytes: traffic.clip) { exchange.clip(value: 1) })
            }
            let update = try row("update by \(kind.rawValue)", bytes: traffic.update) {
                optimizer.beginStep()
                try exchange.update(scale: 1)
            }
            rows.append(update)
        }
        return rows
    }

    /// An optimiser and the exchange of a rank alone, which updates by it.
    private func make(
        _ configuration: OptimizerConfiguration, weights: UnsafeMutablePointer<Float>, gradients: UnsafeMutablePointer<Float>
    ) throws -> (optimizer: any Optimizer, exchange: StoredExchange) {
        let plan = StoredPlan(table: table, sharded: false, division: .none, accumulates: false, rank: 0, ranks: 1)
        let state = try Arena(capacity: configuration.bytes(holding: plan.held) + plan.bytes)
        state.touch(team: team)
        let optimizer = configuration.make(weights: weights, table: table, holding: plan.held, arena: state)
        let exchange = try StoredExchange(
            plan, gradients: gradients, optimizer: optimizer, weights: weights, communicator: Solo(), team: team, wire: .fp32,
            arena: state)
        return (optimizer, exchange)
    }

    /// A line below the table.
    package static func note(_ table: ParameterTable) -> String {
        "updates: \(UpdateTraffic.trained(table)) parameters; GB/s of all that is read and written, each once"
    }

    private func row(_ name: String, bytes: Double, _ body: () throws -> Void) rethrows -> BenchmarkRow {
        try body()
        var measurement = Measurement()
        for _ in 0..<repeats { try measurement.run(body) }
        return BenchmarkRow(name: name, seconds: measurement.median, work: bytes, unit: .gigabytes)
    }

    private func fill(_ values: UnsafeMutablePointer<Float>) {
        let (block, count) = (1 << 16, table.count)
        team.forEach((count + block - 1) / block) { item, _ in
            for index in item * block..<min(count, (item + 1) * block) { values[index] = Float(index % 23) * 0.01 - 0.1 }
        }
    }
}
