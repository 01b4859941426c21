import Checkpoints
import Collectives
import Exchange
import Glibc
import Memory

/// The newest snapshot that the nodes of a start hold completely, made a checkpoint of the run: all that follows, resuming on other
/// ranks or another exchange, is as from any checkpoint.
struct SnapshotRecovery {
    /// A slot that some rank can read.
    private struct Source {
        let rank: Int
        let file: Int
        let slot: Int
        let step: Int
        let pieces: [SnapshotPiece]
    }

    /// Where a part of a tensor comes from: the values of a source from an offset on.
    private struct Part {
        let source: Source
        let offset: Int
        let count: Int
    }

    /// Floats that travel at once.
    private static let chunk = 1 << 20

    private let communicator: any Communicator
    private let subject: SnapshotSubject
    private let beat: () -> Void
    /// Of this node, on its first rank.
    private let files: [SnapshotFile]
    private let sources: [Source]

    /// Looks at what the nodes have; all ranks call.
    /// - Parameters:
    ///   - directory: the run's.
    ///   - beat: called when something has advanced.
    /// - Returns: nil where the run has kept no snapshots.
    init?(run directory: String, subject: SnapshotSubject, communicator: any Communicator, beat: @escaping () -> Void) throws {
        let noted = communicator.rank == 0 ? SnapshotPlace.read(run: directory)?.text : nil
        guard let place = SnapshotPlace(try communicator.broadcast(noted)) else { return nil }
        self.communicator = communicator
        self.subject = subject
        self.beat = beat
        var found: [SnapshotFile] = []
        if communicator.place.localRank == 0, place.isOwn {
            for name in (try? Directories.names(in: place.path)) ?? [] {
                if let file = SnapshotFile.open(existing: "\(place.path)/\(name)", signature: subject.signature) { found.append(file) }
            }
        }
        files = found
        var own: [Int] = []
        for (index, file) in found.enumerated() {
            for slot in 0..<SnapshotFile.slots {
                guard let step = file.step(slot) else { continue }
                own += [index, slot, step, file.pieces.count] + file.pieces.flatMap(\.numbers)
            }
        }
        let words = try communicator.allgather(own.withUnsafeBytes { Array($0) })
        sources = words.enumerated().flatMap { rank, bytes in
            Self.parse(bytes.withUnsafeBytes { raw in (0..<raw.count / 8).map { raw.loadUnaligned(fromByteOffset: 8 * $0, as: Int.self) } }, rank)
        }
    }

    private static func parse(_ words: [Int], _ rank: Int) -> [Source] {
        var result: [Source] = []
        var next = 0
        while next + 4 <= words.count {
            let count = words[next + 3]
            let end = next + 4 + 4 * count
            guard count > 0, end <= words.count else { break }
            let pieces = stride(from: next + 4, to: end, by: 4).compactMap { SnapshotPiece(words[$0..<$0 + 4]) }
            result.append(Source(rank: rank, file: words[next], slot: words[next + 1], step: words[next + 2], pieces: pieces))
            next = end
        }
        return result
    }

    /// The newest step that is there completely; the same on all ranks.
    var newestStep: Int? {
        Set(sources.map(\.step)).sorted(by: >).first { step in
            subject.kinds.allSatisfy { kind in subject.table.parameters.indices.allSatisfy { parts(of: kind, $0, step: step) != nil } }
        }
    }

    /// The parts of a tensor, in order; nil where some are missing.
    private func parts(of kind: Ownership.Kind, _ parameter: Int, step: Int) -> [Part]? {
        var candidates: [(elements: Range<Int>, source: Source, offset: Int)] = []
        for source in sources where source.step == step {
            var offset = 0
            for piece in source.pieces {
                if piece.kind == kind && piece.parameter == parameter { candidates.append((piece.elements, source, offset)) }
                offset += piece.elements.count
            }
        }
        // This rank's own first: they need not travel. Of several that begin in time, the one that reaches farthest.
        var (done, parts) = (0, [Part]())
        let end = subject.table.parameters[parameter].count
        while done < end {
            guard
                let best = candidates.filter({ $0.elements.lowerBound <= done && $0.elements.upperBound > done })
                    .max(by: { ($0.elements.upperBound, -$0.source.rank) < ($1.elements.upperBound, -$1.source.rank) })
            else { return nil }
            let count = min(best.elements.upperBound, end) - done
            parts.append(Part(source: best.source, offset: best.offset + done - best.elements.lowerBound, count: count))
            done += count
        }
        return parts
    }

    /// The hosts' ranks that the values of a step come from, for words.
    func holders(of step: Int) -> [Int] { Set(sources.filter { $0.step == step }.map(\.rank)).sorted() }

    /// What the state of a step's snapshot says; on all ranks.
    /// - Parameter evaluation: the frames that scores are measured on.
    /// - Returns: nil where it is not whole, or its scores are over other frames.
    func state(of step: Int, evaluation: String) throws -> (state: TrainingState, score: Double?)? {
        guard let source = sources.first(where: { $0.step == step }) else { return nil }
        let text = try communicator.allgather(source.rank == communicator.rank ? files[source.file].state(source.slot) : [])[source.rank]
        guard let sealed = try? CheckpointState(sealed: text, path: "the snapshot of step \(step)"), sealed.step == step,
            sealed.evaluation == evaluation,
            let state = try? sealed.training(as: TrainingState.self)
        else { return nil }
        return (state, sealed.score)
    }

    /// Writes a step's snapshot as a checkpoint; all ranks call.
    /// - Parameter write: what `state(of:)` gave, on rank 0.
    /// - Returns: what came of it, on rank 0.
    /// - Throws: `CollectiveError`.
    func promote(step: Int, _ write: CheckpointWrite?) throws -> CheckpointWrite.Outcome? {
        guard communicator.rank == 0, let write else {
            try serve()
            return nil
        }
        var room = [Float](repeating: 0, count: Self.chunk)
        let outcome = try write.run(advanced: beat) { kind, index, writer in
            for part in parts(of: kind, index, step: step) ?? [] {
                for start in stride(from: 0, to: part.count, by: Self.chunk) {
                    let (offset, count) = (part.offset + start, min(Self.chunk, part.count - start))
                    if part.source.rank == 0 {
                        let values = files[part.source.file].floats(part.source.slot)
                        try writer.append(UnsafeBufferPointer(start: values + offset, count: count))
                    } else {
                        try ask([part.source.rank, part.source.file, part.source.slot, offset, count])
                        try room.withUnsafeMutableBufferPointer { room in
                            let target = UnsafeMutableBufferPointer(rebasing: room[..<count])
                            try communicator.receive(UnsafeMutableRawBufferPointer(target), from: part.source.rank)
                            try writer.append(UnsafeBufferPointer(target))
                        }
                    }
                    beat()
                }
            }
        }
        try ask([-1, 0, 0, 0, 0])
        return outcome
    }

    private func ask(_ numbers: [Int]) throws {
        var words = numbers
        try words.withUnsafeMutableBytes { try communicator.broadcast($0, from: 0) }
    }

    private func serve() throws {
        while true {
            var words = [Int](repeating: 0, count: 5)
            try words.withUnsafeMutableBytes { try communicator.broadcast($0, from: 0) }
            guard words[0] >= 0 else { return }
            guard words[0] == communicator.rank else { continue }
            let values = UnsafeBufferPointer(start: files[words[1]].floats(words[2]) + words[3], count: words[4])
            try communicator.send(UnsafeRawBufferPointer(values), to: 0)
            beat()
        }
    }
}
