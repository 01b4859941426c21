package import Memory
import Optimizers

/// Which rank holds which rows of which parameter's weights and moments, and where in its arenas: what a checkpoint needs in
/// order not to depend on how ranks divide the work, or on how many there are.
package struct Ownership: Sendable {
    /// The kinds of tensors that training consists of.
    package enum Kind: Sendable, Hashable {
        case weights
        /// What an optimiser keeps between steps, by its number.
        case state(Int)
        /// Averaged weights, which lie as the weights do.
        case average

        /// As a number, for messages.
        package var code: Int {
            switch self {
            case .weights: 0
            case .average: 1
            case .state(let index): index + 2
            }
        }

        package init(code: Int) { self = code == 0 ? .weights : code == 1 ? .average : .state(code - 2) }
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
    /// Of every state.
    private let states: [Layout]

    /// - Parameters:
    ///   - weights, states: a layout for each of the table's parameters, in its order.
    package init(table: ParameterTable, weights: [Layout], states: [Layout]) {
        precondition(weights.count == table.parameters.count && states.count == table.parameters.count)
        for (parameter, layouts) in zip(table.parameters, zip(weights, states)) {
            for case .divided(let pieces) in [layouts.0, layouts.1] {
                let ends = [0] + pieces.map(\.rows.upperBound)
                precondition(pieces.map(\.rows.lowerBound) + [parameter.shape[0]] == ends, "\(parameter.name): \(pieces)")
            }
        }
        self.table = table
        self.weights = weights
        self.states = states
    }

    /// Everything on every rank.
    package init(replicated table: ParameterTable) {
        let layouts = table.parameters.map { Layout.replicated(place: $0.range.lowerBound) }
        self.init(table: table, weights: layouts, states: layouts)
    }

    /// Weights on every rank; the state of the large parameters where it is held.
    /// - Parameter held: for each rank, what its optimiser holds the state of.
    init(table: ParameterTable, held: [HeldRanges]) {
        let states = table.parameters.map { parameter -> Layout in
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
            table: table, weights: table.parameters.map { .replicated(place: $0.range.lowerBound) }, states: states)
    }

    /// Where the values of a kind of the table's parameter `index` are.
    package func layout(of kind: Kind, parameter index: Int) -> Layout {
        if case .state = kind { states[index] } else { weights[index] }
    }

    /// The values in a rank's arenas that every other rank holds too.
    package func replicated(_ bases: TensorBases) -> [UnsafeBufferPointer<Float>] {
        bases.kinds.flatMap { kind in
            table.parameters.indices.compactMap { index in
                guard case .replicated(let place) = layout(of: kind, parameter: index) else { return nil }
                return UnsafeBufferPointer(start: bases[kind] + place, count: table.parameters[index].count)
            }
        }
    }

    /// Whether every rank holds everything.
    package var isReplicated: Bool {
        (weights + states).allSatisfy { if case .replicated = $0 { true } else { false } }
    }
}

/// Where this rank's values begin, by kind; whoever makes them keeps the memory.
package struct TensorBases {
    package let weights: UnsafeMutablePointer<Float>
    package let states: [UnsafeMutablePointer<Float>]
    /// Averaged weights, where there are any.
    package let average: UnsafeMutablePointer<Float>?

    package init(
        weights: UnsafeMutablePointer<Float>, states: [UnsafeMutablePointer<Float>], average: UnsafeMutablePointer<Float>? = nil
    ) {
        self.weights = weights
        self.states = states
        self.average = average
    }

    package subscript(kind: Ownership.Kind) -> UnsafeMutablePointer<Float> {
        switch kind {
        case .weights: weights
        case .state(let index): states[index]
        case .average: average!
        }
    }

    /// Weights, then the states in order, then averaged weights.
    package var kinds: [Ownership.Kind] {
        [.weights] + states.indices.map { .state($0) } + (average == nil ? [] : [.average])
    }
}
