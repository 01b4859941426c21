import Kernels
import Layers
import Memory
package import Networks
import System
import Telemetry

/// Times single kernels on operands of the real sizes, all threads side by side on blocks of their own.
package struct KernelBenchmark {
    package var network: WindowNetwork
    package var batch: Int
    package var threads: Int
    package var repeats: Int

    package init(network: WindowNetwork, batch: Int, threads: Int, repeats: Int) {
        self.network = network
        self.batch = batch
        self.threads = threads
        self.repeats = repeats
    }

    /// Rows of the large layer that are worked through: enough to be out of every cache.
    private static let rows = 120 * 240

    private func title(_ what: String) -> String {
        "\(what): batch \(batch), FC1 \(Self.rows) of \(network.flattened) x \(network.hidden), \(threads) "
            + "thread\(threads == 1 ? "" : "s"); \(Processors.modelName), OpenBLAS \(BLAS.kernelName)"
    }

    private func report(_ name: String, _ rows: [BenchmarkRow]) -> BenchmarkReport {
        BenchmarkReport(
            title: title(name),
            facts: [
                ("benchmark", .text(name)), ("processor", .text(Processors.modelName)),
                ("blas_kernel", .text(BLAS.kernelName)), ("threads", .integer(threads)), ("batch", .integer(batch)),
                ("repeats", .integer(repeats)),
            ], rows: rows, notes: [])
    }

    /// The BLAS at its best and in the three shapes of the large layer.
    /// - Throws: `ArenaError`, `ThreadError`.
    package func products() throws -> BenchmarkReport {
        let bench = try Operands(self, rows: Self.rows)
        let reference = try HardwareReference(team: bench.team)
        var best = Measurement()
        var rates: [Double] = []
        for _ in 0..<repeats { best.run { rates.append(reference.productRate()) } }
        let square = rates.sorted()[rates.count / 2]
        return report(
            "gemm",
            [BenchmarkRow(name: "sgemm 1024^3 a thread", seconds: best.median, work: square * best.median, unit: .gflops)]
                + bench.blasRows(repeats: repeats))
    }

    /// Each kernel of the step. The weights are updated tile by tile, by Adam.
    /// - Throws: `ArenaError`, `ThreadError`.
    package func kernels() throws -> BenchmarkReport {
        let bench = try Operands(self, rows: Self.rows)
        return report(
            "kernels",
            bench.blasRows(repeats: repeats) + bench.tiledRows(repeats: repeats) + [bench.adamRow(repeats: repeats)]
                + bench.convolutionRows(repeats: repeats))
    }
}

/// Operands of the kernels, and the timing of each.
private final class Operands {
    let team: WorkerTeam
    private let network: WindowNetwork
    private let batch: Int
    private let rows: Int
    private let arena: Arena
    private let x, dy, packedDY: UnsafeMutablePointer<Float>
    private let weights, first, second: UnsafeMutablePointer<Float>
    private let partials, scratch: [UnsafeMutablePointer<Float>]
    private let tileRows: Int
    private let tiles: Int

    init(_ bench: KernelBenchmark, rows: Int) throws {
        network = bench.network
        batch = bench.batch
        self.rows = rows
        let outputs = network.hidden
        tileRows = WindowStem.tileRows(outputs: outputs)
        tiles = rows / tileRows
        let allowed = Processors.allowed()
        team = try WorkerTeam(count: bench.threads, processors: bench.threads == allowed.count ? allowed : [])
        let partialCount = TiledDense.paddedSamples(batch) * outputs
        let scratchCount = max(
            TiledDense.scratchCount(samples: batch, rows: tileRows), tileRows * outputs,
            ConvolutionPool(height: network.height, width: network.width, pool: network.pool).scratchCount)
        let counts = [batch * rows, batch * outputs, batch * outputs, rows * outputs, rows * outputs, rows * outputs]
        let bytes =
            counts.reduce(0) { $0 + Arena.bytes(Float.self, count: $1) }
            + bench.threads
            * (Arena.bytes(Float.self, count: partialCount) + Arena.bytes(Float.self, count: scratchCount))
        let arena = try Arena(capacity: bytes)
        self.arena = arena
        arena.touch(team: team)
        let carved = counts.map { arena.carve(Float.self, count: $0) }
        for (number, values) in carved.prefix(4).enumerated() {
            for index in values.indices { values[index] = Float((index &* 7 &+ number) % 23) * 0.01 - 0.1 }
        }
        (x, dy, packedDY) = (carved[0].baseAddress!, carved[1].baseAddress!, carved[2].baseAddress!)
        (weights, first, second) = (carved[3].baseAddress!, carved[4].baseAddress!, carved[5].baseAddress!)
        partials = (0..<bench.threads).map { _ in arena.carve(Float.self, count: partialCount).baseAddress! }
        scratch = (0..<bench.threads).map { _ in arena.carve(Float.self, count: scratchCount).baseAddress! }
        BLAS.useCallingThreadOnly()
    }

    private var operations: Double { 2 * Double(tiles * tileRows * network.hidden * batch) }

    private func range(_ tile: Int) -> Range<Int> { tile * tileRows..<(tile + 1) * tileRows }

    private func row(
        _ name: String, repeats: Int, work: Double, unit: BenchmarkRow.Unit = .gflops, _ body: () -> Void
    ) -> BenchmarkRow {
        var measurement = Measurement()
        body()
        for _ in 0..<repeats { measurement.run(body) }
        return BenchmarkRow(name: name, seconds: measurement.median, work: work, unit: unit)
    }

    func blasRows(repeats: Int) -> [BenchmarkRow] {
        let (inputs, outputs) = (rows, network.hidden)
        return [
            row("FC1 forward, BLAS", repeats: repeats, work: operations) {
                team.forEach(tiles / 20) { item, thread in
                    Dense.forward(
                        x: x, weights: weights, rows: item * 20 * tileRows..<(item + 1) * 20 * tileRows, samples: batch,
                        inputs: inputs, outputs: outputs, partial: partials[thread])
                }
            },
            row("FC1 input gradient, BLAS", repeats: repeats, work: operations) {
                team.forEach(tiles) { tile, _ in
                    Dense.inputGradient(
                        dy: dy, weights: weights, rows: range(tile), samples: batch, inputs: inputs, outputs: outputs, dx: x)
                }
            },
            row("FC1 weight gradient, BLAS", repeats: repeats, work: operations) {
                team.forEach(tiles) { tile, thread in
                    Dense.weightGradient(
                        x: x, dy: dy, rows: range(tile), samples: batch, inputs: inputs, outputs: outputs,
                        gradient: scratch[thread])
                }
            },
        ]
    }

    func tiledRows(repeats: Int) -> [BenchmarkRow] {
        guard TiledDense.fits(outputs: network.hidden) else { return [] }
        let tiled = TiledDense(inputs: rows, outputs: network.hidden, samples: batch)
        let immediate = ImmediateUpdate(
            update: AdamUpdate(rate: 1e-7, beta1: 0.9, beta2: 0.999, epsilon: 1e-8), weights: weights,
            firstMoment: first, secondMoment: second)
        tiled.pack(dy: dy, into: packedDY)
        return [
            row("FC1 forward, tiled", repeats: repeats, work: operations) {
                team.forEach(tiles / 20) { item, thread in
                    tiled.forward(
                        x: x, weights: weights, rows: item * 20 * tileRows..<(item + 1) * 20 * tileRows,
                        partial: partials[thread], scratch: scratch[thread])
                }
            },
            row("FC1 input gradient, tiled", repeats: repeats, work: operations) {
                team.forEach(tiles) { tile, _ in
                    tiled.inputGradient(dy: dy, weights: weights, rows: range(tile), dx: x)
                }
            },
            row("FC1 weight gradient with Adam, tiled", repeats: repeats, work: operations) {
                team.forEach(tiles) { tile, thread in
                    tiled.packInputs(x, rows: range(tile), into: scratch[thread])
                    tiled.weightGradient(
                        packedX: scratch[thread], packedDY: packedDY, rows: range(tile), immediate: immediate,
                        block: scratch[thread] + tiled.packedInputCount(rows: tileRows))
                }
            },
        ]
    }

    func adamRow(repeats: Int) -> BenchmarkRow {
        let update = AdamUpdate(rate: 1e-7, beta1: 0.9, beta2: 0.999, epsilon: 1e-8)
        let count = tileRows * network.hidden
        // Weights and moments are read and written; the gradient, a tile that stays in cache, is not counted.
        return row(
            "Adam by itself, memory moved", repeats: repeats, work: Double(tiles * count) * 24, unit: .gigabytes
        ) {
            team.forEach(tiles) { tile, thread in
                let start = tile * count
                update.apply(
                    weights: weights + start, firstMoment: first + start, secondMoment: second + start,
                    gradient: scratch[thread], count: count)
            }
        }
    }

    func convolutionRows(repeats: Int) -> [BenchmarkRow] {
        let convolution = ConvolutionPool(height: network.height, width: network.width, pool: network.pool)
        let images = 24
        guard
            let batches = try? BenchmarkBatches(network: network, batch: images, team: team),
            let memory = try? Arena(
                capacity: 2 * Arena.bytes(Float.self, count: images * convolution.outputCount)
                    + Arena.bytes(UInt8.self, count: images * convolution.outputCount)
                    + Arena.bytes(Float.self, count: images * 208) + Arena.bytes(Float.self, count: 208)
                    + Arena.bytes(
                        Int32.self, count: ActiveWindows.boundCount(rows: convolution.pooledHeight, capacity: images)))
        else { return [] }
        let pooled = memory.carve(Float.self, count: images * convolution.outputCount).baseAddress!
        let winners = memory.carve(UInt8.self, count: images * convolution.outputCount).baseAddress!
        let gradients = memory.carve(Float.self, count: images * 208).baseAddress!
        let taps = memory.carve(Float.self, count: 208).baseAddress!
        for index in 0..<208 { taps[index] = Float(index % 7) * 0.1 - 0.3 }
        let (input, _) = batches.batch(0)
        let count = ActiveWindows.boundCount(rows: convolution.pooledHeight, capacity: images)
        let active = ActiveWindows(
            rows: convolution.pooledHeight, columns: convolution.pooledWidth, capacity: images,
            bounds: memory.carve(Int32.self, count: count).baseAddress!)
        for image in 0..<images {
            convolution.findActive(input + image * convolution.inputCount, number: image, in: active)
        }
        for area in scratch { area.update(repeating: 0, count: convolution.scratchCount) }
        let work = 2.0 * 200 * Double(convolution.inputCount * images)
        return [
            row("convolution forward, \(images) images", repeats: repeats, work: work) {
                team.forEach(images) { image, thread in
                    convolution.forward(
                        image: input + image * convolution.inputCount, number: image, active: active,
                        fillsBackground: true, weights: taps, bias: taps + 200,
                        output: pooled + image * convolution.outputCount,
                        winners: winners + image * convolution.outputCount, scratch: scratch[thread])
                }
            },
            row(
                "largest magnitudes (finite check), \(images) images", repeats: repeats,
                work: 4 * Double((convolution.inputCount + convolution.outputCount) * images), unit: .gigabytes
            ) {
                team.forEach(images) { image, thread in
                    // Kept, so that the work is not left out.
                    scratch[thread][0] = Magnitude.peak(
                        input + image * convolution.inputCount, count: convolution.inputCount)
                    scratch[thread][1] = Magnitude.peak(
                        pooled + image * convolution.outputCount, count: convolution.outputCount)
                }
                for area in scratch { (area[0], area[1]) = (0, 0) }
            },
            row(
                "convolution backward, \(images) images", repeats: repeats,
                work: work / Double(network.pool * network.pool)
            ) {
                team.forEach(images) { image, thread in
                    convolution.backward(
                        image: input + image * convolution.inputCount, number: image, active: active, background: nil,
                        gradient: pooled + image * convolution.outputCount,
                        winners: winners + image * convolution.outputCount, weightGradient: gradients + image * 208,
                        biasGradient: gradients + image * 208 + 200, scratch: scratch[thread])
                }
            },
        ]
    }
}
