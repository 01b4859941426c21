import Checkpoints
import HandData
import Memory
import System
import Training

/// How fast a checkpoint's network predicts on this machine.
package enum PredictionSpeed {
    /// Something that was timed.
    package struct Figure: Sendable {
        package let name: String
        package let frames: Int
        /// Median of the repeats.
        package let seconds: Double
    }

    private static let warmUp = 2

    /// Times the network alone, on frames that are prepared, for each batch, and a frame's way from its depths to its joints, of one frame at
    /// a time. The frames are synthetic hands: networks of whole frames leave background out, so noise would not do.
    /// - Parameters:
    ///   - checkpoint: the directory.
    ///   - batches: frames at a time.
    ///   - repeats: of each.
    /// - Throws: `CheckpointError`, `ThreadError`, `ArenaError`, `TrainingFailure` where no frame shows a hand.
    package static func measure(_ checkpoint: String, batches: [Int], threads: Int, repeats: Int) throws -> [Figure] {
        let opened = try TrainedModel(checkpoint)
        let team = try WorkerTeam(count: threads)
        let most = max(1, batches.max() ?? 1)
        let predictor = try Predictor(opened.checkpoint, model: opened.model, capacity: most, team: team)
        let size = opened.frameSize ?? (320, 240)
        let source = SyntheticSource(SyntheticHands(seed: 1, width: size.width, height: size.height), frames: 10_000..<10_000 + most)
        let answers = predictor.predict(source, indices: Array(0..<most), pipeline: opened.pipeline)
        for case .failure(let error) in answers { throw TrainingFailure("\(error); hint: a checkpoint whose frames show a hand") }

        var figures = batches.map { batch in
            let name = "network, \(batch) frame\(batch == 1 ? "" : "s") at a time"
            return Figure(name: name, frames: batch, seconds: median(repeats) { predictor.again(batch) })
        }
        let depth = UnsafeMutableBufferPointer<UInt16>.allocate(capacity: size.width * size.height)
        defer { depth.deallocate() }
        try source.readFrame(0, into: depth)
        let frame = DepthFrame(UnsafeBufferPointer(depth), width: size.width, height: size.height)
        figures.append(
            Figure(
                name: "frame to joints, 1 at a time", frames: 1,
                seconds: try median(repeats) { _ = try predictor.predict(frame, pipeline: opened.pipeline) }))
        return figures
    }

    private static func median(_ repeats: Int, _ body: () throws -> Void) rethrows -> Double {
        for _ in 0..<warmUp { try body() }
        let times = try (0..<max(1, repeats)).map { _ in
            let start = Stopwatch.now
            try body()
            return Stopwatch.now - start
        }.sorted()
        return (times[(times.count - 1) / 2] + times[times.count / 2]) / 2
    }
}
