import Collectives
import Exchange
import HandData
package import Kernels
import Layers
import Memory
package import Networks
import Optimizers
import System
import Telemetry

/// Times the training step of one rank on the real network, against the floor: the step's operations at the rate of the
/// BLAS, measured between the steps, so that both meet the same weather on a shared machine.
package struct StepBenchmark {
    package var network: WindowNetwork
    package var preset: String
    package var batch: Int
    package var threads: Int
    package var repeats: Int
    package var kernels: DenseKernels

    package init(
        network: WindowNetwork, preset: String, batch: Int, threads: Int, repeats: Int, kernels: DenseKernels
    ) {
        self.network = network
        self.preset = preset
        self.batch = batch
        self.threads = threads
        self.repeats = repeats
        self.kernels = kernels
    }

    /// Steps before the measured ones.
    private static let warmUp = 2

    /// - Throws: `ArenaError`, `ThreadError`; what the exchange throws.
    package func run() throws -> BenchmarkReport {
        let started = Stopwatch.now
        let allowed = Processors.allowed()
        let team = try WorkerTeam(count: threads, processors: threads == allowed.count ? allowed : [])
        var window = network
        window.kernels = kernels
        let inputs = try BenchmarkBatches(network: network, batch: batch, team: team)
        let replica = try Replica(alone: ExchangePlan.Setting(window: window, wire: .fp32, shard: batch), team: team)
        let (net, optimizer) = (replica.network, replica.optimizer)
        window.description.initialize(net.parameters, seed: 1, team: team, meanOutput: inputs.meanLabel)
        let ready = Stopwatch.now - started
        let memory = Machine.peakMemory
        let reference = try HardwareReference(team: team)

        func step(_ number: Int) throws {
            let (input, labels) = inputs.batch(number)
            try net.forward(input: input, samples: batch)
            try net.beginBackward(labels: labels, scale: 1 / Float(batch * network.outputs))
            optimizer.beginStep()
            try net.finishBackward(sink: replica.exchange)
        }
        for number in 0..<Self.warmUp { try step(number) }
        net.resetTimes()
        let steps = try MeasuredSteps(repeats: repeats, reference: reference, step: step)
        // Last, as it changes the moments.
        let moments = optimizer.memory.states
        let memoryRate = reference.memoryRate(moments[0], moments[1], count: network.table.count)
        return report(
            steps.measurement, times: net.partTimes, rate: steps.rate, memoryRate: memoryRate, faults: steps.faults,
            ready: ready, memory: memory)
    }

    private func report(
        _ measurement: Measurement, times: PartTimes, rate: Double, memoryRate: Double, faults: Double, ready: Double,
        memory: Int
    ) -> BenchmarkReport {
        let operations = network.operations(samples: batch)
        let floor = operations / rate
        let dense = 2 * Double(network.flattened * network.hidden * batch)
        let taps = 2.0 * Double(ConvolutionPool.weightCount) * Double(network.height * network.width * batch)
        let parts: [(String, NetworkPart, Double)] = [
            ("convolution, ReLU, pool: forward", .convolutionForward, taps),
            ("FC1 forward", .dense1Forward, dense),
            ("FC2, loss: both ways", .dense2, 3 * 2 * Double(network.hidden * network.outputs * batch)),
            ("FC1 backward and Adam", .dense1Backward, 2 * dense),
            ("convolution backward", .convolutionBackward, taps / Double(network.pool * network.pool)),
        ]
        let rows = parts.map { name, part, work in
            BenchmarkRow(name: name, seconds: times[part] / Double(repeats), work: work, unit: .gflops, blasRate: rate)
        }
        let processor = Processors.modelName
        return BenchmarkReport(
            title: "step: preset \(preset), batch \(batch), \(threads) thread\(threads == 1 ? "" : "s"), "
                + "\(kernels.choose(outputs: network.hidden).rawValue) kernels; \(processor), OpenBLAS \(BLAS.kernelName)",
            facts: [
                ("benchmark", .text("step")), ("preset", .text(preset)), ("processor", .text(processor)),
                ("blas_kernel", .text(BLAS.kernelName)),
                ("dense_kernels", .text(kernels.choose(outputs: network.hidden).rawValue)),
                ("threads", .integer(threads)), ("batch", .integer(batch)), ("repeats", .integer(repeats)),
                ("median_s", .number(measurement.median)), ("p90_s", .number(measurement.p90)),
                ("floor_s", .number(floor)), ("share_of_floor", .number(measurement.median / floor)),
                ("gflop", .number(operations * 1e-9)), ("gflops", .number(operations / measurement.median * 1e-9)),
                ("blas_gflops", .number(rate * 1e-9)), ("memory_gb_per_s", .number(memoryRate * 1e-9)),
                ("minor_faults_per_step", .number(faults)), ("peak_memory_mb", .number(Double(memory) / 1_048_576)),
                ("ready_s", .number(ready)),
            ],
            rows: rows,
            notes: [
                "step: median " + format("%.1f ms", measurement.median * 1000) + format(", p90 %.1f ms", measurement.p90 * 1000)
                    + " of \(repeats)",
                "floor: " + format("%.1f GFLOP", operations * 1e-9) + format(" at %.1f GFLOP/s", rate * 1e-9)
                    + format(" (sgemm 1024^3 a thread, measured between the steps) = %.1f ms", floor * 1000),
                format("step / floor: %.3f", measurement.median / floor),
                format("memory: %.1f GB/s (y += x)", memoryRate * 1e-9)
                    + format(", peak %.0f MiB of this process before the reference arrays", Double(memory) / 1_048_576),
                format("page faults a step: %.1f", faults) + format("; ready after %.2f s", ready),
            ])
    }
}
