import Kernels
import Layers
import Memory
import Networks
import System

/// How the active windows of a batch travel between the ranks that own the samples and those that hold the weights.
///
/// A message of a piece, from the owner of some samples to the holder of some blocks, has the samples in order, of each the
/// blocks in order, and of each block the eight channels of its active windows. The gradient goes the same way back. Both
/// ends know every sample's active windows, so no lengths travel.
///
/// `@unchecked Sendable`: threads fill different samples' places.
final class ActivationTraffic: @unchecked Sendable {
    private let layout: SplitLayout
    private let held: SparseLayer.Held
    private let rank: Int
    private let team: WorkerTeam
    /// Windows of one sample in one message: (pieces, ranks that hold, samples).
    private let counts: UnsafeMutableBufferPointer<Int32>
    /// What this rank holds of the batch's active windows: for each sample, in order of the held blocks, (samples, held blocks).
    private let entries: UnsafeMutablePointer<Entry>
    /// Where each sample's entries of a piece end: (samples, pieces).
    private let entryEnds: UnsafeMutablePointer<Int>
    /// Where a thread is in each message, in floats: (pieces, ranks).
    private let cursors: [UnsafeMutablePointer<Int>]
    private let capacity: Int
    private var samples = 0
    /// The samples that this rank owns.
    private var own = 0..<0
    private let channels = ConvolutionPool.channels

    /// Floats of one sample's active windows in a held block.
    private struct Entry {
        /// Among the sample's held rows.
        let row: Int32
        let count: Int32
    }

    /// - Parameter capacity: samples of all ranks together.
    init(layout: SplitLayout, held: SparseLayer.Held, rank: Int, capacity: Int, team: WorkerTeam) {
        self.layout = layout
        self.held = held
        self.rank = rank
        self.team = team
        self.capacity = capacity
        counts = .allocate(capacity: layout.pieces * layout.ranks * capacity)
        counts.initialize(repeating: 0)
        entries = .allocate(capacity: capacity * held.numbers.count)
        entryEnds = .allocate(capacity: capacity * layout.pieces)
        cursors = (0..<team.count).map { _ in .allocate(capacity: layout.pieces * layout.ranks) }
    }

    deinit {
        counts.deallocate()
        entries.deallocate()
        entryEnds.deallocate()
        for cursor in cursors { cursor.deallocate() }
    }

    /// Counts what will travel in a batch.
    /// - Parameters:
    ///   - active: of all ranks' samples, in rank order.
    ///   - own: the samples that this rank owns.
    func prepare(active: ActiveWindows, samples: Int, own: Range<Int>) {
        self.samples = samples
        self.own = own
        team.forEach(samples) { sample, _ in
            for message in 0..<layout.pieces * layout.ranks { counts[message * capacity + sample] = 0 }
            let ends = entryEnds + sample * layout.pieces
            ends.update(repeating: firstEntry(sample), count: layout.pieces)
            var end = firstEntry(sample)
            visit(sample, active) { block, windows in
                let (piece, owner) = (layout.piece[block], layout.owner[block])
                counts[(piece * layout.ranks + owner) * capacity + sample] += Int32(windows.count)
                guard owner == rank else { return }
                let skipped = windows.lowerBound % active.columns % WindowBlocks.width
                entries[end] = Entry(
                    row: Int32(held.rows[layout.position[block]] + skipped * channels), count: Int32(windows.count * channels))
                end += 1
                ends[piece] = end
            }
            // A piece without entries ends where the one before it does.
            for piece in 1..<max(1, layout.pieces) { ends[piece] = max(ends[piece], ends[piece - 1]) }
        }
    }

    /// Floats that this rank, as the owner of samples, exchanges with each holder in a piece.
    func ownCounts(piece: Int) -> [Int] {
        (0..<layout.ranks).map { holder in sum(piece, holder, own) * channels }
    }

    /// Floats that this rank, as a holder of weights, exchanges with each owner of samples in a piece.
    /// - Parameter shares: the samples of each rank.
    func heldCounts(piece: Int, shares: [Range<Int>]) -> [Int] {
        shares.map { sum(piece, rank, $0) * channels }
    }

    private func firstEntry(_ sample: Int) -> Int { sample * held.numbers.count }

    private func sum(_ piece: Int, _ holder: Int, _ samples: Range<Int>) -> Int {
        let line = (piece * layout.ranks + holder) * capacity
        return samples.reduce(0) { $0 + Int(counts[line + $1]) }
    }

    /// Where the messages of a piece begin in a buffer that holds all pieces, of the owner's side and of the holder's.
    func ownStart(piece: Int) -> Int {
        (0..<piece).reduce(0) { total, piece in total + (0..<layout.ranks).reduce(0) { $0 + sum(piece, $1, own) } * channels }
    }

    func heldStart(piece: Int) -> Int {
        (0..<piece).reduce(0) { $0 + sum($1, rank, 0..<samples) * channels }
    }

    // MARK: The owner of samples

    /// Copies the own samples' active windows into messages (all pieces), or back.
    /// - Parameters:
    ///   - windows: (own samples, inputs). buffer: all messages.
    ///   - active: of this rank's own samples, numbered from 0.
    func copy(
        _ direction: Direction, windows: UnsafeMutablePointer<Float>, active: ActiveWindows,
        buffer: UnsafeMutablePointer<Float>
    ) {
        let inputs = active.rows * active.columns * channels
        let starts = (0..<layout.pieces).map { ownStart(piece: $0) }
        team.forEach(own.count) { sample, thread in
            let cursor = cursors[thread]
            for piece in 0..<layout.pieces {
                var start = starts[piece]
                for holder in 0..<layout.ranks {
                    cursor[piece * layout.ranks + holder] =
                        start + sum(piece, holder, own.lowerBound..<own.lowerBound + sample) * channels
                    start += sum(piece, holder, own) * channels
                }
            }
            visit(sample, active) { block, range in
                let message = layout.piece[block] * layout.ranks + layout.owner[block]
                let place = windows + sample * inputs + range.lowerBound * channels
                direction.copy(place, buffer + cursor[message], range.count * channels)
                cursor[message] += range.count * channels
            }
        }
    }

    // MARK: The holder of weights

    /// Copies a piece's messages into (samples, held rows), or back.
    /// - Parameter buffer: the piece's messages.
    func copyHeld(
        _ direction: Direction, piece: Int, rows: UnsafeMutablePointer<Float>, buffer: UnsafeMutablePointer<Float>
    ) {
        team.forEach(samples) { sample, _ in
            var place = buffer + sum(piece, rank, 0..<sample) * channels
            let (line, ends) = (rows + sample * held.rowCount, entryEnds + sample * layout.pieces)
            for index in (piece == 0 ? firstEntry(sample) : ends[piece - 1])..<ends[piece] {
                let entry = entries[index]
                direction.copy(line + Int(entry.row), place, Int(entry.count))
                place += Int(entry.count)
            }
        }
    }

    enum Direction {
        case pack, unpack

        func copy(_ windows: UnsafeMutablePointer<Float>, _ message: UnsafeMutablePointer<Float>, _ count: Int) {
            switch self {
            case .pack: message.update(from: windows, count: count)
            case .unpack: windows.update(from: message, count: count)
            }
        }
    }

    /// Calls `body` for each block in which a sample has active windows, with those windows' numbers.
    private func visit(_ sample: Int, _ active: ActiveWindows, _ body: (_ block: Int, _ windows: Range<Int>) -> Void) {
        let perRow = layout.blocks.perRow
        for row in 0..<active.rows {
            let range = active.range(row: row, image: sample)
            guard !range.isEmpty else { continue }
            let line = row * active.columns
            for block in range.lowerBound / WindowBlocks.width...(range.upperBound - 1) / WindowBlocks.width {
                let first = max(range.lowerBound, block * WindowBlocks.width)
                let end = min(range.upperBound, (block + 1) * WindowBlocks.width)
                body(row * perRow + block, line + first..<line + end)
            }
        }
    }
}
