import Tensors

/// Room for a copy of weights and moments, made once and kept: its pages are dear only once.
final class CheckpointCopy {
    /// Left to the others on the node beyond the copy itself, bytes.
    private static let reserve = 256 << 20
    private static let block = 1 << 20

    private let table: ParameterTable
    /// Its pages should be made present before the first copy is taken.
    let arena: Arena
    private let parameters: UnsafeMutablePointer<Float>
    private let firstMoments: UnsafeMutablePointer<Float>
    private let secondMoments: UnsafeMutablePointer<Float>

    /// - Returns: nil where the memory that is available would not suffice.
    init?(table: ParameterTable, available: Int? = MemoryCheck.available()) {
        let needed = 3 * Arena.bytes(Float.self, count: table.count)
        if let available, needed + Self.reserve > available { return nil }
        guard let arena = try? Arena(capacity: needed) else { return nil }
        self.table = table
        self.arena = arena
        parameters = arena.carve(Float.self, count: table.count).baseAddress!
        firstMoments = arena.carve(Float.self, count: table.count).baseAddress!
        secondMoments = arena.carve(Float.self, count: table.count).baseAddress!
    }

    /// Copies by all threads of `team`.
    func take(_ tensors: CheckpointTensors, team: WorkerTeam) -> CheckpointTensors {
        let pairs: [(UnsafePointer<Float>, UnsafeMutablePointer<Float>)] = [
            (tensors.parameters, parameters), (tensors.firstMoments, firstMoments), (tensors.secondMoments, secondMoments),
        ]
        let blocks = (table.count + Self.block - 1) / Self.block
        let count = table.count
        team.forEach(3 * blocks) { item, _ in
            let (source, target) = pairs[item / blocks]
            let start = item % blocks * Self.block
            (target + start).update(from: source + start, count: min(Self.block, count - start))
        }
        return CheckpointTensors(
            table: table, parameters: parameters, firstMoments: firstMoments, secondMoments: secondMoments)
    }
}
