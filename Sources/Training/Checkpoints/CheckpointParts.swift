import Checkpoints
import Collectives
import Exchange
import Memory
import System

/// Checkpoints of tensors that lie on several ranks, beside training: each rank copies its own part, and the copies travel to
/// rank 0, whose thread writes them, between and under the messages of the steps.
final class CheckpointParts {
    private static let block = 1 << 18

    private let parts: TensorParts
    private let bases: TensorBases
    private let communicator: any Communicator
    /// Holds the copy. Its pages should be made present before the first one is taken.
    let arena: Arena
    private let copy: UnsafeMutableBufferPointer<Float>
    /// What is copied, a block at a time.
    private let blocks: [TensorParts.Run]
    /// On rank 0.
    private let receiver: PartReceiver?
    /// On the others.
    private let sender: PartSender?

    /// Bytes that `rank` takes for its copy and for what arrives.
    static func bytes(_ parts: TensorParts, rank: Int) -> Int {
        Arena.bytes(Float.self, count: parts.counts[rank]) + (rank == 0 ? PartMessages.bytes(ranks: parts.counts.count) : 0)
    }

    /// - Parameter messages: a message space that is this one's alone.
    /// - Throws: `ArenaError`.
    init(_ parts: TensorParts, bases: TensorBases, communicator: any Communicator, messages: any SideMessages) throws {
        let (rank, ranks) = (communicator.rank, communicator.size)
        self.parts = parts
        self.bases = bases
        self.communicator = communicator
        arena = try Arena(capacity: Arena.bytes(Float.self, count: parts.counts[rank]))
        copy = arena.carve(Float.self, count: parts.counts[rank])
        blocks = parts.runs(ofRank: rank, most: Self.block)
        receiver = rank == 0 ? try PartReceiver(counts: parts.counts, messages: messages) : nil
        sender = rank == 0 ? nil : PartSender(UnsafeBufferPointer(copy), ranks: ranks, messages: messages)
    }

    /// Nothing is under way, and the copy may be changed.
    var isIdle: Bool { (receiver?.isIdle ?? true) && (sender?.isIdle ?? true) }

    /// Copies this rank's part by all threads of `team`, and lets it travel.
    /// - Returns: what to write, on rank 0.
    func take(team: WorkerTeam) throws(CollectiveError) -> (any CheckpointSource)? {
        let (blocks, copy, bases) = (blocks, copy.baseAddress!, bases)
        team.forEach(blocks.count) { item, _ in
            let run = blocks[item]
            (copy + run.start).update(from: bases[run.kind] + run.place, count: run.count)
        }
        try sender?.begin()
        guard let receiver else { return nil }
        receiver.begin()
        return ArrivingTensors(parts: parts, own: copy, receiver: receiver)
    }

    /// Moves along, without waiting; cheap when nothing is under way.
    /// - Parameter isWritten: on rank 0, the thread that writes wants nothing more.
    /// - Returns: whether it went on.
    @discardableResult func poll(isWritten: () -> Bool) throws(CollectiveError) -> Bool {
        guard !isIdle else { return false }
        if let sender { return try sender.poll() }
        guard let receiver else { return false }
        if isWritten() { receiver.end() }
        try receiver.poll()
        return false
    }

    /// Lets go a thread that waits for values: the run ends.
    func close() { receiver?.close() }
}

/// What rank 0 writes: its own copy, and what arrives.
///
/// `@unchecked Sendable`: the copy stays as it is until all is written.
private struct ArrivingTensors: CheckpointSource, @unchecked Sendable {
    /// Values written between two rests.
    private static let piece = 1 << 18

    let parts: TensorParts
    let own: UnsafeMutablePointer<Float>
    let receiver: PartReceiver
    private let numbers: [[Ownership.Kind: Int]]

    init(parts: TensorParts, own: UnsafeMutablePointer<Float>, receiver: PartReceiver) {
        self.parts = parts
        self.own = own
        self.receiver = receiver
        var numbers: [[Ownership.Kind: Int]] = []
        for (number, tensor) in parts.tensors.enumerated() {
            while numbers.count <= tensor.parameter { numbers.append([:]) }
            numbers[tensor.parameter][tensor.kind] = number
        }
        self.numbers = numbers
    }

    var pieces: Int { (parts.count + Self.piece - 1) / Self.piece + parts.tensors.count }

    func begin() { receiver.restart() }

    func append(
        _ kind: Ownership.Kind, _ index: Int, to writer: SafetensorsWriter, advanced: (_ waited: Double) -> Void
    ) throws {
        var (waited, sofar) = (0.0, 0)
        for run in parts.runs(ofTensor: numbers[index][kind]!) {
            var written = 0
            while written < run.count {
                let most = min(run.count - written, Self.piece)
                var values = UnsafeBufferPointer(start: UnsafePointer(own) + run.start + written, count: most)
                if run.rank != 0 {
                    let start = Stopwatch.now
                    guard let next = receiver.next(most, of: run.rank) else {
                        throw CheckpointError(.refused, path: writer.path, "the run ended before all of it had come")
                    }
                    waited += Stopwatch.now - start
                    values = next
                }
                try writer.append(values)
                if run.rank != 0 { receiver.advance(values.count, of: run.rank) }
                (written, sofar) = (written + values.count, sofar + values.count)
                guard sofar >= Self.piece else { continue }
                advanced(waited)
                (waited, sofar) = (0, 0)
            }
        }
        advanced(waited)
    }
}
