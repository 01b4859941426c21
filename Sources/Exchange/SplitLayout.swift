package import Kernels
package import Layers
import Memory
import Networks

/// Which rank holds the weights of which blocks of windows when the large layer is divided by its input rows.
///
/// Block b goes to the rank in whose part of [0, 1) the fraction of b times the golden ratio lies (a Kronecker sequence): ranks
/// hold equally many blocks, and of any that lie close together, as those that see a hand do, nearly as many each.
package struct SplitLayout: Sendable {
    /// Parts in which activations travel, so that one can travel while another is computed: up to 4. Of many ranks each has little
    /// to send to each other, and takes longer for a message than for what is in it: fewer parts.
    package static func pieces(fewestBlocks: Int, ranks: Int) -> Int { max(1, min(4, 64 / ranks, fewestBlocks)) }

    package let blocks: WindowBlocks
    /// Rows of windows.
    var rows: Int { blocks.count / blocks.perRow }
    package let ranks: Int
    /// Parts that every rank's blocks are cut into.
    package let pieces: Int
    /// For each block: the rank that holds it, its position among that rank's blocks, and the piece that it is in.
    let owner, position, piece: [Int]
    /// Blocks of each rank, in order.
    private let numbers: [[Int]]

    package init(blocks: WindowBlocks, ranks: Int) {
        self.blocks = blocks
        self.ranks = ranks
        var owner: [Int] = []
        var position: [Int] = []
        var numbers = [[Int]](repeating: [], count: ranks)
        let step = Self.step(blocks.count)
        for block in 0..<blocks.count {
            let rank = block * step % blocks.count * ranks / blocks.count
            owner.append(rank)
            position.append(numbers[rank].count)
            numbers[rank].append(block)
        }
        let pieces = Self.pieces(fewestBlocks: numbers.map(\.count).min() ?? 1, ranks: ranks)
        self.owner = owner
        self.position = position
        self.numbers = numbers
        self.pieces = pieces
        piece = (0..<blocks.count).map { block in
            (0..<pieces).first { Self.positions($0, of: pieces, count: numbers[owner[block]].count).contains(position[block]) }!
        }
    }

    /// A number near `count` over the golden ratio that has no divisor in common with it.
    private static func step(_ count: Int) -> Int {
        func divisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : divisor(b, a % b) }
        var step = max(1, Int((Double(count) * 0.618_033_988_75).rounded()))
        while divisor(step, count) != 1 { step += 1 }
        return step
    }

    /// The blocks that a rank holds.
    package func held(by rank: Int) -> SparseLayer.Held { SparseLayer.Held(blocks, numbers: numbers[rank]) }

    /// The rows of the large layer's weights that a rank holds, in the order in which they lie in its arena.
    package func rows(heldBy rank: Int) -> [Range<Int>] {
        numbers[rank].map { block in
            let windows = blocks.windows(block)
            return windows.lowerBound * ConvolutionPool.channels..<windows.upperBound * ConvolutionPool.channels
        }
    }

    /// The rows that each rank holds.
    package var division: Division { WindowNetwork.division((0..<ranks).map { rows(heldBy: $0) }) }

    /// Who holds what: the large layer's weights and moments by blocks, the rest on every rank.
    func ownership(_ network: WindowNetwork) -> Ownership {
        let (whole, division) = (network.table, division)
        var pieces: [Ownership.Piece] = []
        var small: [String: Int] = [:]
        for rank in 0..<ranks {
            let rows = rows(heldBy: rank)
            let table = network.description.table(division: division, rank: rank)
            for parameter in table.parameters { small[parameter.name] = parameter.range.lowerBound }
            var place = table[Self.divided].range.lowerBound
            for rows in rows {
                pieces.append(Ownership.Piece(rank: rank, rows: rows, place: place))
                place += rows.count * network.hidden
            }
        }
        pieces.sort { $0.rows.lowerBound < $1.rows.lowerBound }
        let layouts = whole.parameters.map { parameter in
            parameter.name == Self.divided ? Ownership.Layout.divided(pieces) : .replicated(place: small[parameter.name]!)
        }
        return Ownership(table: whole, weights: layouts, states: layouts)
    }

    /// The parameter that is divided.
    private static let divided = "fc1.weight"

    /// Positions of a piece among `count` blocks of a rank.
    static func positions(_ piece: Int, of pieces: Int, count: Int) -> Range<Int> {
        count * piece / pieces..<count * (piece + 1) / pieces
    }
}
