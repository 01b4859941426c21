/// Which frames a run validates on: the best weights are chosen by them, so they should not be those of the test.
package enum ValidationSplit: String, CaseIterable, Sendable, Codable {
    /// Whole training sequences: neighbours in a sequence are near-duplicates, which a split by frames leaves on both sides.
    case sequence
    /// The last tenth of the training frames.
    case fraction
    /// The test frames themselves: the choice then uses what it is judged by.
    case test
}

/// How training frames are divided into those that are trained on and those that are held out: by number in a label table.
struct HeldOutSplit {
    let training: [Int32]
    let heldOut: [Int32]
    /// Names of the sequences that are held out as a whole; empty where frames are.
    let sequences: [String]

    /// Share of the training frames that is held out at least.
    static let percent = 10
    /// The last tenth of the originals, and the rest without rotated copies of that tenth.
    static func ofFrames(_ table: LabelTable) -> HeldOutSplit {
        let starts = originalStarts(table)
        let originals = starts.indices.filter { starts[$0] == nil }
        let heldOutCount = originals.count < 2 ? 0 : max(1, originals.count * percent / 100)
        let heldOut = originals.suffix(heldOutCount)
        let heldOutNames = Set(heldOut.map { table.name($0) })
        // By name for originals too: a frame that is listed twice must not be on both sides.
        let training = starts.indices.filter { index in
            !heldOutNames.contains(table.name(index).dropFirst(starts[index] ?? 0))
        }
        return HeldOutSplit(training: training.map { Int32($0) }, heldOut: heldOut.map { Int32($0) }, sequences: [])
    }

    /// The last sequences in file order that are a tenth of the originals together, passing over those with which it were more than
    /// a third; rotated copies of their frames are neither trained on nor held out.
    /// - Returns: nil where no sequences make a tenth without being too much: too few of them, or one alone.
    static func ofSequences(_ table: LabelTable) -> HeldOutSplit? {
        let starts = originalStarts(table)
        var order: [ArraySlice<UInt8>] = []
        var counts: [ArraySlice<UInt8>: Int] = [:]
        for index in starts.indices where starts[index] == nil {
            let name = sequence(table.name(index))
            if counts[name] == nil { order.append(name) }
            counts[name, default: 0] += 1
        }
        let total = counts.values.reduce(0, +)
        var chosen: Set<ArraySlice<UInt8>> = []
        var held = 0
        for name in order.reversed() where held * 100 < total * percent {
            guard (held + counts[name]!) * 3 <= total else { continue }
            chosen.insert(name)
            held += counts[name]!
        }
        guard held * 100 >= total * percent, held > 0 else { return nil }
        var (training, heldOut): ([Int32], [Int32]) = ([], [])
        for index in starts.indices {
            if !chosen.contains(sequence(table.name(index).dropFirst(starts[index] ?? 0))) {
                training.append(Int32(index))
            } else if starts[index] == nil {
                heldOut.append(Int32(index))
            }
        }
        let names = order.filter(chosen.contains).map { String(decoding: $0, as: UTF8.self) }
        return HeldOutSplit(training: training, heldOut: heldOut, sequences: names)
    }

    private static func originalStarts(_ table: LabelTable) -> [Int?] {
        (0..<table.count).map { FramePath.originalStart(table.name($0)) }
    }

    /// The folder of an original's path.
    private static func sequence(_ path: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard let slash = path.lastIndex(of: UInt8(ascii: "/")) else { return path.prefix(0) }
        return path[..<slash]
    }
}
