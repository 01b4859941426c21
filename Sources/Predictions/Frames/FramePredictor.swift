import Checkpoints
package import HandData
import Layers
import Memory
import Networks
import System
import Training

/// How frames by themselves are predicted.
package struct FrameRequest: Sendable {
    package var checkpoint: String
    /// Of the frames; nil: the checkpoint's, for frames of the size it was trained on.
    package var camera: Camera?
    /// Whether the frames show the other hand, or a mirrored picture: they are mirrored for the network, and its joints back.
    package var isMirrored = false
    /// What one unit of the frames' depth is, mm.
    package var unit = 1.0
    /// 0: as many as the machine allows.
    package var threads = 0

    package init(checkpoint: String) { self.checkpoint = checkpoint }
}

/// A frame's hand, in the frame as it was given.
package struct PredictedHand: Sendable {
    package let prediction: Prediction
    /// (16): x, y, z, mm.
    package let places: [SIMD3<Double>]
    /// Distance of each joint from the truth, mm, where that is known.
    package let errors: [Double]?

    package var meanError: Double? { errors.map { $0.reduce(0, +) / Double($0.count) } }
}

/// What came out for a frame.
package struct FrameAnswer: Sendable {
    package let item: FrameItem
    package let hand: Result<PredictedHand, FrameProblem>
    /// From the file to the joints.
    package let milliseconds: Double
}

/// Why a frame was not predicted, with what to do.
package struct FrameProblem: Error, Sendable, CustomStringConvertible {
    package let description: String
}

/// Predicts frames one by one, as they come from a camera.
package final class FramePredictor {
    package let threads: Int
    /// What is loaded, in words.
    package let words: String
    private let request: FrameRequest
    private let predictor: Predictor
    private var model: StoredModel { predictor.model }

    /// - Throws: `CheckpointError`, `ThreadError`, `ArenaError`.
    package init(_ request: FrameRequest) throws {
        self.request = request
        let checkpoint = try Checkpoint.open(request.checkpoint, verifying: .sizes)
        let model = try StoredModel(checkpoint)
        threads = request.threads > 0 ? request.threads : Processors.allowed().count
        predictor = try Predictor(checkpoint, model: model, capacity: 1, team: WorkerTeam(count: threads))
        // The first prediction makes what is made from weights once; no frame should wait for that.
        predictor.warmUp()
        words = "\(printable(checkpoint.path)), step \(checkpoint.step)" + (model.isAveraged ? ", averaged weights" : "")
    }

    /// Reads and predicts a frame; never throws, as others are to follow.
    package func answer(_ item: FrameItem) -> FrameAnswer {
        let start = Stopwatch.now
        let hand = Result { () throws(FrameProblem) in try predict(item) }
        return FrameAnswer(item: item, hand: hand, milliseconds: (Stopwatch.now - start) * 1000)
    }

    /// The frame as the pictures show it.
    /// - Throws: `PNGError`.
    func image(_ file: String) throws(PNGError) -> DepthImage {
        var image = try DepthImage(contentsOf: file)
        image.scale(by: request.unit)
        return image
    }

    /// The camera of frames of this size.
    func camera(width: Int, height: Int) -> Camera? { request.camera ?? model.camera(width: width, height: height) }

    private func predict(_ item: FrameItem) throws(FrameProblem) -> PredictedHand {
        let image: DepthImage
        do { image = try self.image(item.file) } catch {
            throw FrameProblem(description: "\(error); hint: a frame is a 16-bit greyscale PNG of depths in mm")
        }
        let camera = try camera(of: image)
        var prediction: Prediction
        do { prediction = try predict(image, camera) } catch {
            throw FrameProblem(description: "\(error.reason); hint: is the hand in the picture, and the unit of depth mm (--unit)?")
        }
        guard prediction.isFinite else {
            throw FrameProblem(description: "the network's outputs are not finite; hint: its weights may be: dtrain inspect tells")
        }
        if request.isMirrored { prediction.mirror(width: image.width) }
        let places = prediction.places(camera)
        let errors = item.label.map { label in
            let truth = PoseFile(path: item.file, values: label, names: []).places(.uvd, order: [0], camera: camera)
            return JointErrors(places, truth).distances
        }
        return PredictedHand(prediction: prediction, places: places, errors: errors)
    }

    private func predict(_ image: DepthImage, _ camera: Camera) throws(NoCentre) -> Prediction {
        var (image, camera) = (image, camera)
        if request.isMirrored {
            image.mirror()
            camera = Camera(
                focalU: camera.focalU, focalV: camera.focalV, centreU: Double(image.width - 1) - camera.centreU, centreV: camera.centreV)
        }
        let pipeline = model.pipeline(centre: .com, camera: camera)
        return try image.withFrame { (frame) throws(NoCentre) in try predictor.predict(frame, pipeline: pipeline) }
    }

    private func camera(of image: DepthImage) throws(FrameProblem) -> Camera {
        let (input, size) = (model.description.input, "\(image.width)x\(image.height)")
        if model.pipeline.crop == nil, (image.width, image.height) != (input.width, input.height) {
            throw FrameProblem(
                description: "the frame is \(size), and this network sees whole frames of \(input.width)x\(input.height); hint: a network of "
                    + "crops takes any size (--preset dtrain-hand)")
        }
        guard let camera = camera(width: image.width, height: image.height) else {
            throw FrameProblem(
                description: "the frame is \(size), and the camera of the training is that of \(model.frames.width)x\(model.frames.height); "
                    + "hint: tell its camera with --camera fx,fy,cx,cy in pixels")
        }
        return camera
    }
}

extension Prediction {
    /// Left and right exchanged, in a frame of so many columns.
    mutating func mirror(width: Int) {
        for index in stride(from: 0, to: joints.count, by: 3) { joints[index] = Float(width - 1) - joints[index] }
        if let old = centre { centre = SIMD3(Double(width - 1) - old.x, old.y, old.z) }
    }
}
