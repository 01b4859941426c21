import Optimizers
package import Tensors

/// Which rank holds which rows of which parameter's weights and moments, and where in its arenas: what a checkpoint needs in
/// order not to depend on how ranks divide the work, or on how many there are.
package struct Ownership: Sendable {
    /// The kinds of tensors that training consists of.
    package enum Kind: Int, Sendable, CaseIterable {
        case weights, firstMoment, secondMoment
    }

    /// Consecutive rows of a parameter that one rank holds.
    package struct Piece: Sendable, Equatable {
        package let rank: Int
        package let rows: Range<Int>
        /// Where the first row begins in the rank's arena of this kind, in floats.
        package let place: Int

        package init(rank: Int, rows: Range<Int>, place: Int) {
            self.rank = rank
            self.rows = rows
            self.place = place
        }
    }

    /// Where one parameter's values of a kind are.
    package enum Layout: Sendable, Equatable {
        /// On every rank, whole, the same bits, from this place of its arena on.
        case replicated(place: Int)
        /// Every row on one rank: pieces in the order of the rows, without a gap.
        case divided([Piece])
    }

    /// The parameters, whole: those of a network that is not divided.
    package let table: ParameterTable
    private let weights: [Layout]
    private let moments: [Layout]

    /// - Parameters:
    ///   - weights, moments: a layout for each of the table's parameters, in its order.
    package init(table: ParameterTable, weights: [Layout], moments: [Layout]) {
        precondition(weights.count == table.parameters.count && moments.count == table.parameters.count)
        for (parameter, layouts) in zip(table.parameters, zip(weights, moments)) {
            for case .divided(let pieces) in [layouts.0, layouts.1] {
                let ends = [0] + pieces.map(\.rows.upperBound)
                precondition(pieces.map(\.rows.lowerBound) + [parameter.shape[0]] == ends, "\(parameter.name): \(pieces)")
            }
        }
        self.table = table
        self.weights = weights
        self.moments = moments
    }

    /// Everything on every rank.
    package init(replicated table: ParameterTable) {
        let layouts = table.parameters.map { Layout.replicated(place: $0.range.lowerBound) }
        self.init(table: table, weights: layouts, moments: layouts)
    }

    /// Weights on every rank; the moments of the tiled parameters where they are held.
    /// - Parameter held: for each rank, what its Adam holds moments of.
    init(table: ParameterTable, held: [HeldRanges]) {
        let moments = table.parameters.map { parameter -> Layout in
            let places = held.map { $0.place(of: parameter.range) }
            if let place = places[0], places.allSatisfy({ $0 == place }) { return .replicated(place: place) }
            var pieces: [Piece] = []
            for (rank, held) in held.enumerated() {
                for range in held.ranges where parameter.range.contains(range.lowerBound) {
                    let offset = range.lowerBound - parameter.range.lowerBound
                    let first = offset / parameter.rowLength
                    pieces.append(
                        Piece(
                            rank: rank, rows: first..<first + range.count / parameter.rowLength, place: held.place(of: range)!))
                }
            }
            return .divided(pieces.sorted { $0.rows.lowerBound < $1.rows.lowerBound })
        }
        self.init(
            table: table, weights: table.parameters.map { .replicated(place: $0.range.lowerBound) }, moments: moments)
    }

    /// Where the values of a kind of the table's parameter `index` are.
    package func layout(of kind: Kind, parameter index: Int) -> Layout {
        kind == .weights ? weights[index] : moments[index]
    }

    /// The values in a rank's arenas that every other rank holds too.
    package func replicated(
        weights: UnsafePointer<Float>, firstMoments: UnsafePointer<Float>, secondMoments: UnsafePointer<Float>
    ) -> [UnsafeBufferPointer<Float>] {
        zip(Kind.allCases, [weights, firstMoments, secondMoments]).flatMap { kind, base in
            table.parameters.indices.compactMap { index in
                guard case .replicated(let place) = layout(of: kind, parameter: index) else { return nil }
                return UnsafeBufferPointer(start: base + place, count: table.parameters[index].count)
            }
        }
    }

    /// Whether every rank holds everything.
    package var isReplicated: Bool {
        (weights + moments).allSatisfy { if case .replicated = $0 { true } else { false } }
    }
}
