package import Checkpoints
import Collectives
package import HandData
import Layers
import Memory
import Networks
package import System
package import Training

/// A frame's joints as a network sees them.
package struct Prediction: Sendable {
    /// (16, 3): u px, v px, d mm in the frame.
    package var joints: [Float]
    /// The centre of the crop: u px, v px, d mm; nil: the network looks at whole frames.
    package var centre: SIMD3<Double>?

    /// Whether every number is one.
    package var isFinite: Bool { joints.allSatisfy(\.isFinite) }

    /// Places of the joints, mm: x, y downwards, z.
    package func places(_ camera: Camera) -> [SIMD3<Double>] {
        stride(from: 0, to: joints.count, by: 3).map {
            camera.millimetres(u: Double(joints[$0]), v: Double(joints[$0 + 1]), d: Double(joints[$0 + 2]))
        }
    }
}

/// A checkpoint's network, ready to predict: the pipeline and the network in evaluation mode that a training validates with.
///
/// What it says of a frame depends on the frame and the weights alone: not on what else is predicted, on threads or on ranks.
/// Not Sendable: one thread calls it, and it lends the work to its team.
package final class Predictor {
    package let model: StoredModel
    /// Frames that are predicted at a time, at most.
    package let capacity: Int
    private let network: Network
    private let team: WorkerTeam
    /// Holds the memory of the buffers.
    private let arena: Arena
    private let input: UnsafeMutableBufferPointer<Float>  // (capacity, pixels)
    private let pixels: Int
    private var scratches: [SampleScratch] = []

    /// Bytes that a predictor needs.
    package static func bytes(_ model: StoredModel, capacity: Int, threads: Int) -> Int {
        Network.bytes(model.description, setting(model, capacity), threads: threads)
            + Arena.bytes(Float.self, count: capacity * model.description.input.count)
    }

    private static func setting(_ model: StoredModel, _ capacity: Int) -> Network.Setting {
        var setting = Network.Setting(maximumSamples: capacity)
        // Nothing is trained: the gradients of the largest weights need no room.
        setting.storesGradients = model.description.stem == nil
        return setting
    }

    /// Builds the network and reads its weights, whose checksum is compared.
    /// - Throws: `CheckpointError`, `ArenaError`.
    package init(_ checkpoint: Checkpoint, model: StoredModel, capacity: Int, team: WorkerTeam) throws {
        self.model = model
        self.capacity = capacity
        self.team = team
        try checkpoint.verify(model.weightsFile)
        arena = try Arena(capacity: Self.bytes(model, capacity: capacity, threads: team.count))
        // Each rank has the whole network, so that it needs nobody.
        network = Network(model.description, Self.setting(model, capacity), team: team, communicator: Solo(), arena: arena)
        pixels = model.description.input.count
        input = arena.carve(Float.self, count: capacity * pixels)
        try network.readWeights(try checkpoint.reader(model.weightsFile))
    }

    // MARK: Frames

    /// Predicts samples of a source, side by side.
    /// - Parameters:
    ///   - indices: at most `capacity`.
    ///   - pipeline: the model's, with the centre and camera that are meant.
    /// - Returns: a prediction each, or why there is none.
    package func predict(_ source: any FrameSource, indices: [Int], pipeline: SamplePipeline) -> [Result<Prediction, BadSample>] {
        precondition(indices.count <= capacity)
        makeScratches(width: source.width, height: source.height)
        let geometries = Slots<Result<CropGeometry?, BadSample>>(count: indices.count, initial: .success(nil))
        team.forEach(indices.count) { position, thread in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: HandLabel.valueCount) { label in
                geometries[position] = Result { () throws(BadSample) in
                    try pipeline.prepare(
                        source, index: indices[position], scratch: scratches[thread], input: row(position), label: label)
                }
            }
        }
        network(indices.count)
        return indices.indices.map { position in
            geometries[position].map { prediction(position, geometry: $0, pipeline: pipeline) }
        }
    }

    /// Predicts a single frame.
    /// - Parameter centre: of the crop, u px, v px, d mm; nil: found in the frame.
    /// - Throws: `NoCentre` if the frame shows no hand.
    package func predict(_ frame: DepthFrame, centre: SIMD3<Double>? = nil, pipeline: SamplePipeline) throws(NoCentre) -> Prediction {
        makeScratches(width: frame.width, height: frame.height)
        let geometry = try pipeline.prepare(frame, centre: centre, scratch: scratches[0], input: row(0))
        network(1)
        return prediction(0, geometry: geometry, pipeline: pipeline)
    }

    /// Predicts nothing in particular, so that the first frame takes no longer than others.
    package func warmUp() {
        input.initialize(repeating: CropGeometry.background)
        network(1)
    }

    /// Runs the network again on the first samples that lie ready: for measuring it alone.
    func again(_ samples: Int) {
        precondition(samples <= capacity)
        network(samples)
    }

    private func row(_ position: Int) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(rebasing: input[position * pixels..<(position + 1) * pixels])
    }

    private func network(_ samples: Int) {
        do {
            try network.predict(input: input.baseAddress!, samples: samples)
        } catch {
            preconditionFailure("a network of one rank talks to nobody: \(error)")
        }
    }

    private func prediction(_ position: Int, geometry: CropGeometry?, pipeline: SamplePipeline) -> Prediction {
        let outputs = UnsafeBufferPointer(start: network.outputs + position * HandLabel.valueCount, count: HandLabel.valueCount)
        let joints = [Float](unsafeUninitializedCapacity: HandLabel.valueCount) { joints, count in
            pipeline.decoder.image(outputs, geometry: geometry, into: UnsafeMutableBufferPointer(rebasing: joints[..<HandLabel.valueCount]))
            count = HandLabel.valueCount
        }
        return Prediction(joints: joints, centre: geometry?.centre)
    }

    private func makeScratches(width: Int, height: Int) {
        if let first = scratches.first, (first.width, first.height) == (width, height) { return }
        scratches = (0..<team.count).map { _ in SampleScratch(width: width, height: height) }
    }
}

/// A value for each item of a team's work.
///
/// `@unchecked Sendable`: an item writes its own place alone.
private final class Slots<Value>: @unchecked Sendable {
    private let values: UnsafeMutableBufferPointer<Value>

    init(count: Int, initial: Value) {
        values = .allocate(capacity: max(count, 1))
        values.initialize(repeating: initial)
    }

    deinit {
        values.deinitialize()
        values.deallocate()
    }

    subscript(index: Int) -> Value {
        get { values[index] }
        set { values[index] = newValue }
    }
}
