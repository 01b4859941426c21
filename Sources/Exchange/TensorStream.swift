package import Collectives
import Memory

/// Carries tensors between their owners and rank 0, which alone writes and reads files: a few MB at a time, so that no rank
/// ever holds more than its own.
///
/// Rank 0 calls `collect` or `distribute` for one tensor after the other, and `end` at last, also after a failure. The
/// others call `serve` once, and do what it asks for until then. What every rank holds is not sent to rank 0 at all.
package final class TensorStream {
    /// Floats that travel at once, 4 MiB.
    private static let chunk = 1 << 20

    private enum Request: Int64 {
        case end, collect, distribute
    }

    private let ownership: Ownership
    private let bases: TensorBases
    private let communicator: any Communicator
    /// What passes through rank 0; made when first needed.
    private lazy var staging = [Float](repeating: 0, count: Self.chunk)

    package init(ownership: Ownership, bases: TensorBases, communicator: any Communicator) {
        self.ownership = ownership
        self.bases = bases
        self.communicator = communicator
    }

    // MARK: Rank 0

    /// Hands one tensor to `consume` on rank 0, in order, in pieces.
    /// - Throws: what `consume` throws, when all of the tensor has come; `CollectiveError`.
    package func collect(
        _ kind: Ownership.Kind, parameter index: Int, _ consume: (UnsafeBufferPointer<Float>) throws -> Void
    ) throws {
        let parameter = ownership.table.parameters[index]
        switch ownership.layout(of: kind, parameter: index) {
        case .replicated(let place):
            try consume(UnsafeBufferPointer(start: bases[kind] + place, count: parameter.count))
        case .divided(let pieces):
            try ask(.collect, kind, index)
            var failure: (any Error)?
            // The owners send whatever happens here.
            func take(_ values: UnsafeBufferPointer<Float>) {
                guard failure == nil else { return }
                do { try consume(values) } catch { failure = error }
            }
            for piece in pieces {
                for range in chunks(of: piece, parameter) {
                    if piece.rank == communicator.rank {
                        take(UnsafeBufferPointer(start: bases[kind] + piece.place + range.lowerBound, count: range.count))
                    } else {
                        try withStaging(range.count) { room in
                            try communicator.receive(UnsafeMutableRawBufferPointer(room), from: piece.rank)
                            take(UnsafeBufferPointer(room))
                        }
                    }
                }
            }
            if let failure { throw failure }
        }
    }

    /// Gives one tensor to all who hold it: `read` makes the elements of a range of it.
    /// - Throws: what `read` throws, when all ranks have been served (their values are void then); `CollectiveError`.
    package func distribute(
        _ kind: Ownership.Kind, parameter index: Int,
        _ read: (_ elements: Range<Int>, _ target: UnsafeMutableBufferPointer<Float>) throws -> Void
    ) throws {
        let parameter = ownership.table.parameters[index]
        try ask(.distribute, kind, index)
        var failure: (any Error)?
        func make(_ elements: Range<Int>, _ target: UnsafeMutableBufferPointer<Float>) {
            guard failure == nil else { return }
            do { try read(elements, target) } catch { failure = error }
        }
        switch ownership.layout(of: kind, parameter: index) {
        case .replicated(let place):
            for range in Self.chunks(parameter.count) {
                let target = UnsafeMutableBufferPointer(start: bases[kind] + place + range.lowerBound, count: range.count)
                make(range, target)
                try communicator.broadcast(UnsafeMutableRawBufferPointer(target), from: 0)
            }
        case .divided(let pieces):
            for piece in pieces {
                let first = piece.rows.lowerBound * parameter.rowLength
                for range in chunks(of: piece, parameter) {
                    let elements = first + range.lowerBound..<first + range.upperBound
                    if piece.rank == communicator.rank {
                        make(
                            elements,
                            UnsafeMutableBufferPointer(start: bases[kind] + piece.place + range.lowerBound, count: range.count))
                    } else {
                        try withStaging(range.count) { room in
                            make(elements, room)
                            try communicator.send(UnsafeRawBufferPointer(room), to: piece.rank)
                        }
                    }
                }
            }
        }
        if let failure { throw failure }
    }

    /// Lets the others go on.
    package func end() throws { try ask(.end, .weights, 0) }

    // MARK: The other ranks

    /// Sends and takes this rank's pieces, as rank 0 asks for them, until it ends.
    package func serve() throws {
        while let (request, kind, index) = try hear() {
            let parameter = ownership.table.parameters[index]
            switch ownership.layout(of: kind, parameter: index) {
            case .replicated(let place):
                for range in Self.chunks(parameter.count) {
                    let target = UnsafeMutableBufferPointer(start: bases[kind] + place + range.lowerBound, count: range.count)
                    try communicator.broadcast(UnsafeMutableRawBufferPointer(target), from: 0)
                }
            case .divided(let pieces):
                for piece in pieces where piece.rank == communicator.rank {
                    for range in chunks(of: piece, parameter) {
                        let values = UnsafeMutableRawBufferPointer(
                            UnsafeMutableBufferPointer(
                                start: bases[kind] + piece.place + range.lowerBound, count: range.count))
                        if request == .collect {
                            try communicator.send(UnsafeRawBufferPointer(values), to: 0)
                        } else {
                            try communicator.receive(values, from: 0)
                        }
                    }
                }
            }
        }
    }

    private func ask(_ request: Request, _ kind: Ownership.Kind, _ index: Int) throws {
        var words = [request.rawValue, Int64(kind.code), Int64(index)]
        try words.withUnsafeMutableBytes { try communicator.broadcast($0, from: 0) }
    }

    private func hear() throws -> (Request, Ownership.Kind, Int)? {
        var words: [Int64] = [0, 0, 0]
        try words.withUnsafeMutableBytes { try communicator.broadcast($0, from: 0) }
        guard let request = Request(rawValue: words[0]), request != .end else { return nil }
        return (request, Ownership.Kind(code: Int(words[1])), Int(words[2]))
    }

    // MARK: Chunks

    /// Elements of a piece, counted from its first, a chunk at a time.
    private func chunks(of piece: Ownership.Piece, _ parameter: Parameter) -> [Range<Int>] {
        Self.chunks(piece.rows.count * parameter.rowLength)
    }

    private static func chunks(_ count: Int) -> [Range<Int>] {
        stride(from: 0, to: count, by: chunk).map { $0..<min(count, $0 + chunk) }
    }

    private func withStaging(_ count: Int, _ body: (UnsafeMutableBufferPointer<Float>) throws -> Void) throws {
        try staging.withUnsafeMutableBufferPointer { try body(UnsafeMutableBufferPointer(rebasing: $0[..<count])) }
    }
}
