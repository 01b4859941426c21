package import Checkpoints
package import HandData
import Kernels
import Layers
package import Networks

/// Size and camera of the frames that a network was trained on.
package struct FrameFormat: Sendable, Codable, Equatable {
    package var width: Int
    package var height: Int
    package var camera: Camera

    package init(width: Int, height: Int, camera: Camera) { (self.width, self.height, self.camera) = (width, height, camera) }

    /// Of ICVL.
    package static let icvl = FrameFormat(width: 320, height: 240, camera: .icvl())
}

/// What a checkpoint alone says of its network: what it is, what it is shown, and how its outputs are understood.
package struct StoredModel: Sendable {
    package let description: NetworkDescription
    /// As in validation: nothing is varied, and centres are found without labels. The camera is that of `frames`.
    package let pipeline: SamplePipeline
    package let frames: FrameFormat
    /// What its training held out.
    package let validation: ValidationSplit
    /// The file of the weights that validation used: averaged ones where there are any.
    package let weightsFile: String
    /// Whether these are averaged weights.
    package let isAveraged: Bool

    /// - Throws: `CheckpointError` when the state is not that of a training.
    package init(_ checkpoint: Checkpoint) throws(CheckpointError) {
        let state = try checkpoint.training(as: TrainingState.self)
        func fail(_ reason: String) -> CheckpointError {
            CheckpointError(
                .unsupported, path: checkpoint.path, reason, hint: "is it a checkpoint of dtrain, and not of a newer one than this?")
        }
        guard let description = state.network?.description ?? state.architecture else { throw fail("does not tell its network") }
        if let problem = description.problem { throw fail("its network cannot be built: \(problem)") }
        self.description = description
        frames =
            state.frames ?? state.network.map {
                FrameFormat(width: $0.width, height: $0.height, camera: .icvl(width: $0.width, height: $0.height))
            } ?? .icvl
        validation = state.setting("validation").flatMap(ValidationSplit.init(rawValue:)) ?? .test
        isAveraged = state.averagedUpdates != nil
        weightsFile = isAveraged ? CheckpointWrite.averageFile : CheckpointWrite.modelFile
        if state.network != nil {
            guard let input = state.setting("input").flatMap(DepthConditioning.init(rawValue:)) else { throw fail("does not tell its input") }
            pipeline = .frame(input, camera: frames.camera)
        } else {
            guard let cube = state.setting("cube").flatMap(Double.init), cube > 0, cube.isFinite,
                description.input.height == description.input.width, description.input.height > 0
            else { throw fail("does not tell its crop") }
            var crop = HandCrop(size: description.input.height)
            crop.cube = cube
            // Former checkpoints do not tell: they knew one way.
            crop.resampling = state.setting("resample").flatMap(Resampling.init(rawValue:)) ?? .nearest
            crop.camera = frames.camera
            pipeline = .crop(crop)
        }
    }

    /// The pipeline with another centre, for frames of another camera.
    package func pipeline(centre: CentreFinder, camera: Camera) -> SamplePipeline {
        guard var crop = pipeline.crop else { return pipeline }
        crop.centre = centre
        crop.camera = camera
        return .crop(crop)
    }

    /// The camera of frames of this size, where none is given; nil: it is not known.
    package func camera(width: Int, height: Int) -> Camera? {
        (width, height) == (frames.width, frames.height) ? frames.camera : nil
    }
}
