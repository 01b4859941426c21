import Collectives
import Kernels
import Memory

/// A fully connected layer divided by its input rows: each rank holds some rows of the weights, for the whole global batch.
/// What travels is x to the holders of its columns, partial sums of y, the gradient of y to all, and that of x back: megabytes,
/// where the weights' gradient has hundreds (Krizhevsky 2014, "One weird trick").
final class DividedFullyConnectedLayer: Layer {
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

    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        try pass.waiting { try shareCounts(pass) }
        if pass.mode == .evaluation { return try predict(x, pass) }
        try sendInputs(x, pass)
        let samples = globalSamples
        try pass.forEach(blocks(outputs)) { item, _ in
            let range = block(item, of: outputs)
            BLAS.gemm(
                m: samples, n: range.count, k: held.count, a: heldX, strideA: held.count, b: weight.values + range.lowerBound,
                strideB: outputs, beta: 0, c: wholeY + range.lowerBound, strideC: outputs)
        }
        try pass.waiting {
            try communicator.reduceScatterSum(
                UnsafeBufferPointer(start: wholeY, count: samples * outputs), counts: counts.map { $0 * outputs },
                into: UnsafeMutableBufferPointer(start: y, count: pass.samples * outputs))
        }
        guard let bias = bias?.values else { return y }
        try pass.forEach(pass.samples) { sample, _ in
            let row = y + sample &* outputs
            for index in 0..<outputs { row[index] += bias[index] }
        }
        return y
    }

    private func predict(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        try prediction.scale(x, inputs: inputs, pass)
        try sendInputs(prediction.scaled, pass)
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

    /// Every rank may have its own number of samples.
    private func shareCounts(_ pass: Pass) throws {
        var own = Float(pass.samples)
        try withUnsafeTemporaryAllocation(of: Float.self, capacity: columns.count) { all in
            try withUnsafePointer(to: &own) { own in
                try communicator.allgather(
                    UnsafeBufferPointer(start: own, count: 1), counts: Array(repeating: 1, count: columns.count),
                    into: UnsafeMutableBufferPointer(rebasing: all[..<columns.count]))
            }
            for rank in counts.indices { counts[rank] = Int(all[rank]) }
        }
    }

    /// x of all ranks' samples, in the held columns.
    private func sendInputs(_ x: UnsafePointer<Float>, _ pass: Pass) throws {
        try pass.forEach(pass.samples) { sample, _ in
            for columns in columns {
                (ownMessages + (pass.samples &* columns.lowerBound &+ sample &* columns.count)).update(
                    from: x + (sample &* inputs &+ columns.lowerBound), count: columns.count)
            }
        }
        try pass.waiting { try exchange(ownMessages, sends: pass.samples, heldX, toHolders: true) }
    }

    private func exchange(
        _ own: UnsafeMutablePointer<Float>, sends samples: Int, _ held: UnsafeMutablePointer<Float>, toHolders: Bool
    ) throws {
        let stride = MemoryLayout<Float>.stride
        let ownCounts = columns.map { $0.count * samples * stride }
        let heldCounts = counts.map { $0 * self.held.count * stride }
        let ownBytes = UnsafeMutableRawBufferPointer(start: own, count: ownCounts.reduce(0, +))
        let heldBytes = UnsafeMutableRawBufferPointer(start: held, count: heldCounts.reduce(0, +))
        let pending =
            toHolders
            ? try communicator.startPackedAlltoall(
                UnsafeRawBufferPointer(ownBytes), sendCounts: ownCounts, into: heldBytes, receiveCounts: heldCounts)
            : try communicator.startPackedAlltoall(
                UnsafeRawBufferPointer(heldBytes), sendCounts: heldCounts, into: ownBytes, receiveCounts: ownCounts)
        try pending.finish()
    }

    // MARK: Backward

    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        if let bias {
            Kernels.Dense.biasGradient(dy: dy, samples: pass.samples, outputs: outputs, gradient: bias.gradient)
            try pass.finished(bias)
        }
        let samples = globalSamples
        try pass.waiting {
            try communicator.allgather(
                UnsafeBufferPointer(start: dy, count: pass.samples * outputs), counts: counts.map { $0 * outputs },
                into: UnsafeMutableBufferPointer(start: wholeY, count: samples * outputs))
        }
        try pass.forEach(blocks(held.count)) { item, _ in
            let range = block(item, of: held.count)
            Kernels.Dense.weightGradient(
                x: heldX, dy: wholeY, rows: range, samples: samples, inputs: held.count, outputs: outputs,
                gradient: weight.gradient + range.lowerBound &* outputs)
            guard needsInputGradient else { return }
            Kernels.Dense.inputGradient(
                dy: wholeY, weights: weight.values, rows: range, samples: samples, inputs: held.count, outputs: outputs,
                dx: heldGradient)
        }
        try pass.finished(weight)
        defer { pass.pool.give(dy) }
        guard needsInputGradient else { return nil }
        try pass.waiting { try exchange(ownMessages, sends: pass.samples, heldGradient, toHolders: false) }
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
