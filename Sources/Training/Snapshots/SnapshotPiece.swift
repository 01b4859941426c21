import Checkpoints
import Exchange
import Memory

/// Consecutive values of one parameter and kind, which a snapshot's file holds, one piece after the other.
struct SnapshotPiece: Equatable, Sendable {
    let kind: Ownership.Kind
    let parameter: Int
    /// Of the parameter's values.
    let elements: Range<Int>

    /// As numbers, for the file and for messages.
    var numbers: [Int] { [kind.code, parameter, elements.lowerBound, elements.upperBound] }

    init(kind: Ownership.Kind, parameter: Int, elements: Range<Int>) {
        (self.kind, self.parameter, self.elements) = (kind, parameter, elements)
    }

    /// Nil for numbers that no piece has.
    init?(_ numbers: some Collection<Int>) {
        let numbers = Array(numbers)
        guard numbers.count == 4, numbers[0] >= 0, numbers[1] >= 0, 0 <= numbers[2], numbers[2] < numbers[3] else { return nil }
        self.init(kind: Ownership.Kind(code: numbers[0]), parameter: numbers[1], elements: numbers[2]..<numbers[3])
    }
}

/// The tensors that a snapshot is of, in the order of a checkpoint; what tells snapshots of other networks apart.
struct SnapshotSubject {
    let table: ParameterTable
    let stateNames: [String]
    let hasAverage: Bool

    var kinds: [Ownership.Kind] { [.weights] + stateNames.indices.map { .state($0) } + (hasAverage ? [.average] : []) }

    /// A checksum of names and shapes.
    var signature: UInt64 {
        let tensors = table.parameters.map { "\($0.name) \($0.shape)" } + stateNames + [hasAverage ? "average" : ""]
        return Array(tensors.joined(separator: "\n").utf8).withUnsafeBytes { StreamingChecksum.of($0).value }
    }

    /// What a rank holds, and where in its arenas.
    /// - Parameter withReplicated: also what every rank holds.
    func held(by rank: Int, _ ownership: Ownership, withReplicated: Bool) -> [(piece: SnapshotPiece, place: Int)] {
        var result: [(piece: SnapshotPiece, place: Int)] = []
        for kind in kinds {
            for (index, parameter) in table.parameters.enumerated() {
                switch ownership.layout(of: kind, parameter: index) {
                case .replicated(let place):
                    if withReplicated {
                        result.append((SnapshotPiece(kind: kind, parameter: index, elements: 0..<parameter.count), place))
                    }
                case .divided(let pieces):
                    for piece in pieces where piece.rank == rank && !piece.rows.isEmpty {
                        let elements = piece.rows.lowerBound * parameter.rowLength..<piece.rows.upperBound * parameter.rowLength
                        result.append((SnapshotPiece(kind: kind, parameter: index, elements: elements), piece.place))
                    }
                }
            }
        }
        return result
    }
}
