import Checkpoints
import Collectives
import HandData
import Telemetry

/// Held-out frames with what the network says of them, as one picture.
enum PredictionSheet {
    /// Frames on it.
    static let frames = 8
    private static let columns = 4
    /// Pixels: a frame's square, the line above it, and what lies between two.
    private static let (cell, title, gap) = (160, 12, 6)
    private static let white = Canvas.Colour(255, 255, 255)

    /// Bones as predicted in colours, over the true ones thin and white, each with its mean error.
    /// - Parameter evaluator: has just validated.
    static func draw(_ evaluator: Evaluator, step: Int) -> Canvas {
        let rows = (max(1, evaluator.shownJoints.count) + columns - 1) / columns
        var canvas = Canvas(
            width: columns * (cell + gap) + gap, height: 20 + rows * (title + cell + gap), background: SIMD3(30, 30, 36))
        canvas.text("step \(step): predicted joints in colours, true ones white", x: gap, y: gap, white)
        for (place, shown) in evaluator.shownJoints.enumerated() {
            let truth = shown.truth.map { Double($0) }
            guard let frame = evaluator.frame(shown.frame),
                let (cutout, view) = HandPicture.cutout(frame, around: truth, camera: evaluator.camera, size: cell)
            else { continue }
            var part = cutout
            HandPicture.draw(joints: truth, view: view, into: &part, x: 0, y: 0, isThin: true)
            HandPicture.draw(joints: shown.predicted.map { Double($0) }, view: view, into: &part, x: 0, y: 0)
            let (x, y) = (gap + place % columns * (cell + gap), 20 + place / columns * (title + cell + gap))
            canvas.text(format("%.1f mm", error(shown.predicted, shown.truth, evaluator.camera)), x: x, y: y, white)
            canvas.paste(part, x: x, y: y + title)
        }
        return canvas
    }

    /// Mean over the joints, mm.
    private static func error(_ predicted: [Float], _ truth: [Float], _ camera: Camera) -> Double {
        var metrics = HandMetrics(camera: camera, thresholds: [])
        predicted.withUnsafeBufferPointer { predicted in truth.withUnsafeBufferPointer { metrics.add(prediction: predicted, truth: $0) } }
        return metrics.meanError
    }
}

extension Trainer {
    var showsPredictions: Bool { configuration.tensorboard || configuration.report }

    /// Draws the frames that the validation kept: for TensorBoard, and as `contact-sheet.png` for the report.
    ///
    /// Not after each validation: a long run would have thousands of pictures. The next one is due a tenth of the steps later, or at the end.
    func showPredictions() {
        guard communicator.rank == 0, showsPredictions, step * 10 >= picturedStep * 11 || step == totalSteps || isOutOfPatience else { return }
        picturedStep = step
        let sheet = PredictionSheet.draw(evaluator, step: step)
        guard let png = try? sheet.png() else { return }
        toTensorBoard("validation/predictions", png: png, width: sheet.width, height: sheet.height)
        guard configuration.report else { return }
        do { try AtomicFile.write("\(directory.path)/contact-sheet.png", png) } catch { console.warning("\(error)") }
    }
}
