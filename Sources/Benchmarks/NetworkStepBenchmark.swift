import Collectives
import Exchange
import Kernels
import Layers
import Memory
package import Networks
package import Optimizers
import System
import Telemetry

/// Times the training step of one rank on any network whose gradients are stored, by kind of layer, against the floor: the
/// step's multiply-adds x 2 at the rate of the BLAS, measured between the steps.
package struct NetworkStepBenchmark {
    package var network: NetworkDescription
    package var name: String
    package var batch: Int
    package var threads: Int
    package var repeats: Int
    package var optimizer: OptimizerConfiguration
    /// Whether the forward pass of evaluation alone is timed: what a prediction costs once its crop is made.
    package var isForward: Bool

    package init(
        network: NetworkDescription, name: String, batch: Int, threads: Int, repeats: Int, optimizer: OptimizerConfiguration,
        isForward: Bool = false
    ) {
        self.network = network
        self.name = name
        self.batch = batch
        self.threads = threads
        self.repeats = repeats
        self.optimizer = optimizer
        self.isForward = isForward
    }

    private static let warmUp = 2

    /// - Throws: `ArenaError`, `ThreadError`.
    package func run() throws -> BenchmarkReport {
        let started = Stopwatch.now
        let allowed = Processors.allowed()
        let team = try WorkerTeam(count: threads, processors: threads == allowed.count ? allowed : [])
        let pixels = batch * network.input.count
        let replica = try Replica(
            alone: ExchangePlan.Setting(
                network: network, window: nil, policy: .stored, optimizer: optimizer, wire: .fp32, shard: batch),
            team: team, room: Arena.bytes(Float.self, count: pixels))
        guard let exchange = replica.exchange as? StoredExchange else { preconditionFailure("the policy is stored") }
        let (net, updater) = (replica.network, replica.optimizer)
        let input = replica.arena.carve(Float.self, count: pixels)
        var random = CounterRandom(seed: 1, stream: 1).generator()
        for index in input.indices { input[index] = 2 * random.uniform() - 1 }
        let labels = (0..<batch * NetworkDescription.outputs).map { _ in random.uniform() - 0.5 }
        let positions = (0..<batch).map(UInt64.init)
        network.initialize(net.parameters, seed: 1, team: team, poses: .unit)
        let ready = Stopwatch.now - started
        let memory = Machine.peakMemory
        let reference = try HardwareReference(team: team)
        // Seconds of all steps together.
        var (norms, updates) = (0.0, 0.0)

        func step() throws {
            if isForward {
                _ = try net.predict(input: input.baseAddress!, samples: batch)
                return
            }
            try positions.withUnsafeBufferPointer {
                _ = try net.forward(input: input.baseAddress!, samples: batch, positions: $0)
            }
            exchange.begin(microBatch: 0, of: 1)
            try net.backward(labels: labels, scale: 1 / Float(labels.count), sink: exchange)
            try exchange.finishBackward()
            let start = Stopwatch.now
            let norm = try exchange.gradientNorm()
            precondition(norm.isFinite, "the gradient is not finite")
            let middle = Stopwatch.now
            updater.beginStep()
            try exchange.update(scale: 1)
            net.finishStep()
            norms += middle - start
            updates += Stopwatch.now - middle
        }
        for _ in 0..<Self.warmUp { try step() }
        net.resetTimes()
        (norms, updates) = (0, 0)
        let steps = try MeasuredSteps(repeats: repeats, reference: reference, consecutive: isForward) { _ in try step() }
        return report(
            steps.measurement, times: net.pass.times, kinds: network.leafKinds, norms: norms, updates: updates,
            traffic: UpdateTraffic(net.table, optimizer), rate: steps.rate, faults: steps.faults, ready: ready, memory: memory)
    }

    private func report(
        _ measurement: Measurement, times: LayerTimes, kinds: [(kind: String, operations: Double)], norms: Double, updates: Double,
        traffic: UpdateTraffic, rate: Double, faults: Double, ready: Double, memory: Int
    ) -> BenchmarkReport {
        let operations = isForward ? kinds.reduce(0) { $0 + $1.operations } * Double(batch) : network.operations(samples: batch)
        let floor = operations / rate
        var layers: [String: (seconds: Double, work: Double)] = [:]
        for (number, leaf) in kinds.enumerated() {
            let work = leaf.operations * Double(batch)
            layers["\(leaf.kind): forward", default: (0, 0)].seconds += times.forward[number] / Double(repeats)
            layers["\(leaf.kind): forward", default: (0, 0)].work += work
            if isForward { continue }
            layers["\(leaf.kind): backward", default: (0, 0)].seconds += times.backward[number] / Double(repeats)
            layers["\(leaf.kind): backward", default: (0, 0)].work += 2 * work
        }
        var rows = layers.map { BenchmarkRow(name: $0.key, seconds: $0.value.seconds, work: $0.value.work, unit: .gflops, blasRate: rate) }
        if !isForward {
            rows.append(BenchmarkRow(name: "gradient norm", seconds: norms / Double(repeats), work: traffic.norm, unit: .gigabytes))
            rows.append(BenchmarkRow(name: "weight update", seconds: updates / Double(repeats), work: traffic.update, unit: .gigabytes))
        }
        let processor = Processors.modelName
        return BenchmarkReport(
            title: "\(isForward ? "evaluation" : "step"): \(name), batch \(batch), \(threads) thread\(threads == 1 ? "" : "s"), "
                + "\(InstructionSet.best.name) kernels; \(processor), OpenBLAS \(BLAS.kernelName)",
            facts: [
                ("benchmark", .text(isForward ? "forward" : "step")), ("preset", .text(name)), ("processor", .text(processor)),
                ("blas_kernel", .text(BLAS.kernelName)), ("instruction_set", .text(InstructionSet.best.name)),
                ("threads", .integer(threads)), ("batch", .integer(batch)), ("repeats", .integer(repeats)),
                ("median_s", .number(measurement.median)), ("p90_s", .number(measurement.p90)),
                ("frames_per_second", .number(Double(batch) / measurement.median)),
                ("floor_s", .number(floor)), ("share_of_floor", .number(measurement.median / floor)),
                ("gflop", .number(operations * 1e-9)), ("gflops", .number(operations / measurement.median * 1e-9)),
                ("blas_gflops", .number(rate * 1e-9)), ("minor_faults_per_step", .number(faults)),
                ("peak_memory_mb", .number(Double(memory) / 1_048_576)), ("ready_s", .number(ready)),
            ],
            rows: rows.sorted { $0.seconds > $1.seconds },
            notes: [
                "\(isForward ? "pass" : "step"): median " + format("%.1f ms", measurement.median * 1000)
                    + format(", p90 %.1f ms", measurement.p90 * 1000) + " of \(repeats), "
                    + format("%.0f frames/s", Double(batch) / measurement.median),
                "floor: " + format("%.2f GFLOP", operations * 1e-9) + format(" at %.1f GFLOP/s", rate * 1e-9)
                    + format(" (sgemm 1024^3 a thread, measured between the steps) = %.1f ms", floor * 1000),
                format("step / floor: %.3f", measurement.median / floor),
                format("peak memory: %.0f MiB of this process before the reference arrays", Double(memory) / 1_048_576),
                format("page faults a step: %.1f", faults) + format("; ready after %.2f s", ready),
            ])
    }
}
