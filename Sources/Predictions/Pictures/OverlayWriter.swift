package import HandData
import Telemetry

/// Pictures of predicted frames in a folder: one of each, and a sheet of the worst and the median ones.
package final class OverlayWriter {
    private let folder: String
    private let predictor: FramePredictor
    private var names: Set<String> = []
    /// Labelled frames that were predicted.
    private var labelled: [(item: FrameItem, hand: PredictedHand)] = []

    /// An overlay is at least so wide.
    private static let leastWidth = 640
    private static let black = Canvas.Colour(0, 0, 0)
    private static let white = Canvas.Colour(255, 255, 255)

    /// Makes the folder.
    /// - Throws: `DataError`.
    package init(folder: String, predictor: FramePredictor) throws(DataError) {
        try TextFile.makeDirectory(folder)
        self.folder = folder.count > 1 && folder.hasSuffix("/") ? String(folder.dropLast()) : folder
        self.predictor = predictor
    }

    /// Draws a frame's bones over its depths, with the truth thin and white beneath where it is known.
    /// - Returns: the picture's file; nil for a frame that was not predicted.
    /// - Throws: `DataError` where it cannot be written.
    package func write(_ answer: FrameAnswer) throws(DataError) -> String? {
        guard case .success(let hand) = answer.hand else { return nil }
        let file = "\(folder)/\(name(answer.item.file)).png"
        try overlay(answer.item, hand).write(to: file)
        if hand.errors != nil { labelled.append((answer.item, hand)) }
        return file
    }

    private func overlay(_ item: FrameItem, _ hand: PredictedHand) throws(DataError) -> Canvas {
        let image = try read(item.file)
        let scale = max(1, (Self.leastWidth + image.width - 1) / image.width)
        var canvas = Canvas(width: image.width * scale, height: image.height * scale, background: Self.black)
        let view = HandPicture.View(origin: .zero, scale: Double(scale))
        let joints = hand.prediction.joints.map { Double($0) }
        image.withFrame { frame in
            HandPicture.draw(
                frame, depths: HandPicture.depths(joints), view: view, into: &canvas, x: 0, y: 0, width: image.width * scale,
                height: image.height * scale)
        }
        if let label = item.label { HandPicture.draw(joints: label, view: view, into: &canvas, x: 0, y: 0, isThin: true) }
        HandPicture.draw(joints: joints, view: view, into: &canvas, x: 0, y: 0)
        if let error = hand.meanError { canvas.text(format("%.1f mm", error), x: 8, y: 8, scale: 2, Self.white) }
        return canvas
    }

    private func read(_ file: String) throws(DataError) -> DepthImage {
        do { return try predictor.image(file) } catch { throw DataError("\(printable(file)): \(error); hint: it was there a moment ago") }
    }

    /// Folder and name of a frame, so that `1/depth.png` and `2/depth.png` are two; a number more where that is not enough.
    private func name(_ file: String) -> String {
        var parts = file.split(separator: "/").suffix(2).map(String.init)
        if let last = parts.popLast() { parts.append(last.lowercased().hasSuffix(".png") ? String(last.dropLast(4)) : last) }
        let base = parts.filter { $0 != "." && $0 != ".." }.joined(separator: "_")
        var (name, number) = (base, 1)
        while !names.insert(name).inserted {
            number += 1
            name = "\(base)-\(number)"
        }
        return name
    }

    // MARK: The sheet

    /// Pairs of prediction and truth in a row, and rows of each kind.
    private static let columns = 4
    private static let rows = 2
    private static let cell = 200
    private static let title = 14
    private static let gap = 6

    /// Writes `worst-and-median.png`: prediction left and truth right, cut out around the hand.
    /// - Returns: its file; nil where no frame had a label.
    /// - Throws: `DataError`.
    package func writeSheet() throws(DataError) -> String? {
        guard !labelled.isEmpty else { return nil }
        // Of few frames not all are the worst.
        let most = min(Self.columns * Self.rows, max(1, labelled.count / 2))
        let order = labelled.indices.sorted { labelled[$0].hand.meanError! > labelled[$1].hand.meanError! }
        let worst = Array(order.prefix(most))
        let start = max(0, min(order.count / 2 - most / 2, order.count - most))
        let median = Array(order[start..<min(start + most, order.count)])
        let pair = 2 * Self.cell + Self.gap
        let rows = (most + Self.columns - 1) / Self.columns
        let block = 24 + rows * (Self.cell + Self.title + Self.gap)
        var canvas = Canvas(width: Self.columns * (pair + 3 * Self.gap), height: 2 * block, background: SIMD3(30, 30, 36))
        for (number, (title, frames)) in [("worst frames: prediction, truth", worst), ("median frames", median)].enumerated() {
            canvas.text(title, x: Self.gap, y: number * block + 6, scale: 2, Self.white)
            for (place, frame) in frames.enumerated() {
                let x = place % Self.columns * (pair + 3 * Self.gap) + Self.gap
                let y = number * block + 24 + place / Self.columns * (Self.cell + Self.title + Self.gap)
                try draw(labelled[frame], into: &canvas, x: x, y: y)
            }
        }
        let file = "\(folder)/worst-and-median.png"
        try canvas.write(to: file)
        return file
    }

    private func draw(_ frame: (item: FrameItem, hand: PredictedHand), into canvas: inout Canvas, x: Int, y: Int) throws(DataError) {
        let image = try read(frame.item.file)
        let truth = frame.item.label!
        guard let camera = predictor.camera(width: image.width, height: image.height),
            let (cutout, view) = image.withFrame({ HandPicture.cutout($0, around: truth, camera: camera, size: Self.cell) })
        else { return }
        let name = frame.item.file.split(separator: "/").suffix(2).joined(separator: "/")
        canvas.text("\(name)  \(format("%.1f mm", frame.hand.meanError!))", x: x, y: y, Self.white)
        for (side, joints) in [frame.hand.prediction.joints.map { Double($0) }, truth].enumerated() {
            // Joints far off are drawn on a picture of their own, so that they do not run into the neighbour's.
            var part = cutout
            HandPicture.draw(joints: joints, view: view, into: &part, x: 0, y: 0)
            canvas.paste(part, x: x + side * (Self.cell + Self.gap), y: y + Self.title - 3)
        }
    }
}
