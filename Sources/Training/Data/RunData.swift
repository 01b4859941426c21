import Collectives
import Diagnosis
import HandData
import System

/// The samples of a run: what is trained on and what is held out, checked as far as that is possible before step 1.
struct RunData {
    let training: any FrameSource
    /// What is validated on, and the best is chosen by.
    let heldOut: any FrameSource
    /// What the best weights are evaluated on, once, at the end; nil: nothing, or the held-out frames are the test frames.
    let test: (any FrameSource)?
    /// Where crops are put.
    let centres: PartCentres
    /// What the held-out frames are, in words.
    let heldOutText: String
    /// Whether the held-out frames are the test frames.
    let validatesOnTest: Bool
    /// Where the samples come from, one line.
    let origin: String
    /// Lines the user should read.
    let notes: [String]
    /// Lines that ask for attention.
    let warnings: [String]
    /// Samples left out before step 1.
    let skipped: Int

    /// Opens the data set of a run, or the synthetic hands; the ranks share the look at every frame's existence.
    /// - Throws: `TrainingFailure`, the same on all ranks: no data set, or a bad sample while the policy is to stop.
    static func open(
        _ configuration: RunConfiguration, communicator: any Communicator, watchdog: Watchdog
    ) throws -> RunData {
        guard let path = configuration.data else { return try synthetic(configuration, communicator) }
        let set = try communicator.together {
            try ICVLDataSet.open(path, rotations: configuration.rotations, validation: configuration.validation)
        }
        let given = try communicator.together { try PartCentres.read(configuration.model.crop.centre, of: set) }
        try requireSame(set, path, centres: given, communicator)
        let missingTraining = try missing(set.training, communicator, watchdog)
        let missingHeldOut = try missing(set.heldOut, communicator, watchdog)
        let missingTest = try set.test.map { try missing($0, communicator, watchdog) } ?? (indices: [], examples: [])
        // From here on the ranks know the same, and decide alike.
        let badCount =
            set.malformedCount + missingTraining.indices.count + missingHeldOut.indices.count + missingTest.indices.count
        var notes = set.notes
        if badCount > 0 {
            let examples = Array(
                (set.malformed.map(\.description) + missingTraining.examples + missingHeldOut.examples + missingTest.examples)
                    .prefix(mostExamples))
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
        let training = set.training.removing(missingTraining.indices)
        let heldOut = set.heldOut.removing(missingHeldOut.indices)
        guard training.count > 0 else {
            throw TrainingFailure("\(path): no training sample can be used; hint: check the frames under Training/Depth")
        }
        guard heldOut.count > 0 else {
            guard !set.validatesOnTest else {
                throw TrainingFailure("\(path): no held-out sample can be used; hint: check Testing/, or remove it")
            }
            let amount = training.count == 1 ? "one training sample leaves" : "\(training.count) training samples leave"
            throw TrainingFailure(
                "\(path): \(amount) none to hold out; hint: at least 2 frames that can be read, or "
                    + (set.test == nil ? "a Testing/" : "--validation test"))
        }
        var test = set.test?.removing(missingTest.indices)
        if let frames = test, frames.count == 0 { test = nil }
        let centres = given.removing(
            training: missingTraining.indices, heldOut: missingHeldOut.indices, test: missingTest.indices)
        if centres.test == nil, test != nil {
            notes.append(
                "--centre has no file for the test frames, so they will not be evaluated; hint: --centre TRAINING-FILE,TEST-FILE")
            test = nil
        }
        let found = communicator.rank == 0 ? DataDoctor.problems(training: training, heldOut: heldOut, test: test) : []
        watchdog.beat()
        let cause = found.first { [LabelsAgainstFrames.subject, LabelSpread.subject].contains($0.subject) }
        let look = try DataLook.lines(
            training: training, heldOut: heldOut, validated: frameCount(of: heldOut, configuration), test: test, path: path,
            policy: configuration.onBadSample, cause: cause, communicator, watchdog)
        // One line a mistake: the look has told of the cause already.
        let mistakes = found.filter { !look.tellsCause || $0 != cause }
        // Little data is no mistake of a first try.
        let (little, wrong) = (mistakes.filter { $0.subject == DataAmount.subject }, mistakes.filter { $0.subject != DataAmount.subject })
        return RunData(
            training: training, heldOut: heldOut, test: test, centres: centres, heldOutText: set.heldOutText,
            validatesOnTest: set.validatesOnTest, origin: "ICVL data in \(path)", notes: notes + look.notes + little.map(\.warning),
            warnings: look.warnings + wrong.map(\.warning), skipped: badCount)
    }

    private static func synthetic(
        _ configuration: RunConfiguration, _ communicator: any Communicator
    ) throws -> RunData {
        let (width, height) = configuration.imageExtent!
        guard width >= 8 && height >= 8 else {
            throw TrainingFailure("--image-size \(configuration.imageSize) is too small for a hand; hint: at least 8x8")
        }
        // Frames of one seed and other numbers are other hands: the test set follows the training set's numbers, and the held-out set
        // the test set's.
        let hands = SyntheticHands(seed: configuration.seed, width: width, height: height, style: configuration.handStyle)
        let training = SyntheticSource(hands, frames: 0..<configuration.syntheticFrames)
        let count = configuration.syntheticTestFrames
        let test = SyntheticSource(hands, frames: configuration.syntheticFrames..<configuration.syntheticFrames + count)
        let others = SyntheticSource(hands, frames: test.frames.upperBound..<test.frames.upperBound + count)
        let validatesOnTest = configuration.validation == .test
        return RunData(
            training: training, heldOut: validatesOnTest ? test : others, test: validatesOnTest ? nil : test,
            centres: try PartCentres.synthetic(configuration.model.crop.centre),
            heldOutText: validatesOnTest ? "the test frames" : "synthetic hands of their own", validatesOnTest: validatesOnTest,
            origin: "synthetic hands (no --data was given)", notes: [], warnings: [], skipped: 0)
    }

    /// Bad samples that are told of one by one.
    private static let mostExamples = 5

    /// Throws on all ranks when some see other label files: of a file system of their own, say.
    static func requireSame(
        _ set: ICVLDataSet, _ path: String, centres: PartCentres? = nil, _ communicator: any Communicator
    ) throws {
        let own =
            "\(set.training.count) training samples (fingerprint \(String(set.training.fingerprint, radix: 16))), "
            + "\(set.heldOut.count) held-out samples (\(String(set.heldOut.fingerprint, radix: 16))), "
            + (set.test.map { "\($0.count) test samples (\(String($0.fingerprint, radix: 16))), " } ?? "")
            + "\(set.malformedCount) malformed lines"
            + (centres.map { $0.fingerprint == 0 ? "" : ", centres (\(String($0.fingerprint, radix: 16)))" } ?? "")
        let all = try communicator.allgather(Array(own.utf8)).map { String(decoding: $0, as: UTF8.self) }
        guard let other = all.firstIndex(where: { $0 != all[0] }) else { return }
        let hosts = try communicator.allgather(Array(communicator.place.host.utf8)).map { String(decoding: $0, as: UTF8.self) }
        throw TrainingFailure(
            "\(path) is not the same on all ranks: rank 0 on \(hosts[0]) sees \(all[0]); rank \(other) on \(hosts[other]) sees \(all[other]); "
                + "hint: give all nodes the same data set")
    }

    /// Samples whose frame is not there, for a rank at least; the same on all ranks. Every rank looks at its part.
    /// - Returns: their numbers, and the first of them in words.
    private static func missing(
        _ frames: ICVLFrames, _ communicator: any Communicator, _ watchdog: Watchdog
    ) throws -> (indices: [Int], examples: [String]) {
        let own = SampleOrder.shard(rank: communicator.rank, size: communicator.size, batch: frames.count)
        var found: [BadSample] = []
        var failure: String?
        // In pieces, as a slow file server may take minutes for all.
        for start in stride(from: own.lowerBound, to: own.upperBound, by: 1000) {
            do throws(DataError) {
                found += try frames.missingFrames(in: start..<min(start + 1000, own.upperBound))
            } catch {
                failure = error.description
                break
            }
            watchdog.beat()
        }
        try communicator.throwAgreed(failure)
        let numbers = found.compactMap(\.index).map(String.init).joined(separator: " ")
        let indices = try communicator.allgather(Array(numbers.utf8)).flatMap { bytes in
            String(decoding: bytes, as: UTF8.self).split(separator: " ").compactMap { Int($0) }
        }
        let texts = found.prefix(mostExamples).map(\.description).joined(separator: "\n")
        let examples = try communicator.allgather(Array(texts.utf8)).flatMap { bytes in
            String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
        }
        return (indices, examples)
    }

    /// How many held-out frames a validation uses, from the first.
    func heldOutFrames(_ configuration: RunConfiguration) -> Int { Self.frameCount(of: heldOut, configuration) }

    private static func frameCount(of heldOut: any FrameSource, _ configuration: RunConfiguration) -> Int {
        configuration.validateFrames == 0 ? heldOut.count : min(configuration.validateFrames, heldOut.count)
    }

    /// The frames that held-out errors are measured on, in words that differ when the frames do.
    func evaluation(_ configuration: RunConfiguration) -> String {
        let centre = configuration.model.crop.centre
        return "\(heldOutFrames(configuration)) of \(heldOut.count) held-out frames (fingerprint "
            + "\(String(heldOut.fingerprint, radix: 16)))" + (centre == .com ? "" : ", centre \(centre)")
    }

    /// For the metrics and the log: the split that validations are made on.
    var heldOutName: String { validatesOnTest ? "test" : "validation" }

    /// Of the samples that are trained on.
    var fingerprint: String { String(training.fingerprint ^ centres.trainingFingerprint, radix: 16) }

    /// The mean label of the training samples, of at most 10,000 spread evenly: what a network must beat. All ranks call it; each
    /// makes a part of the labels, by all its threads, as those of synthetic hands take time. Summed in the samples' order.
    func meanLabel(communicator: any Communicator, team: WorkerTeam) throws -> [Float] {
        let (step, width) = (max(1, training.count / 10_000), HandLabel.valueCount)
        let indices = Array(stride(from: 0, to: training.count, by: step))
        let own = part(communicator.rank, of: communicator.size, total: indices.count)
        let counts = (0..<communicator.size).map { part($0, of: communicator.size, total: indices.count).count * width }
        let labels = UnsafeMutableBufferPointer<Float>.allocate(capacity: indices.count * width)
        defer { labels.deallocate() }
        team.forEach(own.count) { item, _ in
            let number = own.lowerBound + item
            training.readLabel(
                indices[number], into: UnsafeMutableBufferPointer(start: labels.baseAddress! + number * width, count: width))
        }
        try communicator.allgather(
            UnsafeBufferPointer(rebasing: labels[own.lowerBound * width..<own.upperBound * width]), counts: counts, into: labels)
        var sums = [Double](repeating: 0, count: width)
        for number in indices.indices {
            for value in 0..<width { sums[value] += Double(labels[number * width + value]) }
        }
        return sums.map { Float($0 / Double(indices.count)) }
    }
}
