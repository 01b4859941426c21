import Exchange
import Memory
import System

/// Room for a copy of weights and moments, made once and kept: its pages are dear only once.
final class CheckpointCopy {
    private static let block = 1 << 20

    private let table: ParameterTable
    /// Its pages should be made present before the first copy is taken.
    let arena: Arena
    private let bases: TensorBases

    /// Bytes of a copy of so many tensors a parameter.
    static func bytes(_ table: ParameterTable, tensors: Int) -> Int { tensors * Arena.bytes(Float.self, count: table.count) }

    /// - Parameter promised: bytes that the ranks of the node will yet take, such as frame caches still filling.
    /// - Returns: nil where the memory that is available would not suffice.
    init?(
        table: ParameterTable, like tensors: TensorBases, promised: Int, available: Int? = MemoryCheck.available()
    ) {
        let needed = Self.bytes(table, tensors: tensors.kinds.count)
        if let available, needed + promised + MemoryCheck.spareOfNode > available { return nil }
        guard let arena = try? Arena(capacity: needed) else { return nil }
        self.table = table
        self.arena = arena
        func floats() -> UnsafeMutablePointer<Float> { arena.carve(Float.self, count: table.count).baseAddress! }
        bases = TensorBases(
            weights: floats(), states: tensors.states.map { _ in floats() }, average: tensors.average.map { _ in floats() })
    }

    /// Copies by all threads of `team`.
    func take(_ tensors: CheckpointTensors, team: WorkerTeam) -> CheckpointTensors {
        let pairs = bases.kinds.map { (tensors.bases[$0], bases[$0]) }
        let blocks = (table.count + Self.block - 1) / Self.block
        let count = table.count
        team.forEach(pairs.count * blocks) { item, _ in
            let (source, target) = pairs[item / blocks]
            let start = item % blocks * Self.block
            (target + start).update(from: source + start, count: min(Self.block, count - start))
        }
        return CheckpointTensors(table: table, bases: bases)
    }
}
