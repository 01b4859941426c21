import Collectives
import HandData
import Kernels
import Memory
import Networks
import System

/// What held-out frames say about a network.
package struct ValidationResult: Sendable, Codable, Equatable {
    package var frames: Int
    /// Mean squared error in the labels' units.
    package var loss: Double
    /// Mean over frames and joints of the distance between predicted and true joints, mm.
    package var jointErrorMillimetres: Double
    /// Share of frames whose largest joint error is at most 20, 40 and 80 mm.
    package var success20: Double
    package var success40: Double
    package var success80: Double
}

/// Sums over held-out frames that ranks can add up.
private struct ValidationSums {
    private let loss: Loss
    private let decoder: JointDecoder
    private var losses = 0.0
    private var metrics: HandMetrics
    /// Room for joints in the image.
    private(set) var joints = (
        predicted: [Float](repeating: 0, count: HandLabel.valueCount), truth: [Float](repeating: 0, count: HandLabel.valueCount)
    )

    init(loss: Loss, decoder: JointDecoder, camera: Camera) {
        self.loss = loss
        self.decoder = decoder
        metrics = HandMetrics(camera: camera, thresholds: [20, 40, 80])
    }

    /// - Parameters:
    ///   - predicted, truth: 48 values, in the decoder's units.
    ///   - geometry: of the sample's crop; nil: the whole frame.
    mutating func add(predicted: UnsafePointer<Float>, truth: UnsafePointer<Float>, geometry: CropGeometry?) {
        losses += loss.sum(outputs: predicted, labels: truth, count: HandLabel.valueCount)
        let (predicted, truth) = (
            UnsafeBufferPointer(start: predicted, count: HandLabel.valueCount),
            UnsafeBufferPointer(start: truth, count: HandLabel.valueCount)
        )
        let decoder = decoder
        joints.predicted.withUnsafeMutableBufferPointer { decoder.image(predicted, geometry: geometry, into: $0) }
        joints.truth.withUnsafeMutableBufferPointer { decoder.image(truth, geometry: geometry, into: $0) }
        joints.predicted.withUnsafeBufferPointer { predicted in
            joints.truth.withUnsafeBufferPointer { metrics.add(prediction: predicted, truth: $0) }
        }
    }

    mutating func sum(over communicator: any Communicator) throws {
        guard communicator.size > 1 else { return }
        var values = [losses] + metrics.sums
        try values.withUnsafeMutableBufferPointer { try communicator.sum($0) }
        losses = values[0]
        metrics.sums = Array(values.dropFirst())
    }

    var result: ValidationResult {
        let rates = metrics.successRates
        return ValidationResult(
            frames: metrics.frameCount,
            loss: losses / Double(metrics.frameCount * HandLabel.valueCount),
            jointErrorMillimetres: metrics.meanError, success20: rates[0], success40: rates[1], success80: rates[2])
    }
}

/// Validates on held-out frames; the ranks share the work, and all get the same result.
final class Evaluator {
    private let source: any FrameSource
    /// How many frames are validated on, those that cannot be read included.
    let frames: Int
    private let pipeline: SamplePipeline
    private let loss: Loss
    private let policy: BadSamplePolicy
    let camera: Camera
    private let team: WorkerTeam
    private let communicator: any Communicator
    /// Holds the memory of the buffers.
    private let arena: Arena
    private let scratches: [SampleScratch]
    private let input: UnsafeMutableBufferPointer<Float>
    private let labels: UnsafeMutableBufferPointer<Float>
    /// Of the samples that are loaded; of no meaning for whole frames.
    private let geometries: UnsafeMutableBufferPointer<CropGeometry>
    private let pixels: Int
    private let chunk: Int
    private let watchdog: Watchdog
    /// Samples this rank met that cannot be read.
    private var bad: Set<Int> = []
    /// Those of them that the last `validate` met for the first time.
    private(set) var newlyBad: [BadSample] = []
    /// Frames whose joints `validate` keeps, and what it kept: u px, v px, d mm each.
    private var shown: Set<Int> = []
    private(set) var shownJoints: [(frame: Int, predicted: [Float], truth: [Float])] = []
    /// Samples that the last `validate` left out, on whichever rank.
    private var leftOut: Set<Int> = []

    /// Samples decoded and predicted at a time.
    private static func chunk(_ maximumSamples: Int) -> Int { min(maximumSamples, 64) }

    /// Bytes of arena an evaluator needs.
    /// - Parameter pixels: of a sample's input.
    static func bytes(pixels: Int, maximumSamples: Int) -> Int {
        let chunk = chunk(maximumSamples)
        return Arena.bytes(Float.self, count: chunk * pixels)
            + Arena.bytes(Float.self, count: chunk * HandLabel.valueCount) + Arena.bytes(CropGeometry.self, count: chunk)
    }

    /// - Parameter frames: how many of the source's frames are used, from the first.
    init(
        source: any FrameSource, frames: Int, pipeline: SamplePipeline, loss: Loss, policy: BadSamplePolicy,
        maximumSamples: Int, team: WorkerTeam, communicator: any Communicator, watchdog: Watchdog, arena: Arena
    ) {
        self.watchdog = watchdog
        self.source = source
        self.arena = arena
        self.frames = frames
        self.pipeline = pipeline
        self.loss = loss
        self.policy = policy
        self.team = team
        self.communicator = communicator
        camera = pipeline.camera(width: source.width, height: source.height)
        chunk = Self.chunk(maximumSamples)
        let size = pipeline.inputSize(width: source.width, height: source.height)
        pixels = size.width * size.height
        input = arena.carve(Float.self, count: chunk * pixels)
        labels = arena.carve(Float.self, count: chunk * HandLabel.valueCount)
        geometries = arena.carve(CropGeometry.self, count: chunk)
        scratches = (0..<team.count).map { _ in SampleScratch(width: source.width, height: source.height) }
    }

    /// An evaluator of other frames of the same size, with the memory of this one: one of them may be in use at a time.
    /// - Parameter pipeline: of inputs of the same size.
    init(_ other: Evaluator, source: any FrameSource, pipeline: SamplePipeline) {
        precondition(source.width == other.scratches[0].width && source.height == other.scratches[0].height, "frames of one size")
        (self.source, self.pipeline, frames) = (source, pipeline, source.count)
        (watchdog, arena, loss, policy, team) = (other.watchdog, other.arena, other.loss, other.policy, other.team)
        (communicator, camera, chunk, pixels) = (other.communicator, other.camera, other.chunk, other.pixels)
        (input, labels, geometries, scratches) = (other.input, other.labels, other.geometries, other.scratches)
    }

    /// Has `validate` keep the joints of so many of this rank's frames, spread over its part.
    func show(_ count: Int) {
        let own = part(communicator.rank, of: communicator.size, total: frames)
        let count = min(count, own.count)
        shown = Set((0..<count).map { own.lowerBound + $0 * own.count / count })
    }

    /// A frame, for a picture; valid until the evaluator reads another. Nil where it cannot be read.
    func frame(_ index: Int) -> DepthFrame? {
        guard (try? source.readFrame(index, into: scratches[0].depth)) != nil else { return nil }
        return scratches[0].frame
    }

    /// Loss and errors of `network` over the held-out frames.
    /// - Throws: `TrainingFailure` on all ranks when a frame cannot be read and the policy is to stop.
    func validate(_ network: Network) throws -> ValidationResult {
        var sums = ValidationSums(loss: loss, decoder: pipeline.decoder, camera: camera)
        var failure: BadSample?
        newlyBad = []
        shownJoints = []
        var unread: [Int] = []
        let own = part(communicator.rank, of: communicator.size, total: frames)
        // As many rounds on every rank: a network that is divided among them is run by all together.
        let longest = part(0, of: communicator.size, total: frames).count
        for round in 0..<(longest + chunk - 1) / chunk {
            let start = min(own.lowerBound + round * chunk, own.upperBound)
            let indices =
                failure == nil ? (start..<min(start + chunk, own.upperBound)).filter { !bad.contains($0) } : []
            let read = load(indices)
            for (position, error) in read.enumerated() {
                guard let error else { continue }
                // What storage did not give now it may give the next time.
                if !error.mayPass { bad.insert(indices[position]) }
                unread.append(indices[position])
                newlyBad.append(error)
                if policy == .stop { failure = failure ?? error }
            }
            try network.predict(input: input.baseAddress!, samples: indices.count)
            for position in indices.indices where read[position] == nil {
                sums.add(
                    predicted: network.outputs + position * HandLabel.valueCount,
                    truth: labels.baseAddress! + position * HandLabel.valueCount, geometry: geometry(position))
                if shown.contains(indices[position]) { shownJoints.append((indices[position], sums.joints.predicted, sums.joints.truth)) }
            }
            watchdog.beat()
        }
        try communicator.throwAgreed(
            failure.map { "\($0); hint: \($0.hint)" })
        try sums.sum(over: communicator)
        let result = sums.result
        leftOut = result.frames < frames ? try union(bad.union(unread)) : []
        return result
    }

    /// The numbers that any rank has.
    private func union(_ own: Set<Int>) throws -> Set<Int> {
        let text = own.sorted().map(String.init).joined(separator: " ")
        return Set(
            try communicator.allgather(Array(text.utf8)).flatMap { bytes in
                String(decoding: bytes, as: UTF8.self).split(separator: " ").compactMap { Int($0) }
            })
    }

    private func geometry(_ position: Int) -> CropGeometry? { pipeline.crop == nil ? nil : geometries[position] }

    /// Error of always predicting `label`, over the frames that the last validation counted: what a network must beat.
    /// - Parameter label: in the pipeline's units: of a crop, the mean pose at each frame's centre.
    func constant(_ label: [Float]) -> ValidationResult {
        var sums = ValidationSums(loss: loss, decoder: pipeline.decoder, camera: camera)
        let counted = (0..<frames).filter { !leftOut.contains($0) }
        label.withUnsafeBufferPointer { label in
            for start in stride(from: 0, to: counted.count, by: chunk) {
                let indices = Array(counted[start..<min(start + chunk, counted.count)])
                // Of whole frames nothing but the labels is needed.
                let read = pipeline.crop == nil ? readLabels(indices) : load(indices)
                for position in indices.indices where read[position] == nil {
                    sums.add(
                        predicted: label.baseAddress!, truth: labels.baseAddress! + position * HandLabel.valueCount,
                        geometry: geometry(position))
                }
                watchdog.beat()
            }
        }
        return sums.result
    }

    private func labelRow(_ position: Int) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(rebasing: labels[position * HandLabel.valueCount..<(position + 1) * HandLabel.valueCount])
    }

    private func readLabels(_ indices: [Int]) -> [BadSample?] {
        for (position, index) in indices.enumerated() { source.readLabel(index, into: labelRow(position)) }
        return Array(repeating: nil, count: indices.count)
    }

    /// Prepares samples side by side; returns each one's error, if any.
    private func load(_ indices: [Int]) -> [BadSample?] {
        let errors = UnsafeMutableBufferPointer<BadSample?>.allocate(capacity: max(1, indices.count))
        errors.initialize(repeating: nil)
        defer {
            errors.deinitialize()
            errors.deallocate()
        }
        team.forEach(indices.count) { position, thread in
            do throws(BadSample) {
                let geometry = try pipeline.prepare(
                    source, index: indices[position], scratch: scratches[thread],
                    input: UnsafeMutableBufferPointer(rebasing: input[position * pixels..<(position + 1) * pixels]),
                    label: labelRow(position))
                if let geometry { geometries[position] = geometry }
            } catch {
                errors[position] = error
            }
        }
        return Array(errors.prefix(indices.count))
    }
}
