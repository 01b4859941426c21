import Checkpoints
import Collectives
import Exchange
import Glibc
import Memory
import System

/// Snapshots of the state after a step, in the memory of each node, for a run that loses a node.
///
/// A rank keeps what it alone holds, and the first rank of each node what every rank holds too. What a rank alone holds is kept on
/// the next node as well. So any node may be lost, and the others hold a whole snapshot, of the same step.
final class NodeSnapshots {
    /// What a snapshot cost.
    struct Cost {
        /// Seconds the step waited, on the rank that waited longest.
        let seconds: Double
        /// Steps until the next.
        let interval: Int
    }

    /// The share of the time that they may take where the interval is automatic, a margin below one hundredth.
    private static let share = 0.008
    /// Left to others on the node beyond the files themselves, bytes.
    private static let reserve = 256 << 20
    private static let block = 1 << 20

    private let place: SnapshotPlace
    private let communicator: any Communicator
    private let team: WorkerTeam
    private let bases: TensorBases
    private let interval: SnapshotInterval
    /// What this rank keeps of its own, and where that lies in its arenas.
    private let own: SnapshotFile?
    private let sources: [(piece: SnapshotPiece, place: Int)]
    /// Kept for ranks of the node before.
    private let others: SnapshotFile?
    /// Floats that each rank sends to each, of the divided tensors.
    private let sends, receives: [Int]
    /// Whether anything is sent, by any rank.
    private let travels: Bool
    private var slot = 0
    private var nextStep: Int
    private var lastStep: Int
    private var lastEnd = Stopwatch.now

    private init(
        place: SnapshotPlace, communicator: any Communicator, team: WorkerTeam, bases: TensorBases, interval: SnapshotInterval,
        own: SnapshotFile?, sources: [(piece: SnapshotPiece, place: Int)], others: SnapshotFile?, sends: [Int], receives: [Int], travels: Bool,
        step: Int
    ) {
        (self.place, self.communicator, self.team, self.bases, self.interval) = (place, communicator, team, bases, interval)
        (self.own, self.sources, self.others, self.sends, self.receives) = (own, sources, others, sends, receives)
        self.travels = travels
        lastStep = step
        // The first steps are slower than those after.
        nextStep = if case .steps(let steps) = interval { step + steps } else { step + 2 }
    }

    /// Whether a run keeps snapshots.
    static func areWanted(_ interval: SnapshotInterval, _ communicator: any Communicator) -> Bool {
        switch interval {
        case .auto: communicator.place.nodes > 1
        case .steps(let steps): steps > 0
        }
    }

    /// The rank that keeps what `rank` alone holds: of the next node, the ranks of a node in turn.
    /// - Parameters:
    ///   - nodes: the node of each rank.
    static func keeper(of rank: Int, nodes: [Int]) -> Int {
        let next = (nodes[rank] + 1) % (nodes.max()! + 1)
        let candidates = nodes.indices.filter { nodes[$0] == next }
        let turn = nodes[..<rank].filter { $0 == nodes[rank] }.count
        return candidates[turn % candidates.count]
    }

    /// Takes the memory for a start's snapshots; all ranks call, when the start can no longer be refused.
    /// - Parameter directory: the run's, where rank 0 notes the place.
    /// - Returns: nil, on all ranks, where some node is short of memory; `note` says so.
    /// - Throws: `CheckpointError`, the same on all ranks, where the place cannot be noted.
    static func begin(
        _ interval: SnapshotInterval, run directory: String, subject: SnapshotSubject, ownership: Ownership, bases: TensorBases,
        communicator: any Communicator, team: WorkerTeam, step: Int, available: Int? = MemoryCheck.available()
    ) throws -> (snapshots: NodeSnapshots?, note: String?) {
        let noted = try communicator.together { () -> String? in
            guard communicator.rank == 0 else { return nil }
            let before = SnapshotPlace.read(run: directory)
            // Also where none are wanted: those of the start before are void from now on.
            guard before != nil || areWanted(interval, communicator) else { return nil }
            let place = SnapshotPlace.next(after: before)
            try AtomicFile.write("\(directory)/snapshots", place.text)
            return place.text
        }
        guard let place = SnapshotPlace(try communicator.broadcast(noted)) else { return (nil, nil) }
        let node = communicator.place
        let nodes = try communicator.allgather(Array(String(node.node).utf8)).map { Int(String(decoding: $0, as: UTF8.self)) ?? 0 }
        // The divided tensors first: they are what is sent.
        let divided = subject.held(by: communicator.rank, ownership, withReplicated: false)
        let all = subject.held(by: communicator.rank, ownership, withReplicated: node.localRank == 0)
        let sources = divided + all.filter { entry in !divided.contains { $0.piece == entry.piece } }
        let keepers = nodes.indices.map { node.nodes > 1 ? keeper(of: $0, nodes: nodes) : $0 }
        let wards = nodes.indices.filter { keepers[$0] == communicator.rank && $0 != communicator.rank }
        let kept = wards.map { subject.held(by: $0, ownership, withReplicated: false).map(\.piece) }
        func floats(_ pieces: [SnapshotPiece]) -> Int { pieces.reduce(0) { $0 + $1.elements.count } }
        var (sends, receives) = ([Int](repeating: 0, count: nodes.count), [Int](repeating: 0, count: nodes.count))
        if keepers[communicator.rank] != communicator.rank { sends[keepers[communicator.rank]] = floats(divided.map(\.piece)) }
        for (ward, pieces) in zip(wards, kept) { receives[ward] = floats(pieces) }

        // In two steps, as pretended nodes share a directory.
        if node.localRank == 0 { place.clear() }
        try communicator.barrier()
        guard areWanted(interval, communicator) else { return (nil, nil) }
        if node.localRank == 0 { mkdir(place.path, 0o700) }
        try communicator.barrier()
        let wanted = [sources.map(\.piece), Array(kept.joined())]
        let needed = wanted.reduce(0) { $0 + ($1.isEmpty ? 0 : SnapshotFile.byteCount($1)) }
        // The ranks of a node take theirs together.
        let hasRoom = place.isOwn && (available.map { (needed + reserve) * node.localSize <= $0 } ?? true)
        let files = zip(wanted, ["own", "kept"]).map { pieces, name -> SnapshotFile? in
            pieces.isEmpty || !hasRoom
                ? nil : SnapshotFile.create("\(place.path)/\(name)-\(communicator.rank)", pieces: pieces, signature: subject.signature)
        }
        let isThere = zip(wanted, files).allSatisfy { $0.isEmpty || $1 != nil }
        let missing = try communicator.allgather(Array((isThere ? "" : node.host).utf8)).map { String(decoding: $0, as: UTF8.self) }
        if let host = missing.first(where: { !$0.isEmpty }) {
            if node.localRank == 0 { place.clear() }
            return (
                nil,
                "note: memory is short for snapshots on \(host) (\(MemoryCheck.gigabytes(needed)) in \(SnapshotPlace.root)): a lost node "
                    + "costs the steps since the newest checkpoint"
            )
        }
        let snapshots = NodeSnapshots(
            place: place, communicator: communicator, team: team, bases: bases, interval: interval, own: files[0], sources: sources,
            others: files[1], sends: sends, receives: receives, travels: node.nodes > 1 && !ownership.isReplicated, step: step)
        return (snapshots, nil)
    }

    /// Whether one is to be taken after this step; the same on all ranks.
    func isDue(_ step: Int) -> Bool { step >= nextStep }

    /// Takes one; all ranks call.
    /// - Parameter state: rank 0's, which alone knows all of it.
    /// - Throws: `CollectiveError`, `CheckpointError`.
    func take(step: Int, state: TrainingState, score: Double?, evaluation: String?) throws -> Cost {
        let start = Stopwatch.now
        let text = try communicator.together {
            communicator.rank == 0 ? try CheckpointState.encode(step: step, score: score, evaluation: evaluation, files: [:], training: state) : []
        }
        let sealed = try communicator.allgather(text)[0]
        if sealed.count <= SnapshotFile.stateBytes {
            own?.breakSeal(slot)
            others?.breakSeal(slot)
            copy()
            if travels {
                let empty = UnsafeMutablePointer<Float>.allocate(capacity: 1)
                defer { empty.deallocate() }
                try communicator.alltoall(
                    UnsafeBufferPointer(start: own?.floats(slot) ?? empty, count: sends.reduce(0, +)), sendCounts: sends,
                    into: UnsafeMutableBufferPointer(start: others?.floats(slot) ?? empty, count: receives.reduce(0, +)),
                    receiveCounts: receives)
            }
            own?.seal(slot, step: step, state: sealed)
            others?.seal(slot, step: step, state: sealed)
            if communicator.place.localRank == 0 { utimes(place.path, nil) }
            slot = (slot + 1) % SnapshotFile.slots
        }
        let end = Stopwatch.now
        let stepSeconds = (start - lastEnd) / Double(max(1, step - lastStep))
        var slowest = [end - start, -stepSeconds]
        try slowest.withUnsafeMutableBufferPointer { try communicator.maximum($0) }
        let steps: Int
        switch interval {
        case .steps(let every): steps = every
        case .auto: steps = max(1, Int(min(1e9, slowest[0] / (Self.share * max(1e-9, -slowest[1]))).rounded(.up)))
        }
        nextStep = step + steps
        (lastStep, lastEnd) = (step, Stopwatch.now)
        return Cost(seconds: slowest[0], interval: steps)
    }

    /// Copies this rank's values to the slot, by all threads.
    private func copy() {
        guard let own else { return }
        let target = own.floats(slot)
        var blocks: [(source: UnsafeMutablePointer<Float>, target: UnsafeMutablePointer<Float>, count: Int)] = []
        var offset = 0
        for (piece, place) in sources {
            let source = bases[piece.kind] + place
            for start in stride(from: 0, to: piece.elements.count, by: Self.block) {
                blocks.append((source + start, target + offset + start, min(Self.block, piece.elements.count - start)))
            }
            offset += piece.elements.count
        }
        let work = blocks
        team.forEach(work.count) { item, _ in work[item].target.update(from: work[item].source, count: work[item].count) }
    }

    /// Takes the snapshots away, as a run that has ended needs none; each node's first rank does.
    func end() {
        if communicator.place.localRank == 0 { place.clear() }
    }
}
