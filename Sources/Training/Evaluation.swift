import Collectives
import HandData
import Kernels
import Networks
import Tensors

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
    private var squaredErrors = 0.0
    private var metrics: HandMetrics

    init(camera: Camera) { metrics = HandMetrics(camera: camera, thresholds: [20, 40, 80]) }

    mutating func add(predicted: UnsafePointer<Float>, truth: UnsafePointer<Float>) {
        squaredErrors += SquaredError.sum(outputs: predicted, labels: truth, count: HandLabel.valueCount)
        metrics.add(
            prediction: UnsafeBufferPointer(start: predicted, count: HandLabel.valueCount),
            truth: UnsafeBufferPointer(start: truth, count: HandLabel.valueCount))
    }

    mutating func sum(over communicator: any Communicator) throws {
        guard communicator.size > 1 else { return }
        var values = [squaredErrors] + metrics.sums
        try values.withUnsafeMutableBufferPointer { try communicator.sum($0) }
        squaredErrors = values[0]
        metrics.sums = Array(values.dropFirst())
    }

    var result: ValidationResult {
        let rates = metrics.successRates
        return ValidationResult(
            frames: metrics.frameCount,
            loss: squaredErrors / Double(metrics.frameCount * HandLabel.valueCount),
            jointErrorMillimetres: metrics.meanError, success20: rates[0], success40: rates[1], success80: rates[2])
    }
}

/// Validates on held-out frames; the ranks share the work, and all get the same result.
final class Evaluator {
    private let source: any FrameSource
    private let frames: Int
    private let conditioning: DepthConditioning
    private let policy: BadSamplePolicy
    private let camera: Camera
    private let team: WorkerTeam
    private let communicator: any Communicator
    /// Holds the memory of the buffers.
    private let arena: Arena
    private let depths: [UnsafeMutableBufferPointer<UInt16>]
    private let input: UnsafeMutableBufferPointer<Float>
    private let labels: UnsafeMutableBufferPointer<Float>
    private let chunk: Int
    private let watchdog: Watchdog
    /// Samples this rank met that cannot be read.
    private var bad: Set<Int> = []
    /// Those of them that the last `validate` met for the first time.
    private(set) var newlyBad: [BadSample] = []

    /// Samples decoded and predicted at a time.
    private static func chunk(_ maximumSamples: Int) -> Int { min(maximumSamples, 64) }

    /// Bytes of arena an evaluator needs.
    static func bytes(pixels: Int, maximumSamples: Int, threads: Int) -> Int {
        let chunk = chunk(maximumSamples)
        return Arena.bytes(Float.self, count: chunk * pixels)
            + Arena.bytes(Float.self, count: chunk * HandLabel.valueCount)
            + threads * Arena.bytes(UInt16.self, count: pixels)
    }

    /// - Parameter frames: how many of the source's frames are used, from the first.
    init(
        source: any FrameSource, frames: Int, conditioning: DepthConditioning, policy: BadSamplePolicy,
        maximumSamples: Int, team: WorkerTeam, communicator: any Communicator, watchdog: Watchdog, arena: Arena
    ) {
        self.watchdog = watchdog
        self.source = source
        self.arena = arena
        self.frames = frames
        self.conditioning = conditioning
        self.policy = policy
        self.team = team
        self.communicator = communicator
        camera = Camera.icvl(width: source.width, height: source.height)
        chunk = Self.chunk(maximumSamples)
        let pixels = source.width * source.height
        input = arena.carve(Float.self, count: chunk * pixels)
        labels = arena.carve(Float.self, count: chunk * HandLabel.valueCount)
        depths = (0..<team.count).map { _ in arena.carve(UInt16.self, count: pixels) }
    }

    /// Loss and errors of `network` over the held-out frames.
    /// - Throws: `TrainingFailure` on all ranks when a frame cannot be read and the policy is to stop.
    func validate(_ network: HandNetwork) throws -> ValidationResult {
        var sums = ValidationSums(camera: camera)
        var failure: BadSample?
        newlyBad = []
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
                bad.insert(indices[position])
                newlyBad.append(error)
                if policy == .stop { failure = error }
            }
            try network.forward(input: input.baseAddress!, samples: indices.count)
            for position in indices.indices where read[position] == nil {
                sums.add(
                    predicted: network.outputs + position * HandLabel.valueCount,
                    truth: labels.baseAddress! + position * HandLabel.valueCount)
            }
            watchdog.beat()
        }
        try communicator.throwAgreed(
            failure.map { "\($0); hint: repair the frame, or leave such frames out with --on-bad-sample skip" })
        try sums.sum(over: communicator)
        return sums.result
    }

    /// Error of always predicting `label`: what a network must beat.
    func constant(_ label: [Float]) -> ValidationResult {
        var sums = ValidationSums(camera: camera)
        label.withUnsafeBufferPointer { label in
            for index in 0..<frames {
                let truth = UnsafeMutableBufferPointer(rebasing: labels[0..<HandLabel.valueCount])
                source.readLabel(index, into: truth)
                sums.add(predicted: label.baseAddress!, truth: truth.baseAddress!)
            }
        }
        return sums.result
    }

    /// Decodes samples side by side; returns each one's error, if any.
    private func load(_ indices: [Int]) -> [BadSample?] {
        let pixels = source.width * source.height
        let errors = UnsafeMutableBufferPointer<BadSample?>.allocate(capacity: max(1, indices.count))
        errors.initialize(repeating: nil)
        defer {
            errors.deinitialize()
            errors.deallocate()
        }
        team.forEach(indices.count) { position, thread in
            let values = HandLabel.valueCount
            let label = UnsafeMutableBufferPointer(rebasing: labels[position * values..<(position + 1) * values])
            do throws(BadSample) {
                try source.readSample(indices[position], depth: depths[thread], label: label)
            } catch {
                errors[position] = error
            }
            conditioning.apply(
                UnsafeBufferPointer(depths[thread]),
                to: UnsafeMutableBufferPointer(rebasing: input[position * pixels..<(position + 1) * pixels]))
        }
        return Array(errors.prefix(indices.count))
    }
}
