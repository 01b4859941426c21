/// Hands rendered around given joints: the poses of a label file as a source of samples.
package struct PoseSource: FrameSource {
    private let hands: SyntheticHands
    private let table: LabelTable
    private let scratch = ScratchPool()
    package let fingerprint: UInt64

    /// Reads an ICVL label file, of which the paths do not matter.
    /// - Throws: `DataError` for a file that cannot be read, a malformed line, no pose, or a joint nearer than 60 mm.
    package init(_ hands: SyntheticHands, labelFile path: String) throws(DataError) {
        self.hands = hands
        var table = LabelTable()
        try LabelFile.read(path, into: &table)
        if let bad = table.malformed.first {
            throw DataError("\(bad); hint: a line is `path u1 v1 d1 ... u16 v16 d16`")
        }
        guard table.count > 0 else {
            throw DataError("no poses in \(printable(path)); hint: a line is `path u1 v1 d1 ... u16 v16 d16`")
        }
        for index in 0..<table.count {
            let start = index * HandLabel.valueCount
            for joint in 0..<HandLabel.jointCount where table.labels[start + 3 * joint + 2] < 60 {
                throw DataError(
                    "\(printable(path)):\(table.line(index)): joint \(joint) is at \(table.labels[start + 3 * joint + 2]) mm; "
                        + "hint: a hand can be rendered from 60 mm on")
            }
        }
        self.table = table
        var hash = StreamHash()
        table.labels.withUnsafeBytes { hash.combine($0) }
        hash.combine(hands.seed)
        hash.combine(SyntheticHands.version)
        for word in hands.style.words { hash.combine(word) }
        fingerprint = hash.value
    }

    package var count: Int { table.count }
    package var width: Int { hands.width }
    package var height: Int { hands.height }

    package func readLabel(_ index: Int, into label: UnsafeMutableBufferPointer<Float>) {
        let start = index * HandLabel.valueCount
        for value in 0..<HandLabel.valueCount { label[value] = table.labels[start + value] }
    }

    package func readFrame(_ index: Int, into depth: UnsafeMutableBufferPointer<UInt16>) throws(BadSample) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: HandLabel.valueCount) { label in
            readLabel(index, into: label)
            scratch.lend(hands) {
                hands.render(joints: UnsafeBufferPointer(label), index: UInt64(index), depth: depth, scratch: $0)
            }
        }
    }

    package func refuse(_ index: Int, reason: String) -> BadSample {
        BadSample(path: "", labelFile: table.file(index), line: table.line(index), index: index, reason: reason)
    }

    package func describe(_ index: Int) -> String { "\(printable(table.file(index))):\(table.line(index))" }
}
