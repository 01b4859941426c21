import Collectives

/// Sums and parts in both wire formats, under way beside other calls, and in shared memory. Their bits depend on the order of
/// the additions, and go into the hash that is compared between ranks, runs and implementations.
extension Exercise {
    /// Enough for several chunks, with an end that fills none.
    private var many: Int { count * 3 + 5 }

    private func fractions(_ source: Int, _ count: Int) -> [Float] { (0..<count).map { Float(fraction(source, $0)) } }

    /// Relative error of a sum of P positive terms: a rounding by half a unit in the last place for each addition; in bf16, of 8
    /// significant bits, one more for each term, each node's sum and the result.
    private func tolerance(_ wire: WireFormat) -> Double {
        Double(size) * 0.5 * Double(Float.ulpOfOne) + (wire == .fp32 ? 0 : 3.1 / 256)
    }

    private func isClose(_ sums: some Sequence<Float>, from start: Int = 0, _ wire: WireFormat) -> Bool {
        sums.enumerated().allSatisfy { index, sum in
            let exact = (0..<size).reduce(0.0) { $0 + Double(Float(fraction($1, start + index))) }
            return abs(Double(sum) - exact) <= tolerance(wire) * exact
        }
    }

    func formats(_ tally: inout Tally) throws {
        let ranks = 0..<size
        let counts = ranks.map { $0 % 3 == 1 ? 0 : many / size + $0 * 5 }
        let total = counts.reduce(0, +)
        let start = counts[..<rank].reduce(0, +)
        for wire in WireFormat.allCases {
            let values = Buffer(fractions(rank, many))
            try communicator.sum(values.elements, wire: wire)
            tally.check("sum in \(wire)", isClose(values.elements, wire))
            tally.mix(Array(values.elements))

            let contributions = Buffer(fractions(rank, total))
            let sums = Buffer([Float](repeating: -1, count: counts[rank]))
            try communicator.reduceScatterSum(
                UnsafeBufferPointer(contributions.elements), counts: counts, into: sums.elements, wire: wire)
            tally.check("reduceScatterSum in \(wire)", isClose(sums.elements, from: start, wire))

            let joined = Buffer([Float](repeating: -1, count: total))
            try communicator.allgather(
                UnsafeBufferPointer(sums.elements), counts: counts, into: joined.elements, wire: wire)
            tally.check("allgather in \(wire)", isClose(joined.elements, wire))
            tally.mix(Array(joined.elements))
        }
    }

    /// Two sums and an alltoall at once. Even ranks finish the sums first, odd ones the alltoall, and all go on to a call that
    /// waits in the library.
    func sumsUnderWay(_ tally: inout Tally) throws {
        let first = Buffer(fractions(rank, many))
        let second = Buffer((0..<count).map { Float(whole(rank, $0)) })
        let letters = Buffer((0..<size * 100).map { UInt8(truncatingIfNeeded: $0 + rank) })
        let received = Buffer([UInt8](repeating: 0, count: size * 100))
        let sums = [try communicator.startSum(first.elements), try communicator.startSum(second.elements)]
        let letter = try communicator.startAlltoall(
            UnsafeRawBufferPointer(letters.elements), sendCounts: Array(repeating: 100, count: size),
            into: UnsafeMutableRawBufferPointer(received.elements), receiveCounts: Array(repeating: 100, count: size))
        _ = try sums[0].poll()
        if rank % 2 == 0 {
            for sum in sums.reversed() { try sum.finish() }
            try letter.finish()
        } else {
            try letter.finish()
        }
        let agreed = try communicator.maximum(Double(rank))
        if rank % 2 == 1 {
            while try !sums[1].poll() {}
            try sums[0].finish()
        }
        let expected = (0..<count).map { index in Float((0..<size).reduce(0) { $0 + whole($1, index) }) }
        let letterExpected = (0..<size).flatMap { source in
            (0..<100).map { UInt8(truncatingIfNeeded: rank * 100 + $0 + source) }
        }
        tally.check(
            "sums under way",
            agreed == Double(size - 1) && isClose(first.elements, .fp32) && Array(second.elements) == expected
                && Array(received.elements) == letterExpected)
        tally.mix(Array(first.elements))
    }

    /// Two sums in parts, a joining of parts, a sum and an alltoall at once, as divided layers and gradients have them under way: they
    /// are finished in another order on every other rank, and are what they are one by one.
    func partsUnderWay(_ tally: inout Tally) throws {
        let counts = (0..<size).map { $0 % 3 == 1 ? 0 : many / size + $0 * 5 }
        let total = counts.reduce(0, +)
        let contributions = [Buffer(fractions(rank, total)), Buffer(fractions(rank + size, total))]
        let alone = try contributions.map { values in
            let sums = Buffer([Float](repeating: -1, count: counts[rank]))
            try communicator.reduceScatterSum(UnsafeBufferPointer(values.elements), counts: counts, into: sums.elements)
            return sums
        }
        let joinedAlone = Buffer([Float](repeating: -1, count: total))
        try communicator.allgather(UnsafeBufferPointer(alone[0].elements), counts: counts, into: joinedAlone.elements)

        let sums = contributions.map { _ in Buffer([Float](repeating: -1, count: counts[rank])) }
        let joined = Buffer([Float](repeating: -1, count: total))
        let whole = Buffer(fractions(rank, many))
        let letters = Buffer((0..<size * 100).map { UInt8(truncatingIfNeeded: $0 + rank) })
        let received = Buffer([UInt8](repeating: 0, count: size * 100))
        var pending = [
            try communicator.startReduceScatterSum(
                UnsafeBufferPointer(contributions[0].elements), counts: counts, into: sums[0].elements),
            try communicator.startSum(whole.elements),
            try communicator.startAlltoall(
                UnsafeRawBufferPointer(letters.elements), sendCounts: Array(repeating: 100, count: size),
                into: UnsafeMutableRawBufferPointer(received.elements), receiveCounts: Array(repeating: 100, count: size)),
            try communicator.startAllgather(
                UnsafeBufferPointer(alone[0].elements), counts: counts, into: joined.elements),
            try communicator.startReduceScatterSum(
                UnsafeBufferPointer(contributions[1].elements), counts: counts, into: sums[1].elements),
        ]
        if rank % 2 == 1 { pending.reverse() }
        for exchange in pending {
            _ = try exchange.poll()
            try exchange.finish()
        }
        let letterExpected = (0..<size).flatMap { source in
            (0..<100).map { UInt8(truncatingIfNeeded: rank * 100 + $0 + source) }
        }
        withExtendedLifetime((contributions, alone, sums, letters)) {
            let areSame = sums.indices.allSatisfy { Array(sums[$0].elements) == Array(alone[$0].elements) }
            tally.check("sums in parts under way", areSame)
        }
        tally.check("parts joined under way", Array(joined.elements) == Array(joinedAlone.elements))
        tally.check(
            "what was under way beside parts", isClose(whole.elements, .fp32) && Array(received.elements) == letterExpected)
        tally.mix(Array(joined.elements))
    }

    /// A sum in shared memory has the bits of any other sum.
    func sharedValues(_ tally: inout Tally) throws {
        let reference = Buffer(fractions(rank, many))
        try communicator.sum(reference.elements)
        // Not at the start of the buffer, and twice, as the owner writes to it again at once.
        let shared = try communicator.sharedBuffer(count: many + 3)
        let own = Buffer([Float](repeating: 0, count: many + 3))
        let values = UnsafeMutableBufferPointer(rebasing: (shared ?? own.elements)[3...])
        var isSame = true
        for _ in 0..<2 {
            _ = values.update(fromContentsOf: fractions(rank, many))
            try communicator.sum(values)
            isSame = isSame && Array(values) == Array(reference.elements)
        }
        tally.check("sum in a shared buffer", isSame)

        // What is reduced from there stays as it is, and may be joined where it lies.
        let counts = (0..<size).map(part)
        let total = counts.reduce(0, +)
        let sent = fractions(rank, total)
        let filled = UnsafeMutableBufferPointer(rebasing: values[..<total])
        _ = filled.update(fromContentsOf: sent)
        let joined = Buffer([Float](repeating: -1, count: total))
        let start = counts[..<rank].reduce(0, +)
        let mine = UnsafeMutableBufferPointer(rebasing: joined.elements[start..<start + counts[rank]])
        try communicator.reduceScatterSum(UnsafeBufferPointer(filled), counts: counts, into: mine)
        try communicator.allgather(UnsafeBufferPointer(mine), counts: counts, into: joined.elements)
        tally.check(
            "reduce-scatter from a shared buffer, joined in place",
            isClose(joined.elements, .fp32) && Array(filled) == sent)
        tally.mix(Array(joined.elements))
        try communicator.giveBack(shared)
    }
}
