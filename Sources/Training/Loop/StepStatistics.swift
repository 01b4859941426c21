package import Collectives
package import HandData
package import Kernels

/// What one step says about the training, summed over the ranks in one small allreduce before any weight changes.
package struct StepStatistics {
    /// Ranks that cannot go on with this step.
    package private(set) var failures = 0.0
    /// For each `StopReason`, ranks that it reached before this step.
    private var stops = [Double](repeating: 0, count: StopReason.allCases.count)
    package private(set) var samples = 0.0
    /// Sum of the losses over values.
    package private(set) var losses = 0.0
    /// Distances between predicted and true joints.
    private var metrics: HandMetrics
    /// Outputs that are exactly 0.
    package private(set) var zeroOutputs = 0.0
    /// Sum of squares of the error's derivative before the last head, without the factor 2 / values.
    package private(set) var headGradientSquares = 0.0
    package private(set) var squaredLabels = 0.0
    /// Samples left out of this step because they could not be read.
    package private(set) var skipped = 0.0
    /// Per output: sum and sum of squares over the batch.
    package private(set) var outputSums: [Double]
    package private(set) var outputSquares: [Double]

    /// What each rank tells of itself, (ranks, values), in steps in which it does.
    package private(set) var notes: [Double] = []

    private static let scalars = 7
    private let outputs: Int
    private let decoder: JointDecoder
    /// Room for joints in the image.
    private var joints: (predicted: [Float], truth: [Float])

    /// - Parameters:
    ///   - outputs: values of a label, 48.
    ///   - decoder: turns them into joints in the image.
    ///   - camera: turns pixels into mm.
    package init(outputs: Int, decoder: JointDecoder = JointDecoder(units: .image), camera: Camera) {
        self.outputs = outputs
        self.decoder = decoder
        joints = (Array(repeating: 0, count: outputs), Array(repeating: 0, count: outputs))
        metrics = HandMetrics(camera: camera, thresholds: [])
        outputSums = Array(repeating: 0, count: outputs)
        outputSquares = Array(repeating: 0, count: outputs)
    }

    /// A rank that failed takes part with nothing but the news.
    package mutating func setFailed() { failures = 1 }

    /// This rank was asked to stop.
    package mutating func setStopping(_ reason: StopReason) { stops[reason.rawValue] = 1 }

    /// Something to tell all ranks in this step; all ranks do, with as many values.
    package mutating func setNote(_ values: [Double], rank: Int, ranks: Int) {
        notes = Array(repeating: 0, count: values.count * ranks)
        notes.replaceSubrange(values.count * rank..<values.count * (rank + 1), with: values)
    }

    /// Adds this rank's samples.
    /// - Parameters:
    ///   - predictions, labels: (samples, 48), in the decoder's units.
    ///   - loss: the sum of the losses over values; nil: the squared errors'.
    ///   - geometries: of the samples; none for whole frames.
    package mutating func add(
        predictions: UnsafePointer<Float>, labels: UnsafePointer<Float>, samples count: Int, skipped left: Int,
        head: OutputHead, loss: Double? = nil, geometries: UnsafeBufferPointer<CropGeometry> = .init(start: nil, count: 0)
    ) {
        samples += Double(count)
        skipped += Double(left)
        losses += loss ?? SquaredError.sum(outputs: predictions, labels: labels, count: count * outputs)
        for sample in 0..<count {
            let (predicted, truth) = (predictions + sample * outputs, labels + sample * outputs)
            for output in 0..<outputs {
                let (o, t) = (Double(predicted[output]), Double(truth[output]))
                outputSums[output] += o
                outputSquares[output] += o * o
                squaredLabels += t * t
                if o == 0 { zeroOutputs += 1 }
                let derivative = head.backward(output: o, gradient: o - t)
                headGradientSquares += derivative * derivative
            }
            guard !geometries.isEmpty else {
                metrics.add(
                    prediction: UnsafeBufferPointer(start: predicted, count: outputs),
                    truth: UnsafeBufferPointer(start: truth, count: outputs))
                continue
            }
            let (decoder, outputs) = (decoder, outputs)
            joints.predicted.withUnsafeMutableBufferPointer {
                decoder.image(UnsafeBufferPointer(start: predicted, count: outputs), geometry: geometries[sample], into: $0)
            }
            joints.truth.withUnsafeMutableBufferPointer {
                decoder.image(UnsafeBufferPointer(start: truth, count: outputs), geometry: geometries[sample], into: $0)
            }
            joints.predicted.withUnsafeBufferPointer { predicted in
                joints.truth.withUnsafeBufferPointer { metrics.add(prediction: predicted, truth: $0) }
            }
        }
    }

    /// Adds another micro-batch of the same step, summed over all ranks.
    package mutating func merge(_ other: StepStatistics) {
        failures += other.failures
        for index in stops.indices { stops[index] = max(stops[index], other.stops[index]) }
        samples += other.samples
        losses += other.losses
        zeroOutputs += other.zeroOutputs
        headGradientSquares += other.headGradientSquares
        squaredLabels += other.squaredLabels
        skipped += other.skipped
        for index in 0..<outputs {
            outputSums[index] += other.outputSums[index]
            outputSquares[index] += other.outputSquares[index]
        }
        metrics.sums = zip(metrics.sums, other.metrics.sums).map { $0 + $1 }
    }

    /// The sum over all ranks.
    package mutating func sum(over communicator: any Communicator) throws {
        guard communicator.size > 1 else { return }
        var values = [
            failures, samples, losses, zeroOutputs, headGradientSquares, squaredLabels, skipped,
        ]
        values += outputSums
        values += outputSquares
        values += stops
        values += metrics.sums
        values += notes
        try values.withUnsafeMutableBufferPointer { try communicator.sum($0) }
        (failures, samples, losses, zeroOutputs) = (values[0], values[1], values[2], values[3])
        (headGradientSquares, squaredLabels) = (values[4], values[5])
        skipped = values[6]
        var rest = values[Self.scalars...]
        outputSums = Array(rest.prefix(outputs))
        rest = rest.dropFirst(outputs)
        outputSquares = Array(rest.prefix(outputs))
        rest = rest.dropFirst(outputs)
        stops = Array(rest.prefix(stops.count))
        rest = rest.dropFirst(stops.count)
        metrics.sums = Array(rest.prefix(metrics.sums.count))
        notes = Array(rest.dropFirst(metrics.sums.count))
    }

    /// Why the run is to stop after this step; nil where no rank was asked to.
    package var stopReason: StopReason? { StopReason.allCases.first { stops[$0.rawValue] > 0 } }
    /// Values the mean squared error is taken over.
    package var valueCount: Double { samples * Double(outputs) }
    /// The mean over samples and values.
    package var loss: Double { losses / valueCount }
    package var jointErrorMillimetres: Double { metrics.meanError }
    package var zeroOutputShare: Double { zeroOutputs / valueCount }
    /// Euclidean norm of the gradient that reaches the last layer's values before its head.
    package var outputGradientNorm: Double { 2 / valueCount * headGradientSquares.squareRoot() }
    /// The loss of a network whose outputs are all 0.
    package var meanSquaredLabel: Double { squaredLabels / valueCount }
    /// Whether every output has one value for the whole batch (to 1e-5 of its size).
    package var outputsAreConstant: Bool {
        guard samples >= 2 else { return false }
        return (0..<outputs).allSatisfy { output in
            let mean = outputSums[output] / samples
            return outputSquares[output] / samples - mean * mean <= 1e-10 * mean * mean
        }
    }
}
