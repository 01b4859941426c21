package import Collectives
import HandData
import System
import Telemetry

/// `--check-data`: decodes every frame that a run would use, and lists all that cannot be used.
package enum DataCheck {
    /// Frames decoded between two signs of life.
    private static let chunk = 256

    /// Checks the data set of a configuration that names one; the ranks share the work, rank 0 speaks.
    /// - Throws: `TrainingFailure`, the same on all ranks: samples that cannot be used, or no data set.
    package static func run(_ configuration: RunConfiguration, communicator: any Communicator) throws {
        guard let path = configuration.data else { throw TrainingFailure("no data to check; hint: --data DIR") }
        let console = Console(isQuiet: communicator.rank != 0)
        let watchdog = try Watchdog.start(communicator: communicator, timeout: Double(configuration.stallTimeout), supervision: nil)
        let placement = try Placement.decide(communicator: communicator, requested: configuration.threads)
        let set = try communicator.together { try ICVLDataSet.open(path, rotations: configuration.rotations) }
        try RunData.requireSame(set, path, communicator)
        let team = try communicator.together {
            try WorkerTeam(
                count: placement.threads, processors: placement.processors, spins: placement.isOversubscribed ? 0 : 20_000)
        }

        for sample in set.malformed { console.line(sample.description) }
        if set.malformedCount > set.malformed.count {
            console.line("... and \(set.malformedCount - set.malformed.count) more malformed lines")
        }
        var bad = set.malformedCount
        for frames in [set.training, set.heldOut] {
            let found = try check(frames, team: team, communicator: communicator, watchdog: watchdog)
            for line in found { console.line(line) }
            bad += found.count
        }
        watchdog.enter(.ending, step: 0)
        let total = set.training.count + set.heldOut.count + set.malformedCount
        guard bad == 0 else {
            throw TrainingFailure(
                "\(path): \(bad) of \(total) samples cannot be used; hint: repair them, or leave them out with --on-bad-sample skip")
        }
        for note in set.notes { console.line("note: \(note)") }
        console.line(
            "\(path): all \(set.training.count) training and \(set.heldOut.count) held-out frames of "
                + "\(set.training.width)x\(set.training.height) can be used")
    }

    /// Lines for the frames that cannot be decoded, in file order, on all ranks.
    private static func check(
        _ frames: ICVLFrames, team: WorkerTeam, communicator: any Communicator, watchdog: Watchdog
    ) throws -> [String] {
        let own = SampleOrder.shard(rank: communicator.rank, size: communicator.size, batch: frames.count)
        let pixels = frames.width * frames.height
        let depths = UnsafeMutablePointer<UInt16>.allocate(capacity: team.count * pixels)
        let failures = UnsafeMutableBufferPointer<BadSample?>.allocate(capacity: chunk)
        failures.initialize(repeating: nil)
        defer {
            depths.deallocate()
            failures.deinitialize()
            failures.deallocate()
        }
        var lines: [String] = []
        var away: String?
        for start in stride(from: own.lowerBound, to: own.upperBound, by: chunk) {
            let count = min(chunk, own.upperBound - start)
            team.forEach(count) { position, thread in
                failures[position] = nil
                do throws(BadSample) {
                    try frames.readFrame(
                        start + position, into: UnsafeMutableBufferPointer(start: depths + thread * pixels, count: pixels))
                } catch {
                    failures[position] = error
                }
                watchdog.beat()
            }
            lines += failures.prefix(count).compactMap { $0?.description }
            if count > 1, failures.prefix(count).allSatisfy({ $0?.mayPass ?? false }), let first = failures[0] {
                away = "\(first), and so are \(count - 1) that follow; hint: \(first.hint)"
                break
            }
        }
        try communicator.throwAgreed(away)
        return try communicator.allgather(Array(lines.joined(separator: "\n").utf8)).flatMap { bytes in
            String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
        }
    }
}
