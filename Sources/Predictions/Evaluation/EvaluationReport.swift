import Checkpoints
import HandData
import Telemetry
import Training

/// What is said and written of an evaluation, on rank 0.
struct EvaluationReport {
    let score: Score
    private let request: EvaluationRequest
    private let data: EvaluationData
    private let predicted: PredictedFrames
    private let curves: Result<[SuccessCurve], DataError>
    /// 48 numbers a predicted frame, as they are written.
    private let numbers: [[String]]

    init(_ request: EvaluationRequest, _ data: EvaluationData, _ predicted: PredictedFrames, _ others: [PoseFile]) {
        self.request = request
        self.data = data
        self.predicted = predicted
        let camera = data.intrinsics.camera(width: data.frames.width, height: data.frames.height)
        numbers = predicted.indices.indices.map { frame in
            predicted.joints[frame * HandLabel.valueCount..<(frame + 1) * HandLabel.valueCount].map { "\($0)" }
        }
        // The numbers as texts have them, so that this is what `dtrain score` says of the file.
        let poses = PoseFile(path: request.output, values: numbers.flatMap { $0.map { Double($0)! } }, names: [])
        let labels = Self.labels(data.frames)
        let truth = labels.places(.uvd, order: predicted.indices, camera: camera)
        let errors = JointErrors(poses.places(.uvd, order: Array(predicted.indices.indices), camera: camera), truth)
        var facts = Score.Facts(centre: data.centreName, intrinsics: data.intrinsics.name)
        facts.others = [("checkpoint", request.checkpoint), ("split", request.part.rawValue), ("predictions", request.output)]
        let sequences = Truth([labels]).sequences
        score = Score(errors, sequences: predicted.indices.map { sequences[$0] }, facts: facts)
        let chosen = predicted.indices
        let (own, intrinsics) = (score, data.intrinsics)
        curves = Result { () throws(DataError) in
            // What a curve is worth depends on the centre, most of all where it is the true one.
            let centre = data.pipeline.crop == nil ? "" : ", centre \(Self.lastPart(data.centreName))"
            var curves = [SuccessCurve(name: "dtrain: \(Self.lastPart(request.checkpoint))\(centre)", own.errors)]
            for file in others {
                let outcome = try Scorer.score(file, against: Truth([labels]), format: nil, intrinsics: intrinsics)
                curves.append(SuccessCurve(name: Self.stem(file.path), outcome.score.errors.selecting(chosen)))
            }
            return curves
        }
    }

    /// The labels of all frames as numbers with the digits of their file.
    private static func labels(_ frames: ICVLFrames) -> PoseFile {
        var values: [Double] = []
        withUnsafeTemporaryAllocation(of: Float.self, capacity: HandLabel.valueCount) { label in
            for index in 0..<frames.count {
                frames.readLabel(index, into: label)
                values += label.map { Double("\($0)")! }
            }
        }
        return PoseFile(path: "the labels", values: values, names: (0..<frames.count).map { frames.name(of: $0) })
    }

    private static func lastPart(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

    private static func stem(_ path: String) -> String {
        let name = lastPart(path)
        return name.hasSuffix(".txt") ? String(name.dropLast(4)) : name
    }

    func introduction(_ checkpoint: Checkpoint, _ model: StoredModel) -> [String] {
        [
            "checkpoint: \(printable(checkpoint.path)), step \(checkpoint.step)" + (model.isAveraged ? ", averaged weights" : ""),
            "data: \(printable(request.data)), \(request.part.rawValue), \(data.frames.count) frames of "
                + "\(data.frames.width)x\(data.frames.height)",
            "centre \(data.centreName); intrinsics \(data.intrinsics.name)",
        ] + data.notes.map { "note: \($0)" } + badLines + score.lines
    }

    private var badLines: [String] {
        guard !predicted.bad.isEmpty else { return [] }
        let most = 5
        var lines = predicted.bad.prefix(most).map { "skipped: \($0.reason)" }
        if predicted.bad.count > most { lines.append("... and \(predicted.bad.count - most) more") }
        return lines + [
            "note: \(predicted.bad.count) of \(data.frames.count) frames are skipped: they are in no figure and no line of the predictions"
        ]
    }

    /// Writes predictions and plot; returns what to say of them.
    /// - Throws: `DataError`, `TrainingFailure`.
    func write() throws -> [String] {
        guard score.errors.frames > 0 else {
            throw DataError(
                "\(printable(request.data)): none of \(data.frames.count) frames can be predicted"
                    + (predicted.bad.first.map { "; the first: \($0.reason); hint: \($0.hint)" } ?? ""))
        }
        // Files that do not fit are told of before anything is written.
        let curves = request.plot == nil ? [] : try curves.get()
        var text = ""
        for line in numbers { text += line.joined(separator: " ") + "\n" }
        try TextFile.write(text, to: request.output)
        var lines = ["predictions: \(printable(request.output)), \(numbers.count) lines of u px, v px, d mm"]
        if let plot = request.plot {
            let files = try SuccessPlot(curves: curves).write(to: plot)
            lines.append("success curve: \(files.map(printable).joined(separator: ", "))")
            for curve in curves { lines.append("  \(curve.name): \(format("%.4f", curve.meanError)) mm") }
        }
        return lines
    }

    func speed(_ seconds: Double, threads: Int, ranks: Int) -> String {
        let team = "\(threads) thread\(threads == 1 ? "" : "s")\(ranks == 1 ? "" : " a rank, \(ranks) ranks")"
        return format("predicted in %.2f s", seconds) + format(" (%.0f frames/s, ", Double(data.frames.count) / seconds) + team + ")"
    }
}
