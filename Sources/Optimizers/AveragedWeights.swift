import Kernels
package import Memory
package import System

/// The exponential moving average of the weights (EMA), for validation: average = average · d + weight · (1 - d) after each
/// update. Statistics and constants are copied, not averaged.
///
/// Called by the main thread, between steps; the team does the work. Elementwise, so the bits depend neither on threads nor on
/// which rank holds what.
package final class AveragedWeights {
    package struct Configuration: Sendable, Codable, Equatable {
        /// d: the old average's share.
        package var decay: Double
        /// Use min(d, (1 + t) / (10 + t)) at update t, counted from 1, so that the initial weights fade sooner (TensorFlow's
        /// ExponentialMovingAverage with num_updates).
        package var warmsUp: Bool

        package init(decay: Double = 0.999, warmsUp: Bool = false) {
            self.decay = decay
            self.warmsUp = warmsUp
        }

        /// What is wrong with the values, in one line; nil when nothing is.
        package var problem: String? {
            decay > 0 && decay < 1
                ? nil : "--ema is \(decay); hint: a number between 0 and 1 such as 0.999, or leave it out for no averaging"
        }

        /// The share of the old average at an update, counted from 1.
        func decay(at update: Int) -> Double {
            warmsUp ? min(decay, (1 + Double(update)) / (10 + Double(update))) : decay
        }
    }

    package let configuration: Configuration
    /// The elements of the parameter arena that this rank holds averages of.
    package let held: HeldRanges
    /// The averages, laid out as `held` says: `held.count` floats. While `isSwapped`, the weights.
    package let values: UnsafeMutablePointer<Float>
    /// Updates taken.
    package private(set) var updates = 0
    /// The weights' arena holds the averages, and `values` the weights.
    package private(set) var isSwapped = false
    private let weights: UnsafeMutablePointer<Float>
    private let arena: Arena
    /// Pieces for the team, each averaged or copied as a whole.
    private let pieces: [Piece]

    private struct Piece {
        let start, place, count: Int
        let isAveraged: Bool
    }

    /// - Parameters:
    ///   - weights: the parameters' arena, `table.count` floats.
    ///   - held: what this rank averages; nil: everything.
    ///   - arena: gives room for the averages: `bytes(holding:)`.
    package init(
        _ configuration: Configuration, weights: UnsafeMutablePointer<Float>, table: ParameterTable,
        holding held: HeldRanges? = nil, arena: Arena
    ) {
        let held = held ?? HeldRanges(all: table)
        self.configuration = configuration
        self.held = held
        self.weights = weights
        self.arena = arena
        values = arena.carve(Float.self, count: held.count).baseAddress!
        pieces = Self.pieces(table, held)
    }

    /// Bytes of arena that the averages of these elements need.
    package static func bytes(holding held: HeldRanges) -> Int { Arena.bytes(Float.self, count: held.count) }

    /// Begins with the weights as they are.
    package func begin(team: WorkerTeam) {
        updates = 0
        forEachPiece(team) { $0.update(from: $1, count: $2.count) }
    }

    /// Sets the number of updates taken, after loading `values`.
    package func restore(updates: Int) { self.updates = updates }

    /// Takes the weights in, after a step changed them.
    package func update(team: WorkerTeam) {
        precondition(!isSwapped, "the averages are in the weights' place")
        updates += 1
        let average = MovingAverage(decay: configuration.decay(at: updates))
        forEachPiece(team) { values, weights, piece in
            if piece.isAveraged {
                average.apply(average: values, weights: weights, count: piece.count)
            } else {
                values.update(from: weights, count: piece.count)
            }
        }
    }

    /// Exchanges the held weights and their averages, for an evaluation; and back.
    package func swap(team: WorkerTeam) {
        forEachPiece(team) { values, weights, piece in
            for index in 0..<piece.count {
                let value = values[index]
                values[index] = weights[index]
                weights[index] = value
            }
        }
        isSwapped.toggle()
    }

    /// Writes the held averages to where they belong in a parameter arena, `table.count` floats; the rest of it is left alone.
    package func copy(into target: UnsafeMutablePointer<Float>, team: WorkerTeam) {
        precondition(!isSwapped, "the averages are in the weights' place")
        team.forEach(pieces.count) { item, _ in
            let piece = pieces[item]
            (target + piece.start).update(from: values + piece.place, count: piece.count)
        }
    }

    private func forEachPiece(
        _ team: WorkerTeam, _ body: (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>, Piece) -> Void
    ) {
        team.forEach(pieces.count) { item, _ in
            let piece = pieces[item]
            body(values + piece.place, weights + piece.start, piece)
        }
    }

    /// The held parts of all parameters, cut into blocks. Padding belongs to none.
    private static func pieces(_ table: ParameterTable, _ held: HeldRanges) -> [Piece] {
        let block = 1 << 16
        var pieces: [Piece] = []
        for parameter in table.parameters {
            for range in held.ranges where range.overlaps(parameter.range) {
                let part = range.clamped(to: parameter.range)
                let place = held.place(of: part)!
                for offset in stride(from: 0, to: part.count, by: block) {
                    pieces.append(
                        Piece(
                            start: part.lowerBound + offset, place: place + offset, count: min(block, part.count - offset),
                            isAveraged: parameter.role.isTrained))
                }
            }
        }
        return pieces
    }
}
