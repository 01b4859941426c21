import Collectives
import Exchange
import Memory
import Optimizers
import Testing
import TestSupport

/// Tensors on their way between owners and rank 0.
struct TensorStreamTests {
    /// More than one chunk of 2^20 floats, and rows that no number of ranks divides.
    private static let table = ParameterTable([
        ParameterDeclaration("small", [3, 5]), ParameterDeclaration("large", [1501, 1001], isTiled: true),
        ParameterDeclaration("bias", [7]),
    ])
    private static let bucketCount = 400 * 1001

    /// Everything that is kept of a parameter: weights, an optimiser's two states, averaged weights.
    private static let kinds: [Ownership.Kind] = [.weights, .state(0), .state(1), .average]

    private struct Broken: Error, Equatable {}

    /// A value that tells where it belongs.
    private static func value(_ kind: Ownership.Kind, _ element: Int) -> Float {
        Float(((kinds.firstIndex(of: kind) ?? 0) + 1) * 4_000_000 + element)
    }

    /// One rank's arenas, of the weights and of the moments it holds.
    private struct Arenas {
        let arena: Arena
        let held: HeldRanges
        let bases: [UnsafeMutablePointer<Float>]

        init(_ communicator: any Communicator) throws {
            let held = ShardedExchange.held(
                table: table, rank: communicator.rank, of: communicator.size, bucketCount: bucketCount)
            let counts = [table.count, held.count, held.count, table.count]
            let arena = try Arena(capacity: counts.reduce(0) { $0 + Arena.bytes(Float.self, count: $1) })
            self.held = held
            self.arena = arena
            bases = counts.map { arena.carve(Float.self, count: $0).baseAddress! }
        }

        func place(_ kind: Ownership.Kind, _ element: Int) -> Int? {
            kind == .weights || kind == .average ? element : held.place(of: element..<element + 1)
        }

        func stream(_ communicator: any Communicator) -> TensorStream {
            TensorStream(
                ownership: ShardedExchange.ownership(table: table, ranks: communicator.size, bucketCount: bucketCount),
                bases: TensorBases(weights: bases[0], states: [bases[1], bases[2]], average: bases[3]),
                communicator: communicator)
        }
    }

    @Test(arguments: [1, 2, 3, 5]) func whatIsHandedOutComesBack(ranks: Int) throws {
        _ = try Simulated.run(ranks: ranks) { communicator in
            let arenas = try Arenas(communicator)
            defer { withExtendedLifetime(arenas) {} }
            let stream = arenas.stream(communicator)
            if communicator.rank == 0 {
                try everyTensor { kind, index, parameter in
                    try stream.distribute(kind, parameter: index) { elements, target in
                        for (offset, element) in elements.enumerated() {
                            target[offset] = Self.value(kind, parameter.range.lowerBound + element)
                        }
                    }
                }
                try stream.end()
            } else {
                try stream.serve()
            }
            for kind in Self.kinds {
                for parameter in Self.table.parameters {
                    let base = arenas.bases[Self.kinds.firstIndex(of: kind)!]
                    // One expectation for all of them: each takes longer than what it compares.
                    let wrong = parameter.range.first { element in
                        arenas.place(kind, element).map { base[$0] != Self.value(kind, element) } ?? false
                    }
                    try #require(wrong == nil)
                }
            }
            guard communicator.rank == 0 else { return try stream.serve() }
            try everyTensor { kind, index, parameter in
                var element = parameter.range.lowerBound
                try stream.collect(kind, parameter: index) { values in
                    let wrong = values.indices.first { values[$0] != Self.value(kind, element + $0) }
                    try #require(wrong == nil)
                    element += values.count
                }
                #expect(element == parameter.range.upperBound)
            }
            try stream.end()
        }
    }

    /// A full disk in the middle of a tensor: the others must not be left sending.
    @Test(.timeLimit(.minutes(1)), arguments: [Ownership.Kind.weights, .state(1)])
    func aFailureOfRankZeroEndsTheStreamOfAll(kind: Ownership.Kind) throws {
        for isReading in [false, true] {
            _ = try Simulated.run(ranks: 3) { communicator in
                let arenas = try Arenas(communicator)
                defer { withExtendedLifetime(arenas) {} }
                let stream = arenas.stream(communicator)
                guard communicator.rank == 0 else { return try stream.serve() }
                #expect(throws: Broken()) {
                    if isReading {
                        try stream.distribute(kind, parameter: 1) { _, _ in throw Broken() }
                    } else {
                        try stream.collect(kind, parameter: 1) { _ in throw Broken() }
                    }
                }
                try stream.end()
            }
        }
    }

    /// Another exchange or number of ranks reads what one wrote: weights by rows too, at any place.
    @Test func piecesOfWeightsMayLieAnywhere() throws {
        let table = ParameterTable([ParameterDeclaration("w", [10, 3], isTiled: true)])
        let pieces = [
            Ownership.Piece(rank: 1, rows: 0..<4, place: 2), Ownership.Piece(rank: 0, rows: 4..<5, place: 0),
            Ownership.Piece(rank: 1, rows: 5..<10, place: 20),
        ]
        let ownership = Ownership(table: table, weights: [.divided(pieces)], states: [.replicated(place: 0)])
        #expect(!ownership.isReplicated)
        let arrays = try Simulated.run(ranks: 2) { communicator in
            var values = [Float](repeating: -1, count: 40)
            try values.withUnsafeMutableBufferPointer { buffer in
                let base = buffer.baseAddress!
                let stream = TensorStream(
                    ownership: ownership,
                    bases: TensorBases(weights: base, states: [base]),
                    communicator: communicator)
                guard communicator.rank == 0 else { return try stream.serve() }
                try stream.distribute(.weights, parameter: 0) { elements, target in
                    for (offset, element) in elements.enumerated() { target[offset] = Float(element) }
                }
                var collected: [Float] = []
                try stream.collect(.weights, parameter: 0) { collected += $0 }
                #expect(collected == (0..<30).map(Float.init))
                try stream.end()
            }
            return values
        }
        #expect(Array(arrays[0][..<4]) == [12, 13, 14, -1])
        #expect(Array(arrays[1][2..<14]) == (0..<12).map(Float.init))
        #expect(Array(arrays[1][20..<35]) == (15..<30).map(Float.init))
    }

    private func everyTensor(_ body: (Ownership.Kind, Int, Parameter) throws -> Void) throws {
        for kind in Self.kinds {
            for (index, parameter) in Self.table.parameters.enumerated() { try body(kind, index, parameter) }
        }
    }
}
