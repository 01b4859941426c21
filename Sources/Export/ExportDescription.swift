import Checkpoints
import FoundationEssentials
import HandData
import Layers
import Networks
import Training

/// What a network is given and what it gives, in words and in JSON: how a frame becomes its input, its outputs joints and mm.
struct ExportDescription {
    let summary: String
    let input: String
    let output: String
    /// Names and texts for ONNX's metadata and safetensors' header.
    let metadata: [(key: String, value: String)]
    /// The edge of the crop's cube, mm; nil: whole frames.
    let cube: Double?
    /// Of frames of the size it names.
    let camera: Camera
    let frame: (width: Int, height: Int)

    init(_ model: TrainedModel) {
        let shape = model.description.input
        frame = model.frameSize ?? (320, 240)
        camera = model.pipeline.camera(width: frame.width, height: frame.height)
        cube = model.pipeline.crop?.cube
        let place = "step \(model.checkpoint.step), \(model.model.isAveraged ? "averaged weights" : "weights")"
        summary = "A network of dtrain that finds 16 joints of a hand in a depth frame (\(place)). Evaluation: nothing is random."
        let shapeWords = "(N, 1, \(shape.height), \(shape.width)), float32"
        let millimetres =
            "In mm, by the pinhole camera: x = (u - \(camera.centreU)) d / \(camera.focalU), y = (v - \(camera.centreV)) d / "
            + "\(camera.focalV), z = d."
        if let cube {
            input =
                "\(shapeWords): the crop of a hand. With (u0 px, v0 px, d0 mm) the hand's centre, half = \(cube / 2) mm, halfU = half * "
                + "\(camera.focalU) / d0 and halfV = half * \(camera.focalV) / d0, the pixel in column i and row j takes the depth d of the frame "
                + "pixel nearest to u = u0 + ((2 i + 1) / \(shape.width) - 1) halfU, v = v0 + ((2 j + 1) / \(shape.height) - 1) halfV, as "
                + "(d - d0) / half cut off at -1 and 1; no measurement (0) and what lies outside the frame are 1. "
                + (model.pipeline.crop?.resampling == .bilinear
                    ? "Where that is not 1, it is the mean of those of the four pixels around that are not 1 either, weighted as in bilinear "
                        + "interpolation. " : "")
                + "The figures are "
                + "those of frames of \(frame.width)x\(frame.height) px; focal lengths and centres scale with other sizes."
            output =
                "(N, 48), float32: (cu, cv, cd) of joint 0, of joint 1, ... in half cubes. u = u0 + cu halfU (px), v = v0 + cv halfV (px), "
                + "d = d0 + cd half (mm), with the input's centre. \(millimetres)"
        } else {
            let conditioning = if case .frame(let conditioning) = model.pipeline.view { conditioning } else { DepthConditioning.normalized }
            input =
                conditioning == .raw
                ? "\(shapeWords): a frame's depths in mm, as they are."
                : "\(shapeWords): nearness of a frame's depths d in mm: max((800 - d) / 400, 0.05) where 0 < d < "
                    + "\(DepthConditioning.farthestValid), else 0."
            output = "(N, 48), float32: (u px, v px, d mm) of joint 0, of joint 1, ... in the frame. \(millimetres)"
        }
        let facts = Facts(
            view: cube == nil ? "frame" : "crop", conditioning: model.settings["input"], cubeMillimetres: cube, layout: "NCHW",
            channels: 1, rows: shape.height, columns: shape.width, frameWidth: frame.width, frameHeight: frame.height,
            camera: camera, joints: 16, outputUnits: model.pipeline.labelUnits.rawValue)
        metadata = [
            ("dtrain.step", "\(model.checkpoint.step)"), ("dtrain.weights", model.model.weightsFile), ("dtrain.input", input),
            ("dtrain.output", output), ("dtrain.pipeline", Self.json(facts)), ("dtrain.settings", Self.json(model.settings)),
        ]
    }

    /// The same as numbers, for programs.
    private struct Facts: Encodable {
        let view: String
        let conditioning: String?
        let cubeMillimetres: Double?
        let layout: String
        let channels, rows, columns, frameWidth, frameHeight: Int
        let camera: Camera
        let joints: Int
        let outputUnits: String
    }

    private static func json(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(value) else { preconditionFailure("plain values are JSON") }
        return String(decoding: data, as: UTF8.self)
    }
}
