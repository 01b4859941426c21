import Kernels
import Memory
import System

/// The first fully connected layer: nearly all of the network's weights and work. It runs over blocks of rows of w.
///
/// `@unchecked Sendable`: threads write their own scratch and disjoint rows or samples.
final class LargeDense: @unchecked Sendable {
    /// The long dimension of the forward product is cut into this many lanes at most, whose sums are added in order: the
    /// order does not depend on threads. 24 divides evenly among 1, 2, 3, 4, 6, 8, 12 and 24.
    private static let maximumLanes = 24
    /// A lane shorter than this many rows is not worth a product of its own.
    private static let minimumLaneRows = 512

    private let inputs: Int
    private let outputs: Int
    private let kernels: DenseKernels
    private let team: WorkerTeam
    private let lanes: Int
    private let tileRows: Int
    /// (lanes, samples, outputs), samples in whole panels.
    private let partials: UnsafeMutablePointer<Float>
    /// (outputs / 16, samples, 16).
    private let packedGradient: UnsafeMutablePointer<Float>
    private let scratch: [UnsafeMutablePointer<Float>]

    /// - Parameter carver: gives room, on `threads` threads. The owner keeps the memory.
    init(
        inputs: Int, outputs: Int, maximumSamples: Int, team: WorkerTeam, threads: Int, kernels: DenseKernels,
        _ carver: inout Carver
    ) {
        self.inputs = inputs
        self.outputs = outputs
        self.team = team
        self.kernels = kernels.choose(outputs: outputs)
        lanes = Self.lanes(inputs)
        tileRows = Self.tileRows(outputs)
        partials = carver.floats(Self.partialCount(inputs, outputs, maximumSamples))
        packedGradient = carver.floats(TiledDense.packedCount(samples: maximumSamples, outputs: outputs))
        scratch = carver.floats(TiledDense.scratchCount(samples: maximumSamples, rows: tileRows), of: threads)
    }

    private static func partialCount(_ inputs: Int, _ outputs: Int, _ samples: Int) -> Int {
        lanes(inputs) * TiledDense.paddedSamples(samples) * outputs
    }

    static func lanes(_ rows: Int) -> Int { max(1, min(maximumLanes, rows / minimumLaneRows)) }

    static func tileRows(_ outputs: Int) -> Int {
        max(1, WindowStem.tileFloats / outputs / TiledDense.rowGranule) * TiledDense.rowGranule
    }

    /// y = max(0, x · w + bias).
    /// - Parameters:
    ///   - x: (samples, inputs). weights: (inputs, outputs). y: (samples, outputs), overwritten.
    func forward(
        x: UnsafePointer<Float>, weights: UnsafePointer<Float>, bias: UnsafePointer<Float>, samples: Int,
        y: UnsafeMutablePointer<Float>
    ) {
        let tiled = TiledDense(inputs: inputs, outputs: outputs, samples: samples)
        let rowsOfPartial = kernels == .tiled ? TiledDense.paddedSamples(samples) : samples
        team.forEach(lanes) { lane, thread in
            let rows = part(lane, of: lanes, total: inputs)
            let partial = partials + lane * rowsOfPartial * outputs
            if kernels == .tiled {
                tiled.forward(x: x, weights: weights, rows: rows, partial: partial, scratch: scratch[thread])
            } else {
                Kernels.Dense.forward(
                    x: x, weights: weights, rows: rows, samples: samples, inputs: inputs, outputs: outputs,
                    partial: partial)
            }
        }
        team.forEach(samples) { sample, _ in
            Kernels.Dense.finish(
                partials: partials, lanes: lanes, sample: sample, samples: rowsOfPartial, outputs: outputs, bias: bias,
                rectified: true, y: y)
        }
    }

    /// Makes ready what all blocks of the backward pass share.
    /// - Parameter dy: (samples, outputs), gradient before the ReLU.
    func beginBackward(dy: UnsafePointer<Float>, samples: Int) {
        guard kernels == .tiled else { return }
        TiledDense(inputs: inputs, outputs: outputs, samples: samples).pack(dy: dy, into: packedGradient)
    }

    /// A tile of rows at a time, while it is in cache: the gradient of its inputs (in the place of the inputs, which are
    /// not needed any more), its own gradient, and what the sink does with that.
    func backward(
        _ parameter: Parameter, bucket: Range<Int>, x: UnsafeMutablePointer<Float>, dy: UnsafePointer<Float>,
        weights: UnsafePointer<Float>, samples: Int, sink: any GradientSink
    ) throws {
        let immediate = sink.immediateUpdate(of: parameter)
        try sink.forEach((bucket.count + tileRows - 1) / tileRows, on: team) { tile, thread in
            let start = bucket.lowerBound + tile * tileRows
            let rows = start..<min(start + tileRows, bucket.upperBound)
            if kernels == .tiled && samples > 0 {
                tiledBackward(
                    parameter, rows: rows, x: x, dy: dy, weights: weights, samples: samples, sink: sink,
                    immediate: immediate, thread: thread)
            } else {
                plainBackward(
                    parameter, rows: rows, x: x, dy: dy, weights: weights, samples: samples, sink: sink, thread: thread)
            }
        }
    }

    private func tiledBackward(
        _ parameter: Parameter, rows: Range<Int>, x: UnsafeMutablePointer<Float>, dy: UnsafePointer<Float>,
        weights: UnsafePointer<Float>, samples: Int, sink: any GradientSink, immediate: ImmediateUpdate?, thread: Int
    ) {
        let tiled = TiledDense(inputs: inputs, outputs: outputs, samples: samples)
        let packed = scratch[thread]
        tiled.packInputs(x, rows: rows, into: packed)
        tiled.inputGradient(dy: dy, weights: weights, rows: rows, dx: x)
        if let immediate {
            tiled.weightGradient(
                packedX: packed, packedDY: packedGradient, rows: rows, immediate: immediate,
                block: packed + tiled.packedInputCount(rows: rows.count))
        } else {
            let gradient = sink.destination(of: parameter, rows: rows, thread: thread)
            tiled.weightGradient(packedX: packed, packedDY: packedGradient, rows: rows.count, gradient: gradient)
            sink.tileFinished(parameter, rows: rows, gradient: gradient, thread: thread)
        }
    }

    private func plainBackward(
        _ parameter: Parameter, rows: Range<Int>, x: UnsafeMutablePointer<Float>, dy: UnsafePointer<Float>,
        weights: UnsafePointer<Float>, samples: Int, sink: any GradientSink, thread: Int
    ) {
        let gradient = sink.destination(of: parameter, rows: rows, thread: thread)
        if samples > 0 {
            Kernels.Dense.weightGradient(
                x: x, dy: dy, rows: rows, samples: samples, inputs: inputs, outputs: outputs, gradient: gradient)
            Kernels.Dense.inputGradient(
                dy: dy, weights: weights, rows: rows, samples: samples, inputs: inputs, outputs: outputs, dx: x)
        } else {
            gradient.update(repeating: 0, count: rows.count * outputs)
        }
        sink.tileFinished(parameter, rows: rows, gradient: gradient, thread: thread)
    }
}

extension WindowStem {
    /// Rows of the tiles in which the gradient of a layer with `outputs` units is made: about `tileFloats`, but never
    /// fewer rows than the kernels' granule.
    package static func tileRows(outputs: Int) -> Int { LargeDense.tileRows(outputs) }
}
