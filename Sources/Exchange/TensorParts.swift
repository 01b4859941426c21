import Memory

/// All values of a checkpoint in the order of its files, and who hands each over. What all ranks hold is rank 0's to give.
///
/// A rank's part is what it gives, packed in this order: so it can be copied, sent and written from front to back.
package struct TensorParts: Sendable {
    /// Consecutive values of a tensor that one rank gives.
    package struct Run: Sendable, Equatable {
        package let rank: Int
        package let kind: Ownership.Kind
        /// Where they begin in the rank's arena of this kind, and in its part, floats.
        package let place, start: Int
        package var count: Int
    }

    /// Tensors of a checkpoint: the weights' file, the states' (a parameter's states together), then averaged weights.
    package let tensors: [(kind: Ownership.Kind, parameter: Int)]
    /// Floats of each rank's part.
    package private(set) var counts: [Int]
    private var runs: [[Run]] = []

    /// - Parameter states: of the optimiser, by number.
    package init(_ ownership: Ownership, ranks: Int, states: Int, hasAverage: Bool) {
        let parameters = ownership.table.parameters
        tensors = Self.tensors(parameters: parameters.count, states: states, hasAverage: hasAverage)
        counts = Array(repeating: 0, count: ranks)
        for (kind, index) in tensors {
            var own: [Run] = []
            func add(_ rank: Int, _ place: Int, _ count: Int) {
                if let last = own.last, last.rank == rank, last.place + last.count == place {
                    own[own.count - 1].count += count
                } else {
                    own.append(Run(rank: rank, kind: kind, place: place, start: counts[rank], count: count))
                }
                counts[rank] += count
            }
            switch ownership.layout(of: kind, parameter: index) {
            case .replicated(let place): add(0, place, parameters[index].count)
            case .divided(let pieces): for piece in pieces { add(piece.rank, piece.place, piece.rows.count * parameters[index].rowLength) }
            }
            runs.append(own)
        }
    }

    /// In the order of the files.
    package static func tensors(parameters: Int, states: Int, hasAverage: Bool) -> [(kind: Ownership.Kind, parameter: Int)] {
        (0..<parameters).map { (.weights, $0) }
            + (0..<parameters).flatMap { parameter in (0..<states).map { (Ownership.Kind.state($0), parameter) } }
            + (hasAverage ? (0..<parameters).map { (.average, $0) } : [])
    }

    /// Floats of all parts.
    package var count: Int { counts.reduce(0, +) }

    /// Of tensor `number`, in the order of its values.
    package func runs(ofTensor number: Int) -> [Run] { runs[number] }

    /// What `rank` gives, in order, in runs of `most` values at most.
    package func runs(ofRank rank: Int, most: Int) -> [Run] {
        runs.joined().filter { $0.rank == rank }.flatMap { run in
            stride(from: 0, to: run.count, by: most).map {
                Run(rank: rank, kind: run.kind, place: run.place + $0, start: run.start + $0, count: min(most, run.count - $0))
            }
        }
    }
}
