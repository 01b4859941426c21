import Kernels
import Layers
import Memory
package import Networks
import System
import Telemetry

/// Times each shape of a network's convolutions by itself, beside the BLAS's rate: forward, input gradient, weight gradient.
/// Operations are those of the definition; Winograd's way takes fewer. Then what updates its weights: see `UpdateBenchmark`.
package struct NetworkKernelBenchmark {
    package var network: NetworkDescription
    package var name: String
    package var batch: Int
    package var threads: Int
    package var repeats: Int

    package init(network: NetworkDescription, name: String, batch: Int, threads: Int, repeats: Int) {
        self.network = network
        self.name = name
        self.batch = batch
        self.threads = threads
        self.repeats = repeats
    }

    /// - Throws: `ArenaError`, `ThreadError`.
    package func run() throws -> BenchmarkReport {
        var shapes: [(shape: Convolution2D, layers: Int)] = []
        for shape in network.convolutions {
            if let index = shapes.firstIndex(where: { $0.shape == shape }) {
                shapes[index].layers += 1
            } else {
                shapes.append((shape, 1))
            }
        }
        let allowed = Processors.allowed()
        let team = try WorkerTeam(count: threads, processors: threads == allowed.count ? allowed : [])
        let reference = try HardwareReference(team: team)
        var rates = Measurement()
        let convolutions = try shapes.flatMap { shape, layers in
            rates.add(reference.productRate())
            let label = Self.label(shape) + (layers > 1 ? " (\(layers) layers)" : "")
            return try measure(shape, label, team)
        }
        let table = network.table
        let updates = try UpdateBenchmark(table: table, repeats: repeats, reference: reference, team: team).rows()
        return BenchmarkReport(
            title: "kernels: \(name), batch \(batch), \(threads) thread\(threads == 1 ? "" : "s"), "
                + "\(InstructionSet.best.name) kernels; \(Processors.modelName), OpenBLAS \(BLAS.kernelName)",
            facts: [
                ("benchmark", .text("kernels")), ("preset", .text(name)), ("processor", .text(Processors.modelName)),
                ("blas_kernel", .text(BLAS.kernelName)), ("instruction_set", .text(InstructionSet.best.name)),
                ("threads", .integer(threads)), ("batch", .integer(batch)), ("repeats", .integer(repeats)),
                ("parameters", .integer(UpdateTraffic.trained(table))), ("blas_gflops", .number(rates.median * 1e-9)),
            ], rows: convolutions + updates,
            notes: [format("sgemm 1024^3 a thread: %.1f GFLOP/s", rates.median * 1e-9), UpdateBenchmark.note(table)])
    }

    private static func label(_ c: Convolution2D) -> String {
        "\(c.height)x\(c.width), \(c.inputChannels) to \(c.outputChannels), \(c.kernel)x\(c.kernel)"
            + (c.stride > 1 ? ", stride \(c.stride)" : "") + (c.usesWinograd ? ", Winograd" : "")
    }

    private func measure(_ c: Convolution2D, _ label: String, _ team: WorkerTeam) throws -> [BenchmarkRow] {
        let lanes = c.weightGradientLanes(samples: batch)
        let counts = [
            batch * c.inputCount, batch * c.outputCount, c.weightCount, c.forwardPackedCount, c.backwardPackedCount,
            lanes * c.partialCount, c.weightCount,
        ]
        let arena = try Arena(
            capacity: (counts + [Int](repeating: c.scratchCount, count: threads)).reduce(0) { $0 + Arena.bytes(Float.self, count: $1) })
        arena.touch(team: team)
        let buffers = counts.map { arena.carve(Float.self, count: $0).baseAddress! }
        let scratch = (0..<threads).map { _ in arena.carve(Float.self, count: c.scratchCount).baseAddress! }
        let (x, y, weights, forwardPacked, backwardPacked, partials, gradient) = (
            buffers[0], buffers[1], buffers[2], buffers[3], buffers[4], buffers[5], buffers[6]
        )
        for (buffer, count) in zip(buffers, counts).prefix(3) {
            for index in 0..<count { buffer[index] = Float(index % 23) * 0.01 - 0.1 }
        }
        for item in 0..<c.packItems {
            c.packForward(weights, into: forwardPacked, item: item)
            c.packBackward(weights, into: backwardPacked, item: item)
        }
        let work = 2 * Double(c.multiplyAdds * batch)
        func row(_ pass: String, _ body: () -> Void) -> BenchmarkRow {
            body()
            var measurement = Measurement()
            for _ in 0..<repeats { measurement.run(body) }
            return BenchmarkRow(name: "\(label): \(pass)", seconds: measurement.median, work: work, unit: .gflops)
        }
        return [
            row("forward") {
                team.forEach(batch * c.forwardItems) { item, thread in
                    let (sample, block) = (item / c.forwardItems, item % c.forwardItems)
                    c.forward(
                        x: x + sample * c.inputCount, packed: forwardPacked, bias: nil, y: y + sample * c.outputCount, item: block,
                        scratch: scratch[thread])
                }
            },
            // dx in the place of x, dy in that of y.
            row("input gradient") {
                team.forEach(batch * c.inputGradientItems) { item, thread in
                    let (sample, block) = (item / c.inputGradientItems, item % c.inputGradientItems)
                    c.inputGradient(
                        dy: y + sample * c.outputCount, packed: backwardPacked, dx: x + sample * c.inputCount, item: block,
                        scratch: scratch[thread])
                }
            },
            row("weight gradient") {
                team.forEach(lanes) { lane, thread in
                    c.weightGradient(
                        x: x, dy: y, samples: batch, lane: lane, partial: partials + lane * c.partialCount, withBias: false,
                        scratch: scratch[thread])
                }
                team.forEach(c.sumItems) { item, _ in
                    c.sumWeightGradient(partials: partials, lanes: lanes, weights: gradient, bias: nil, item: item)
                }
            },
        ]
    }
}
