import Collectives
import Kernels
import Memory

/// A fully connected layer divided by its input rows: each rank holds some rows of the weights, for the whole global batch.
/// What travels is x to the holders of its columns, partial sums of y, the gradient of y to all, and that of x back: megabytes,
/// where the weights' gradient has hundreds (Krizhevsky 2014, "One weird trick").
final class DividedFullyConnectedLayer: PiecewiseLayer {
    private let inputs, outputs: Int
    private let communicator: any Communicator
    private let weight: LayerParameter
    private let bias: LayerParameter?
    /// Columns of x that each rank holds the weights of.
    private let columns: [Range<Int>]
    private let maximumSamples: Int
    private let y: UnsafeMutablePointer<Float>
    /// Of all ranks' samples: x (samples, held columns), and y or its gradient (samples, outputs).
    private let heldX, wholeY: UnsafeMutablePointer<Float>
    /// Messages: own x by rank, and dx of all samples.
    private let ownMessages, heldGradient: UnsafeMutablePointer<Float>
    /// In predictions: sums cut into slices, (3, samples, outputs) of each rank, and the own ones.
    private let slices, ownSlices: UnsafeMutablePointer<Float>
    private let prediction: ExactPrediction
    private let needsInputGradient: Bool
    /// Samples of each rank in this pass.
    private var counts: [Int]
    /// What this layer waits for.
    private var travelling: (any PendingExchange)?

    private var held: Range<Int> { columns[communicator.rank] }
    private var globalSamples: Int { counts.reduce(0, +) }

    init(_ description: FullyConnected, inputs: Int, _ communicator: any Communicator, _ builder: inout LayerBuilder) {
        self.inputs = inputs
        self.communicator = communicator
        outputs = description.units
        weight = builder.parameter()
        bias = description.bias ? builder.parameter() : nil
        maximumSamples = builder.samples
        columns = builder.division.rows[weight.parameter.name]!.map { $0.first ?? 0..<0 }
        let all = columns.count * maximumSamples
        let width = columns[builder.rank].count
        y = builder.activation(Shape(vector: outputs))
        heldX = builder.carver.floats(all * width)
        heldGradient = builder.carver.floats(all * width)
        wholeY = builder.carver.floats(all * outputs)
        ownMessages = builder.carver.floats(maximumSamples * inputs)
        slices = builder.carver.floats(ExactSum.slices * all * outputs)
        ownSlices = builder.carver.floats(ExactSum.slices * maximumSamples * outputs)
        prediction = ExactPrediction(
            inputs: inputs, outputs: outputs, scaledSamples: maximumSamples, samples: all, &builder.carver)
        needsInputGradient = builder.needsInputGradient
        counts = Array(repeating: 0, count: columns.count)
    }

    // MARK: Forward

    func forwardPieces(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) -> LayerPieces {
        if pass.mode == .evaluation { return LayerPieces([{ try self.predict(x, pass) }]) }
        return LayerPieces([
            {
                try self.sendInputs(x, pass)
                return nil
            },
            {
                try self.arrive(pass)
                try self.multiply(pass)
                return nil
            },
            {
                try self.arrive(pass)
                try self.addBias(pass)
                return self.y
            },
        ])
    }

    /// Partial sums of y, on their way to the ranks whose samples they are of.
    private func multiply(_ pass: Pass) throws {
        let samples = globalSamples
        try pass.forEach(blocks(outputs)) { item, _ in
            let range = block(item, of: outputs)
            BLAS.gemm(
                m: samples, n: range.count, k: held.count, a: heldX, strideA: held.count, b: weight.values + range.lowerBound,
                strideB: outputs, beta: 0, c: wholeY + range.lowerBound, strideC: outputs)
        }
        travelling = try pass.start {
            try communicator.startReduceScatterSum(
                UnsafeBufferPointer(start: wholeY, count: samples * outputs), counts: counts.map { $0 * outputs },
                into: UnsafeMutableBufferPointer(start: y, count: pass.samples * outputs))
        }
    }

    private func addBias(_ pass: Pass) throws {
        guard let bias = bias?.values else { return }
        try pass.forEach(pass.samples) { sample, _ in
            let row = y + sample &* outputs
            for index in 0..<outputs { row[index] += bias[index] }
        }
    }

    /// Waits for what is on its way.
    private func arrive(_ pass: Pass) throws {
        guard let travelling else { return }
        self.travelling = nil
        try pass.finish(travelling)
    }

    private func predict(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        try prediction.scale(x, inputs: inputs, pass)
        try sendInputs(prediction.scaled, pass)
        try arrive(pass)
        try prediction.multiply(heldX, samples: globalSamples, weights: weight.values, rows: held.count, pass)
        var first = 0
        for count in counts {
            let (target, step) = (slices + ExactSum.slices &* first &* outputs, count &* outputs)
            for sample in 0..<count {
                for output in 0..<outputs {
                    let place = target + (sample &* outputs &+ output)
                    (place[0], place[step], place[2 &* step]) = ExactSum.cut(
                        prediction.sum(sample: first &+ sample, output: output))
                }
            }
            first += count
        }
        let parts = counts.map { ExactSum.slices * $0 * outputs }
        try communicator.reduceScatterSum(
            UnsafeBufferPointer(start: slices, count: parts.reduce(0, +)), counts: parts,
            into: UnsafeMutableBufferPointer(start: ownSlices, count: parts[communicator.rank]))
        let step = pass.samples * outputs
        try pass.forEach(pass.samples) { sample, _ in
            for output in 0..<outputs {
                let place = sample &* outputs &+ output
                y[place] = prediction.finish(
                    ExactSum.join(ownSlices[place], ownSlices[step &+ place], ownSlices[2 &* step &+ place]), sample: sample,
                    bias: bias?.values[output] ?? 0)
            }
        }
        return y
    }

    /// x of all ranks' samples, in the held columns.
    private func sendInputs(_ x: UnsafePointer<Float>, _ pass: Pass) throws {
        counts = try pass.countsOfRanks()
        try pass.forEach(pass.samples) { sample, _ in
            for columns in columns {
                (ownMessages + (pass.samples &* columns.lowerBound &+ sample &* columns.count)).update(
                    from: x + (sample &* inputs &+ columns.lowerBound), count: columns.count)
            }
        }
        try exchange(heldX, toHolders: true, pass)
    }

    /// - Parameter held: of all samples, in the held columns; the own samples' messages are its counterpart.
    private func exchange(_ held: UnsafeMutablePointer<Float>, toHolders: Bool, _ pass: Pass) throws {
        let (own, samples) = (ownMessages, pass.samples)
        let stride = MemoryLayout<Float>.stride
        let ownCounts = columns.map { $0.count * samples * stride }
        let heldCounts = counts.map { $0 * self.held.count * stride }
        let ownBytes = UnsafeMutableRawBufferPointer(start: own, count: ownCounts.reduce(0, +))
        let heldBytes = UnsafeMutableRawBufferPointer(start: held, count: heldCounts.reduce(0, +))
        travelling = try pass.start {
            toHolders
                ? try communicator.startPackedAlltoall(
                    UnsafeRawBufferPointer(ownBytes), sendCounts: ownCounts, into: heldBytes, receiveCounts: heldCounts)
                : try communicator.startPackedAlltoall(
                    UnsafeRawBufferPointer(heldBytes), sendCounts: heldCounts, into: ownBytes, receiveCounts: ownCounts)
        }
    }

    // MARK: Backward

    func backwardPieces(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) -> LayerPieces {
        LayerPieces([
            {
                try self.sendGradient(dy, pass)
                return nil
            },
            {
                try self.arrive(pass)
                pass.pool.give(dy)
                if self.needsInputGradient { try self.sendInputGradient(pass) }
                // Meanwhile the input's gradient is on its way.
                try self.writeWeightGradient(pass)
                return nil
            },
            { self.needsInputGradient ? try self.takeInputGradient(pass) : nil },
        ])
    }

    func planBackward(_ plan: inout GradientPlan) {}

    /// dy of the own samples, to all.
    private func sendGradient(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws {
        if let bias {
            Kernels.Dense.biasGradient(dy: dy, samples: pass.samples, outputs: outputs, gradient: bias.gradient)
            try pass.finished(bias)
        }
        travelling = try pass.start {
            try communicator.startAllgather(
                UnsafeBufferPointer(start: dy, count: pass.samples * outputs), counts: counts.map { $0 * outputs },
                into: UnsafeMutableBufferPointer(start: wholeY, count: globalSamples * outputs))
        }
    }

    private func sendInputGradient(_ pass: Pass) throws {
        try pass.forEach(blocks(held.count)) { item, _ in
            Kernels.Dense.inputGradient(
                dy: wholeY, weights: weight.values, rows: block(item, of: held.count), samples: globalSamples, inputs: held.count,
                outputs: outputs, dx: heldGradient)
        }
        try exchange(heldGradient, toHolders: false, pass)
    }

    private func writeWeightGradient(_ pass: Pass) throws {
        try pass.forEach(blocks(held.count)) { item, _ in
            let range = block(item, of: held.count)
            Kernels.Dense.weightGradient(
                x: heldX, dy: wholeY, rows: range, samples: globalSamples, inputs: held.count, outputs: outputs,
                gradient: weight.gradient + range.lowerBound &* outputs)
        }
        try pass.finished(weight)
    }

    private func takeInputGradient(_ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        try arrive(pass)
        let dx = pass.pool.take()
        try pass.forEach(pass.samples) { sample, _ in
            for columns in columns {
                (dx + (sample &* inputs &+ columns.lowerBound)).update(
                    from: ownMessages + (pass.samples &* columns.lowerBound &+ sample &* columns.count), count: columns.count)
            }
        }
        return dx
    }

    private func blocks(_ total: Int) -> Int { (total + FullyConnectedLayer.block - 1) / FullyConnectedLayer.block }

    private func block(_ item: Int, of total: Int) -> Range<Int> {
        item &* FullyConnectedLayer.block..<min(total, (item &+ 1) &* FullyConnectedLayer.block)
    }
}
