import Checkpoints
package import Collectives
import HandData
import Layers
import Networks
import System
import Training

/// Predicts the frames of a data set, and compares with their labels. Ranks share the frames; rank 0 has the result.
package struct Evaluation {
    package let score: Score
    /// What was evaluated on what, and how fast, for people.
    package let lines: [String]

    /// Frames predicted at a time.
    private static let capacity = 64

    /// Runs on all ranks together.
    /// - Returns: on rank 0; nil elsewhere.
    /// - Throws: `TrainingFailure`, the same on all ranks; `CollectiveError`.
    package static func run(_ request: EvaluationRequest, communicator: any Communicator) throws -> Evaluation? {
        let placement = try Placement.decide(communicator: communicator, requested: request.threads)
        let (checkpoint, model) = try communicator.together {
            try hinting {
                let checkpoint = try Checkpoint.open(request.checkpoint, verifying: .sizes)
                return (checkpoint, try StoredModel(checkpoint))
            }
        }
        let part = try communicator.together { try ICVLPart.open(request.part, in: request.data, validation: model.validation) }
        let data = try communicator.together { try EvaluationData(request, part, model) }
        try MemoryCheck.run(
            needed: Predictor.bytes(model, capacity: capacity, threads: placement.threads), threads: placement.threads,
            communicator: communicator)
        let others = try communicator.together {
            try communicator.rank == 0 ? request.beside.map { try PoseFile(contentsOf: $0) } : []
        }
        let predictor = try communicator.together {
            let team = try WorkerTeam(
                count: placement.threads, processors: placement.processors, spins: placement.isOversubscribed ? 0 : 20_000)
            return try hinting { try Predictor(checkpoint, model: model, capacity: capacity, team: team) }
        }
        let start = Stopwatch.now
        let predicted = try predict(data, predictor, communicator)
        let seconds = Stopwatch.now - start
        return try communicator.together {
            guard communicator.rank == 0 else { return nil }
            let report = EvaluationReport(request, data, predicted, others)
            var lines = report.introduction(checkpoint, model)
            lines += try report.write()
            lines.append(report.speed(seconds, threads: placement.threads, ranks: communicator.size))
            return Evaluation(score: report.score, lines: lines)
        }
    }

    /// Every error of a checkpoint says what to do.
    private static func hinting<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let error as CheckpointError where error.hint == nil {
            throw TrainingFailure("\(error); hint: a whole checkpoint is a directory step-... that dtrain wrote")
        }
    }

    /// Predictions of all frames on rank 0, in order.
    private static func predict(
        _ data: EvaluationData, _ predictor: Predictor, _ communicator: any Communicator
    ) throws -> PredictedFrames {
        let own = part(communicator.rank, of: communicator.size, total: data.frames.count)
        var predicted = PredictedFrames()
        for start in stride(from: own.lowerBound, to: own.upperBound, by: capacity) {
            let indices = Array(start..<min(start + capacity, own.upperBound))
            let results = predictor.predict(data.frames, indices: indices, pipeline: data.pipeline)
            for (index, result) in zip(indices, results) { predicted.add(result, of: index, data.frames) }
            if data.policy == .stop, predicted.bad.first != nil { break }
        }
        try communicator.throwAgreed(data.policy == .stop ? predicted.bad.first.map { "\($0.reason); hint: \($0.hint)" } : nil)
        let all = try communicator.gather(predicted.encoded(), to: 0)
        return all.map { PredictedFrames(decoding: $0) } ?? predicted
    }
}

/// The frames of an evaluation, and how they are shown to the network.
struct EvaluationData {
    let frames: ICVLFrames
    let pipeline: SamplePipeline
    let centreName: String
    /// By which pixels become mm.
    let intrinsics: Intrinsics
    let policy: BadSamplePolicy
    let notes: [String]

    /// - Throws: `DataError`, `TrainingFailure`.
    init(_ request: EvaluationRequest, _ part: ICVLPart, _ model: StoredModel) throws {
        frames = part.frames
        policy = request.onBadSample
        if part.malformedCount > 0, let first = part.malformed.first {
            guard policy == .skip else {
                throw DataError("\(first); hint: repair it (\(part.malformedCount) such lines), or --on-bad-sample skip")
            }
        }
        let (width, height) = (frames.width, frames.height)
        let input = model.description.input
        if model.pipeline.crop == nil, (width, height) != (input.width, input.height) {
            throw DataError(
                "\(printable(request.data)): frames of \(width)x\(height), and the network of \(printable(request.checkpoint)) sees "
                    + "whole frames of \(input.width)x\(input.height); hint: evaluate it on such frames")
        }
        let known = request.camera ?? model.camera(width: width, height: height)
        let camera = known ?? .icvl(width: width, height: height)
        if model.pipeline.crop == nil, request.centre != .com {
            throw TrainingFailure("--centre: this network sees whole frames, not crops; hint: leave it out", exitCode: 64)
        }
        let finder = try request.centre.finder(part)
        pipeline = model.pipeline(centre: finder, camera: camera)
        centreName = model.pipeline.crop == nil ? "none (whole frames)" : finder.name
        intrinsics = request.intrinsics ?? (camera == .icvl(width: width, height: height) ? .common : .camera(camera))
        var notes = part.notes
        if part.malformedCount > 0 {
            notes.append("left out: \(part.malformedCount) malformed label lines, the first: \(part.malformed[0])")
        }
        if finder.usesTruth { notes.append("crops are put at the true joints, so these figures say nothing about unknown frames") }
        self.notes = notes
    }
}
