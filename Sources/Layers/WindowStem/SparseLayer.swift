package import Kernels
package import Memory
package import System

/// The first fully connected layer, or some blocks of its rows, where most windows see background alone: the order in which
/// `WindowBatch` takes the blocks, and the room it needs.
///
/// `@unchecked Sendable`: threads write their own scratch and disjoint lanes, rows or samples.
package final class SparseLayer: @unchecked Sendable {
    /// Blocks of windows whose weights are held, in order, and the row of the held weights that each begins with.
    package struct Held: Sendable {
        package let blocks: WindowBlocks
        package let numbers: [Int]
        package let rows: [Int]
        /// Rows of weights in all of them.
        package let rowCount: Int

        package init(_ blocks: WindowBlocks, numbers: [Int]) {
            self.blocks = blocks
            self.numbers = numbers
            var (rows, end) = ([Int](), 0)
            for number in numbers {
                rows.append(end)
                end += blocks.windows(number).count * ConvolutionPool.channels
            }
            self.rows = rows
            rowCount = end
        }
    }

    package let held: Held
    private let outputs: Int
    private let team: WorkerTeam
    private let lanes: Int
    /// (lanes, samples + 1, outputs); in predictions doubles, (`predictionLanes`, samples + 2, outputs in whole strips).
    private let partials: UnsafeMutablePointer<Float>
    /// (outputs / 16, samples, 16).
    private let packedGradient: UnsafeMutablePointer<Float>
    /// (lanes, 8, outputs): sums of the weights' rows by channel; the first lane's place takes the total.
    private let channelSums: UnsafeMutablePointer<Float>
    /// (outputs): what is added to every sample beside its products.
    private let offsets: UnsafeMutablePointer<Float>
    /// (outputs): the background's sums of the last prediction, which are those of the next while the weights stay.
    private let backgroundSums: UnsafeMutablePointer<Double>
    /// The weights that `backgroundSums` were made from; see `Pass.weightsVersion`.
    private var backgroundVersion: Int?
    /// The weights of the prediction under way, and whether it takes the background from `backgroundSums`.
    private var predictionVersion = 0
    private var knowsBackground: Bool { backgroundVersion == predictionVersion }
    private let scratch: [UnsafeMutablePointer<Float>]

    /// - Parameter carver: gives room, on `threads` threads. The owner keeps the memory.
    package init(
        held: Held, outputs: Int, maximumSamples: Int, team: WorkerTeam, threads: Int, _ carver: inout Carver
    ) {
        self.held = held
        self.outputs = outputs
        self.team = team
        lanes = Self.lanes(held.rowCount)
        let counts = Self.counts(rows: held.rowCount, outputs: outputs, samples: maximumSamples)
        partials = carver.floats(counts.partials)
        packedGradient = carver.floats(counts.gradient)
        channelSums = carver.floats(counts.sums)
        offsets = carver.floats(outputs)
        backgroundSums = carver.carve(Double.self, count: outputs).baseAddress!
        scratch = carver.floats(counts.scratch, of: threads)
    }

    /// The blocks' products are added up in so many places, which are added in order: the order does not depend on threads. Each
    /// place costs a way through memory, and so a rank that holds part of a large layer has fewer.
    private static func lanes(_ rows: Int) -> Int { max(min(LargeDense.lanes(rows), 8), min(24, rows / 6_400)) }

    /// A prediction's sums are doubles, in about the same room.
    private static func predictionLanes(_ rows: Int) -> Int { max(1, lanes(rows) / 2) }

    /// Bytes of arena that the layer needs besides its parameters.
    /// - Parameter rows: of the held weights.
    package static func bytes(rows: Int, outputs: Int, maximumSamples: Int, threads: Int) -> Int {
        let counts = counts(rows: rows, outputs: outputs, samples: maximumSamples)
        return [counts.partials, counts.gradient, counts.sums, outputs].reduce(0) { $0 + Arena.bytes(Float.self, count: $1) }
            + Arena.bytes(Double.self, count: outputs) + threads * Arena.bytes(Float.self, count: counts.scratch)
    }

    private static func counts(
        rows: Int, outputs: Int, samples: Int
    ) -> (partials: Int, gradient: Int, sums: Int, scratch: Int) {
        let lanes = lanes(rows)
        return (
            max(
                lanes * WindowBatch.partialRows(samples: samples) * outputs,
                2 * predictionLanes(rows) * WindowBatch.predictionCount(samples: samples, outputs: outputs)),
            TiledDense.packedCount(samples: samples, outputs: outputs), lanes * ConvolutionPool.channels * outputs,
            WindowBatch.scratchCount(samples: samples)
        )
    }

    // MARK: Forward

    /// Starts a forward pass.
    package func begin(_ input: WindowBatch) {
        let rows = WindowBatch.partialRows(samples: input.samples)
        team.forEach(lanes) { lane, _ in
            (partials + lane * rows * outputs).update(repeating: 0, count: rows * outputs)
            let count = ConvolutionPool.channels * outputs
            (channelSums + lane * count).update(repeating: 0, count: count)
        }
    }

    /// Adds the products of some of the held blocks, given by their positions.
    /// - Parameters:
    ///   - weights: (held rows, outputs).
    ///   - poll: called on the caller's thread now and then.
    package func accumulate(
        _ input: WindowBatch, _ positions: Range<Int>, weights: UnsafePointer<Float>, poll: () -> Void = {}
    ) {
        let rows = WindowBatch.partialRows(samples: input.samples)
        // Blocks in turn, as the active ones lie close together.
        team.forEach(lanes) { lane, thread in
            let partial = partials + lane * rows * outputs
            let sums = channelSums + lane * ConvolutionPool.channels * outputs
            for position in stride(from: positions.lowerBound + lane, to: positions.upperBound, by: lanes) {
                let next = position + lanes
                input.forward(
                    block: held.numbers[position], row: held.rows[position],
                    next: next < positions.upperBound ? held.rows[next] : nil, weights: weights, partial: partial,
                    sums: sums, scratch: scratch[thread])
                if thread == 0 { poll() }
            }
        }
    }

    /// Ends a forward pass: y = x · w over the held rows, plus `bias`, rectified or not.
    /// - Parameters:
    ///   - bias: (outputs), or nil. y: (samples, outputs), overwritten.
    package func finish(
        _ input: WindowBatch, bias: UnsafePointer<Float>?, rectified: Bool, y: UnsafeMutablePointer<Float>
    ) {
        for lane in 1..<max(1, lanes) {
            let source = channelSums + lane * ConvolutionPool.channels * outputs
            for index in 0..<ConvolutionPool.channels * outputs { channelSums[index] += source[index] }
        }
        if let bias { offsets.update(from: bias, count: outputs) } else { offsets.update(repeating: 0, count: outputs) }
        for channel in 0..<ConvolutionPool.channels where input.isLiving(channel) {
            let (value, sums) = (input.background[channel], channelSums + channel * outputs)
            for index in 0..<outputs { offsets[index] += value * sums[index] }
        }
        team.forEach(input.samples) { sample, _ in
            Kernels.Dense.finish(
                partials: partials, lanes: lanes, sample: sample, samples: WindowBatch.partialRows(samples: input.samples),
                outputs: outputs, bias: offsets, rectified: rectified, y: y)
        }
    }

    // MARK: Prediction

    /// Starts a prediction: a forward pass by `WindowBatch.predict`, which no backward pass can follow.
    /// - Parameter weightsVersion: see `Pass.weightsVersion`. Sums over the background are made once for each.
    package func beginPrediction(_ input: WindowBatch, weightsVersion: Int) {
        predictionVersion = weightsVersion
        let bytes = 8 * WindowBatch.predictionCount(samples: input.samples, outputs: outputs)
        let sums = UnsafeMutableRawPointer(partials)
        team.forEach(Self.predictionLanes(held.rowCount)) { lane, _ in
            _ = (sums + lane * bytes).initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
        }
    }

    /// Adds the products of some of the held blocks, given by their positions.
    /// - Parameters:
    ///   - weights: (held rows, outputs). scales: see `WindowBatch.predict`.
    ///   - poll: called on the caller's thread now and then.
    package func predict(
        _ input: WindowBatch, _ positions: Range<Int>, weights: UnsafePointer<Float>, scales: UnsafePointer<Float>,
        poll: () -> Void = {}
    ) {
        let bytes = 8 * WindowBatch.predictionCount(samples: input.samples, outputs: outputs)
        let lanes = Self.predictionLanes(held.rowCount)
        let sums = UnsafeMutableRawPointer(partials)
        let backgroundScale = Self.backgroundScale(input)
        team.forEach(lanes) { lane, thread in
            // What has neither an active window nor a background to be added is not even looked ahead to.
            func next(from first: Int) -> Int? {
                stride(from: first, to: positions.upperBound, by: lanes).first {
                    !knowsBackground || input.isActive(block: held.numbers[$0])
                }
            }
            var position = next(from: positions.lowerBound + lane)
            while let current = position {
                position = next(from: current + lanes)
                input.predict(
                    block: held.numbers[current], row: held.rows[current], next: position.map { held.rows[$0] },
                    weights: weights, scales: scales, backgroundScale: knowsBackground ? nil : backgroundScale,
                    sums: sums + lane * bytes, scratch: scratch[thread])
                if thread == 0 { poll() }
            }
        }
    }

    /// Ends a prediction: the sums over the held rows, still scaled.
    package func finishPrediction(_ input: WindowBatch) -> PredictionSums {
        let padded = WindowBatch.paddedOutputs(outputs)
        let bytes = 8 * WindowBatch.predictionCount(samples: input.samples, outputs: outputs)
        let (lanes, sums) = (Self.predictionLanes(held.rowCount), UnsafeMutableRawPointer(partials))
        team.forEach(input.samples + 2) { row, _ in
            for lane in 1..<max(1, lanes) {
                for place in stride(from: row * padded * 8, to: (row * padded + outputs) * 8, by: 8) {
                    let value = (sums + lane * bytes).load(fromByteOffset: place, as: Double.self)
                    sums.storeBytes(
                        of: sums.load(fromByteOffset: place, as: Double.self) + value, toByteOffset: place, as: Double.self)
                }
            }
        }
        let background = (sums + (input.samples + 1) * padded * 8).assumingMemoryBound(to: Double.self)
        if knowsBackground {
            background.update(from: backgroundSums, count: outputs)
        } else {
            backgroundSums.update(from: background, count: outputs)
            backgroundVersion = predictionVersion
        }
        return PredictionSums(
            sums: sums, rowBytes: padded * 8, samples: input.samples,
            backgroundFactor: 1 / Double(Self.backgroundScale(input)))
    }

    /// What the background's values are brought to at most 1 by.
    private static func backgroundScale(_ input: WindowBatch) -> Float {
        let background = input.background
        let peak = withUnsafeTemporaryAllocation(of: Float.self, capacity: ConvolutionPool.channels) { room in
            for channel in 0..<ConvolutionPool.channels { room[channel] = background[channel] }
            return Magnitude.peak(room.baseAddress!, count: ConvolutionPool.channels)
        }
        return ExactSum.scale(peak: peak)
    }

    // MARK: Backward

    /// What all blocks of the backward pass share.
    /// - Parameters:
    ///   - dy: (samples, outputs), gradient before the ReLU. columnSums: (outputs), its sums over the samples.
    package func beginBackward(
        _ input: WindowBatch, dy: UnsafePointer<Float>, columnSums: UnsafePointer<Float>
    ) -> SparseGradient {
        TiledDense(inputs: input.stride, outputs: outputs, samples: input.samples).pack(dy: dy, into: packedGradient)
        return SparseGradient(dy: dy, packed: packedGradient, columnSums: columnSums)
    }

    /// The gradient of the background's value, (8): the sum over the held windows and all samples of dx, for the living channels.
    /// Before the weights change it is that of the last forward pass.
    package func backgroundGradient(_ input: WindowBatch, _ gradient: SparseGradient) -> SIMD8<Float> {
        var result = SIMD8<Float>.zero
        for channel in 0..<ConvolutionPool.channels where input.isLiving(channel) {
            let sums = channelSums + channel * outputs
            var total = 0.0
            for index in 0..<outputs { total += Double(gradient.columnSums[index]) * Double(sums[index]) }
            result[channel] = Float(total)
        }
        return result
    }

    /// Gradient of x in its place, and the update of the weights, of some of the held blocks.
    /// - Parameters:
    ///   - immediate: weights and moments of the held rows.
    ///   - poll: called on the caller's thread now and then.
    package func backward(
        _ input: WindowBatch, _ gradient: SparseGradient, _ positions: Range<Int>, immediate: ImmediateUpdate,
        poll: () -> Void = {}
    ) {
        team.forEach(positions.count) { item, thread in
            let position = positions.lowerBound + item
            input.backward(
                windows: held.blocks.windows(held.numbers[position]), row: held.rows[position], gradient,
                immediate: immediate, scratch: scratch[thread])
            if thread == 0 { poll() }
        }
    }

    /// Gradient of x in its place, and that of the weights for `sink`, of a bucket of rows, where all rows are held.
    /// - Precondition: buckets consist of whole windows (`WindowStem.bucketGranule`).
    func backward(
        _ input: WindowBatch, _ gradient: SparseGradient, _ parameter: Parameter, bucket: Range<Int>,
        weights: UnsafePointer<Float>, sink: any GradientSink
    ) throws {
        let channels = ConvolutionPool.channels
        precondition(bucket.lowerBound % channels == 0 && bucket.upperBound % channels == 0)
        let immediate = sink.immediateUpdate(of: parameter)
        let windows = bucket.lowerBound / channels..<bucket.upperBound / channels
        let width = min(WindowBlocks.width, max(1, WindowStem.tileRows(outputs: outputs) / channels))
        try sink.forEach((windows.count + width - 1) / width, on: team) { tile, thread in
            let start = windows.lowerBound + tile * width
            let windows = start..<min(start + width, windows.upperBound)
            let rows = windows.lowerBound * channels..<windows.upperBound * channels
            if let immediate {
                input.backward(
                    windows: windows, row: rows.lowerBound, gradient, immediate: immediate, scratch: scratch[thread])
            } else {
                let place = sink.destination(of: parameter, rows: rows, thread: thread)
                input.backward(
                    windows: windows, row: rows.lowerBound, weights: weights, gradient, gradient: place,
                    scratch: scratch[thread])
                sink.tileFinished(parameter, rows: rows, gradient: place, thread: thread)
            }
        }
    }
}

/// The sums that a prediction ends with; borrowed memory, until the layer's next call. See `ExactSum`.
///
/// `@unchecked Sendable`: read only.
package struct PredictionSums: @unchecked Sendable {
    /// (samples + 2, ...), doubles.
    fileprivate let sums: UnsafeMutableRawPointer
    fileprivate let rowBytes: Int
    fileprivate let samples: Int
    /// What the background's sums are to be multiplied by, a power of two.
    package let backgroundFactor: Double

    /// The sum of scale · (x - c) · w.
    package func active(sample: Int, output: Int) -> Double {
        sums.load(fromByteOffset: sample &* rowBytes &+ output &* 8, as: Double.self)
    }

    /// The sum of c · w over all windows, scaled.
    package func background(output: Int) -> Double { active(sample: samples &+ 1, output: output) }

    /// One value of y = max(0, x · w + bias). NaN passes.
    /// - Parameters:
    ///   - active, background: sums over all rows. scale: the sample's.
    @inline(__always)
    package func finish(active: Double, background: Double, scale: Float, bias: Float) -> Float {
        let value = Float(active / Double(scale) + background * backgroundFactor + Double(bias))
        return value <= 0 ? 0 : value
    }
}

extension WindowStem {
    /// Rows of a bucket of the large layer are a multiple of this: windows are not divided.
    package static var bucketGranule: Int { ConvolutionPool.channels }
}
