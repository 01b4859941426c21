import Collectives
import Glibc

/// Every collective once, compared with its definition: each rank's input is a function of its number, so that every
/// rank can compute by itself what must come out.
struct Exercise {
    /// What one rank saw.
    struct Report: Encodable {
        let rank: Int
        let size: Int
        let host: String
        let node: Int
        let nodes: Int
        let localRank: Int
        let localSize: Int
        /// Names of the checks made.
        let checks: [String]
        /// Names of those that failed.
        let wrong: [String]
        /// A hash of the results that must have the same bits on all ranks.
        let bits: String
        /// Bytes sent within this rank's node, and to other nodes.
        let sentWithin: UInt64
        let sentBetween: UInt64
        /// Messages to other nodes of an exchange of all with all, straight and packed; nil where MPI carries none.
        let straightMessages: Int?
        let packedMessages: Int?
        /// What the communicator has to say to the user.
        let notice: String?
    }

    let communicator: any Communicator
    /// About how many elements each collective gets.
    let count: Int

    var rank: Int { communicator.rank }
    var size: Int { communicator.size }

    /// Small whole numbers: their sums are exact in any order.
    func whole(_ rank: Int, _ index: Int) -> Int { (index * 7 + rank * 13) % 101 - 40 }

    /// Numbers whose sums depend on the order of adding.
    func fraction(_ rank: Int, _ index: Int) -> Double {
        var bits = UInt64(truncatingIfNeeded: rank &* 0x1_0000_0001 &+ index) &* 0x9E37_79B9_7F4A_7C15
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        return Double(bits >> 11) / Double(1 << 53) * (index % 3 == 0 ? 1 : 1e-4)
    }

    /// Uneven parts, some of them empty.
    func part(_ rank: Int) -> Int { rank % 3 == 1 ? 0 : count / size + rank * 5 }

    /// What rank `source` has for rank `destination`; uneven, and nothing for some.
    func share(_ source: Int, _ destination: Int) -> Int {
        (source + 2 * destination) % 4 == 3 ? 0 : count / size / 2 + source + 3 * destination
    }

    func run() throws -> Report {
        var tally = Tally()
        try reductions(&tally)
        try bytes(&tally)
        try parts(&tally)
        try exchangesUnderWay(&tally)
        let messages = try packedExchanges(&tally)
        try formats(&tally)
        try sumsUnderWay(&tally)
        try partsUnderWay(&tally)
        try sharedValues(&tally)
        try letters(&tally)
        try communicator.barrier()
        let place = communicator.place
        return Report(
            rank: rank, size: size, host: place.host, node: place.node, nodes: place.nodes, localRank: place.localRank,
            localSize: place.localSize, checks: tally.checks, wrong: tally.wrong, bits: String(tally.hash, radix: 16),
            sentWithin: communicator.traffic.withinNode, sentBetween: communicator.traffic.betweenNodes,
            straightMessages: messages?.straight, packedMessages: messages?.packed,
            notice: communicator.notice)
    }

    private func reductions(_ tally: inout Tally) throws {
        let ranks = 0..<size
        var floats = (0..<count).map { Float(whole(rank, $0)) }
        try floats.withUnsafeMutableBufferPointer { try communicator.sum($0) }
        let sums = (0..<count).map { index in ranks.reduce(0) { $0 + whole($1, index) } }
        tally.check("sum of floats", floats == sums.map { Float($0) })

        var doubles = (0..<count).map { Double(whole(rank, $0)) }
        try doubles.withUnsafeMutableBufferPointer { try communicator.sum($0) }
        tally.check("sum of doubles", doubles == sums.map { Double($0) })

        var largest = (0..<count).map { Double(whole(rank, $0)) }
        try largest.withUnsafeMutableBufferPointer { try communicator.maximum($0) }
        tally.check("maximum", largest == (0..<count).map { i in Double(ranks.map { whole($0, i) }.max()!) })

        var rounded = (0..<count).map { Float(fraction(rank, $0)) }
        try rounded.withUnsafeMutableBufferPointer { try communicator.sum($0) }
        // All terms are positive, and P - 1 additions round, each by at most half a unit in the last place of the sum.
        let tolerance = Double(size) * 0.5 * Double(Float.ulpOfOne)
        tally.check(
            "rounded sum",
            rounded.indices.allSatisfy { index in
                let exact = ranks.reduce(0.0) { $0 + Double(Float(fraction($1, index))) }
                return abs(Double(rounded[index]) - exact) <= tolerance * exact
            })
        tally.mix(rounded)
        tally.check("sum of a number", try communicator.sum(Double(rank + 1)) == Double(size * (size + 1) / 2))
        tally.check("sums of few numbers", try fewNumbers())
    }

    /// One sum after the other of changing lengths, as normalisations make them, some ranks late by turns: each has its own terms,
    /// added in rank order.
    private func fewNumbers() throws -> Bool {
        func term(_ rank: Int, _ turn: Int, _ index: Int) -> Double { 1 / Double(3 + rank * 7 + turn * 5 + index) }
        for turn in 0..<200 {
            if turn % 25 == rank { usleep(2000) }
            let largest = turn % 4 == 3
            var values = (0..<1 + turn * 37 % 300).map { term(rank, turn, $0) }
            let expected = values.indices.map { index in
                let terms = (0..<size).map { term($0, turn, index) }
                return largest ? terms.max()! : terms.dropFirst().reduce(terms[0], +)
            }
            try values.withUnsafeMutableBufferPointer { largest ? try communicator.maximum($0) : try communicator.sum($0) }
            let isRight = zip(values, expected).allSatisfy { abs($0 - $1) <= (size > 16 ? 1e-14 : 0) }
            if !isRight { return false }
        }
        return true
    }

    private func bytes(_ tally: inout Tally) throws {
        func text(_ rank: Int) -> [UInt8] { (0..<part(rank)).map { UInt8(truncatingIfNeeded: $0 * 3 + rank) } }
        for root in 0..<size {
            var values = rank == root ? text(0).map { $0 &+ UInt8(root) } : [UInt8](repeating: 99, count: part(0))
            try values.withUnsafeMutableBytes { try communicator.broadcast($0, from: root) }
            tally.check("broadcast from \(root)", values == text(0).map { $0 &+ UInt8(root) })
        }
        let all = try communicator.allgather(text(rank))
        tally.check("allgather of bytes", all == (0..<size).map(text))
        let none = try communicator.allgather([])
        tally.check("allgather of nothing", none == Array(repeating: [], count: size))
        let root = size - 1
        let gathered = try communicator.gather(text(rank), to: root)
        tally.check("gather", gathered == (rank == root ? (0..<size).map(text) : nil))
        tally.mix(all.joined().map { Float($0) })
    }

    private func parts(_ tally: inout Tally) throws {
        let ranks = 0..<size
        let counts = ranks.map(part)
        let total = counts.reduce(0, +)
        let start = counts[..<rank].reduce(0, +)

        let values = (0..<total).map { Float(whole(rank, $0)) }
        var sums = [Float](repeating: -1, count: counts[rank])
        try values.withUnsafeBufferPointer { values in
            try sums.withUnsafeMutableBufferPointer {
                try communicator.reduceScatterSum(values, counts: counts, into: $0)
            }
        }
        let expected = (0..<total).map { index in Float(ranks.reduce(0) { $0 + whole($1, index) }) }
        tally.check("reduceScatterSum", sums == Array(expected[start..<start + counts[rank]]))

        var joined = [Float](repeating: -1, count: total)
        try sums.withUnsafeBufferPointer { sums in
            try joined.withUnsafeMutableBufferPointer { try communicator.allgather(sums, counts: counts, into: $0) }
        }
        tally.check("allgather of floats", joined == expected)

        func letter(_ source: Int, _ destination: Int) -> [Float] {
            (0..<share(source, destination)).map { Float(whole(source * 10 + destination, $0)) }
        }
        let receiveCounts = ranks.map { share($0, rank) }
        var received = [Float](repeating: -1, count: receiveCounts.reduce(0, +))
        try ranks.flatMap { letter(rank, $0) }.withUnsafeBufferPointer { values in
            try received.withUnsafeMutableBufferPointer {
                try communicator.alltoall(
                    values, sendCounts: ranks.map { share(rank, $0) }, into: $0, receiveCounts: receiveCounts)
            }
        }
        tally.check("alltoall", received == ranks.flatMap { letter($0, rank) })
    }

    /// Two exchanges at once, of floats and of bytes, with a sum between: the later one is finished first.
    private func exchangesUnderWay(_ tally: inout Tally) throws {
        let ranks = 0..<size
        func letter(_ source: Int, _ destination: Int) -> [Float] {
            (0..<share(source, destination)).map { Float(whole(source + destination * 10, $0)) }
        }
        func mask(_ source: Int, _ destination: Int) -> [UInt8] {
            (0..<share(destination, source)).map { UInt8(truncatingIfNeeded: $0 + source * 5 + destination) }
        }
        let floats = Buffer(ranks.flatMap { letter(rank, $0) })
        let floatsIn = Buffer([Float](repeating: -1, count: ranks.reduce(0) { $0 + share($1, rank) }))
        let bytes = Buffer(ranks.flatMap { mask(rank, $0) })
        let bytesIn = Buffer([UInt8](repeating: 99, count: ranks.reduce(0) { $0 + share(rank, $1) }))
        let first = try communicator.startAlltoall(
            UnsafeBufferPointer(floats.elements), sendCounts: ranks.map { share(rank, $0) },
            into: floatsIn.elements, receiveCounts: ranks.map { share($0, rank) })
        let second = try communicator.startAlltoall(
            UnsafeRawBufferPointer(bytes.elements), sendCounts: ranks.map { share($0, rank) },
            into: UnsafeMutableRawBufferPointer(bytesIn.elements), receiveCounts: ranks.map { share(rank, $0) })
        _ = try first.poll()
        let sum = try communicator.sum(1)
        try second.finish()
        while try !first.poll() {}
        try first.finish()
        tally.check(
            "two exchanges under way",
            sum == Double(size) && Array(floatsIn.elements) == ranks.flatMap { letter($0, rank) }
                && Array(bytesIn.elements) == ranks.flatMap { mask($0, rank) })
    }

    /// Rank 0 collects two messages from each other rank, as a checkpoint does.
    private func letters(_ tally: inout Tally) throws {
        func letter(_ source: Int, _ number: Int) -> [UInt8] {
            (0..<count * number).map { UInt8(truncatingIfNeeded: $0 + source * 7 + number) }
        }
        for number in 1...2 where rank > 0 {
            try letter(rank, number).withUnsafeBytes { try communicator.send($0, to: 0) }
        }
        for source in 1..<max(size, 1) where rank == 0 {
            for number in 1...2 {
                var bytes = [UInt8](repeating: 0, count: count * number)
                try bytes.withUnsafeMutableBytes { try communicator.receive($0, from: source) }
                tally.check("message \(number) from \(source)", bytes == letter(source, number))
            }
        }
    }
}

/// The outcome of the checks so far.
struct Tally {
    private(set) var checks: [String] = []
    private(set) var wrong: [String] = []
    private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325

    /// Notes a check and whether it held.
    mutating func check(_ name: String, _ holds: Bool) {
        checks.append(name)
        if !holds { wrong.append(name) }
    }

    /// Mixes the bits of values into the hash (FNV-1a, by 32-bit words).
    mutating func mix(_ values: [Float]) {
        for value in values { hash = (hash ^ UInt64(value.bitPattern)) &* 0x0000_0100_0000_01B3 }
    }
}

/// Elements that stay where they are, as those of an exchange under way must.
final class Buffer<Element: BitwiseCopyable> {
    let elements: UnsafeMutableBufferPointer<Element>

    init(_ values: [Element]) {
        elements = .allocate(capacity: values.count)
        _ = elements.initialize(fromContentsOf: values)
    }

    deinit { elements.deallocate() }
}
