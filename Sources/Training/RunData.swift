import Collectives
import HandData

/// The samples of a run: what is trained on and what is held out, checked as far as that is possible before step 1.
struct RunData {
    let training: any FrameSource
    let heldOut: any FrameSource
    /// Where the samples come from, one line.
    let origin: String
    /// Lines the user should read.
    let notes: [String]
    /// Samples left out before step 1.
    let skipped: Int

    /// Opens the data set of a run, or the synthetic hands; the ranks share the look at every frame's existence.
    /// - Throws: `TrainingFailure`, the same on all ranks: no data set, or a bad sample while the policy is to stop.
    static func open(
        _ configuration: RunConfiguration, communicator: any Communicator, watchdog: Watchdog
    ) throws -> RunData {
        guard let path = configuration.data else { return try synthetic(configuration, communicator) }
        let set = try communicator.together { try ICVLDataSet.open(path, rotations: configuration.rotations) }
        let missingTraining = try missing(set.training, communicator, watchdog)
        let missingHeldOut = try missing(set.heldOut, communicator, watchdog)
        let bad = missingTraining + missingHeldOut
        let badCount = set.malformedCount + bad.count
        var notes = set.notes
        if badCount > 0 {
            let examples = (set.malformed + bad).prefix(5).map(\.description)
            let more = badCount > examples.count ? ["... and \(badCount - examples.count) more"] : []
            if configuration.onBadSample == .stop {
                if let only = examples.first, badCount == 1 {
                    throw TrainingFailure("\(only); hint: repair it, or leave it out with --on-bad-sample skip")
                }
                throw TrainingFailure(
                    examples + more + [
                        "\(badCount) of the samples of \(path) cannot be used; hint: repair them, or leave them out with "
                            + "--on-bad-sample skip"
                    ])
            }
            notes += examples.map { "skipped: \($0)" } + more
        }
        let training = set.training.removing(missingTraining.compactMap(\.index))
        let heldOut = set.heldOut.removing(missingHeldOut.compactMap(\.index))
        guard training.count > 0 else {
            throw TrainingFailure("\(path): no training sample can be used; hint: check the frames under Training/Depth")
        }
        guard heldOut.count > 0 else {
            throw TrainingFailure("\(path): no held-out sample can be used; hint: check Testing/, or remove it")
        }
        return RunData(
            training: training, heldOut: heldOut, origin: "ICVL data in \(path)", notes: notes, skipped: badCount)
    }

    private static func synthetic(
        _ configuration: RunConfiguration, _ communicator: any Communicator
    ) throws -> RunData {
        let (width, height) = configuration.imageExtent!
        guard width >= 8 && height >= 8 else {
            throw TrainingFailure("--image-size \(configuration.imageSize) is too small for a hand; hint: at least 8x8")
        }
        // Frames of one seed and other numbers are other hands: the held-out set follows the training set's numbers.
        let hands = SyntheticHands(seed: configuration.seed, width: width, height: height)
        let training = SyntheticSource(hands, frames: 0..<configuration.syntheticFrames)
        let heldOut = SyntheticSource(
            hands,
            frames: configuration.syntheticFrames..<configuration.syntheticFrames + configuration.syntheticTestFrames)
        return RunData(
            training: training, heldOut: heldOut, origin: "synthetic hands (no --data was given)", notes: [], skipped: 0)
    }

    /// Samples whose frame is not there; every rank looks at its part.
    private static func missing(
        _ frames: ICVLFrames, _ communicator: any Communicator, _ watchdog: Watchdog
    ) throws -> [BadSample] {
        let own = SampleOrder.shard(rank: communicator.rank, size: communicator.size, batch: frames.count)
        var found: [Int] = []
        // In pieces, as a slow file server may take minutes for all.
        for start in stride(from: own.lowerBound, to: own.upperBound, by: 1000) {
            found += frames.missingFrames(in: start..<min(start + 1000, own.upperBound)).compactMap(\.index)
            watchdog.beat()
        }
        let text = found.map(String.init).joined(separator: " ")
        let all = try communicator.allgather(Array(text.utf8)).flatMap { bytes in
            String(decoding: bytes, as: UTF8.self).split(separator: " ").compactMap { Int($0) }
        }
        // Described anew on every rank: each has the same label files.
        return all.flatMap { frames.missingFrames(in: $0..<$0 + 1) }
    }

    /// The mean label of the training samples, of at most 10,000 spread evenly: what a network must beat.
    func meanLabel() -> [Float] {
        let step = max(1, training.count / 10_000)
        var sums = [Double](repeating: 0, count: HandLabel.valueCount)
        var count = 0.0
        withUnsafeTemporaryAllocation(of: Float.self, capacity: HandLabel.valueCount) { label in
            for index in stride(from: 0, to: training.count, by: step) {
                training.readLabel(index, into: label)
                for value in sums.indices { sums[value] += Double(label[value]) }
                count += 1
            }
        }
        return sums.map { Float($0 / count) }
    }
}
