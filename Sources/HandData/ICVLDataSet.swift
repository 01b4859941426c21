/// An ICVL data set on disk: its training part and its held-out part.
package struct ICVLDataSet: Sendable {
    package let training: ICVLFrames
    package let heldOut: ICVLFrames
    /// What the user should know about how the parts were chosen, one line each.
    package let notes: [String]
    /// Label lines that are none, training first; at most `LabelTable.reportedAtMost` a part.
    package let malformed: [BadSample]
    /// How many such lines there are in all.
    package let malformedCount: Int
    /// Whether the held-out part is a test set of its own, not split off the training frames.
    package let hasTestSet: Bool

    /// Share of the training frames that is held out where there is no test set.
    static let heldOutPercent = 10

    /// Finds and reads the label files below `directory`; frames are not looked at but for the first, whose size all
    /// others must have.
    ///
    /// Without a test set the last tenth of the originals, in file order, is held out, and rotated copies of those are
    /// left out of training.
    /// - Throws: `DataError` if there is no data set, no sample in it, or no frame that can be read.
    package static func open(_ directory: String, rotations: Rotations = .none) throws(DataError) -> ICVLDataSet {
        let layout = try ICVLLayout.find(in: directory)
        var table = LabelTable()
        var rotated = 0
        try LabelFile.read(layout.trainingLabels, into: &table) { name in
            if rotations == .all || FramePath.originalStart(name) == nil { return true }
            rotated += 1
            return false
        }
        let listed = (0..<table.count).map { Int32($0) }
        guard !listed.isEmpty else {
            let broken = table.malformedCount
            let first = table.malformed.first.map { "; the first: \($0)" } ?? ""
            throw DataError(
                "no samples in \(printable(layout.trainingLabels)): \(broken) malformed lines\(first); "
                    + "hint: a line is `path u1 v1 d1 ... u16 v16 d16`"
                    + (rotated > 0 ? "; \(rotated) lines are rotated copies, which count with --rotations all" : ""))
        }
        let size = try frameSize(table, folder: layout.trainingDepth)

        if layout.testLabels.isEmpty {
            let split = splitOffHeldOut(table)
            let note =
                "no Testing/test_seq_*.txt in \(printable(directory)): the last \(heldOutPercent)% of the training frames, "
                + "\(split.heldOut.count), are held out"
            func part(_ samples: [Int32]) -> ICVLFrames {
                ICVLFrames(table: table, samples: samples, depthFolder: layout.trainingDepth, size: size)
            }
            return ICVLDataSet(
                training: part(split.training), heldOut: part(split.heldOut), notes: [note],
                malformed: table.malformed, malformedCount: table.malformedCount, hasTestSet: false)
        }

        var test = LabelTable()
        for file in layout.testLabels { try LabelFile.read(file, into: &test) }
        let notes = test.count == 0 ? ["no samples in \(layout.testLabels.map(printable).joined(separator: ", "))"] : []
        return ICVLDataSet(
            training: ICVLFrames(table: table, samples: listed, depthFolder: layout.trainingDepth, size: size),
            heldOut: ICVLFrames(
                table: test, samples: (0..<test.count).map { Int32($0) }, depthFolder: layout.testDepth, size: size),
            notes: notes, malformed: table.malformed + test.malformed,
            malformedCount: table.malformedCount + test.malformedCount, hasTestSet: true)
    }

    /// The last tenth of the originals, and the rest without rotated copies of that tenth.
    static func splitOffHeldOut(_ table: LabelTable) -> (training: [Int32], heldOut: [Int32]) {
        let starts = (0..<table.count).map { FramePath.originalStart(table.name($0)) }
        let originals = starts.indices.filter { starts[$0] == nil }
        let heldOutCount = originals.count < 2 ? 0 : max(1, originals.count * heldOutPercent / 100)
        let heldOut = originals.suffix(heldOutCount)
        let heldOutNames = Set(heldOut.map { table.name($0) })
        // By name for originals too: a frame that is listed twice must not be on both sides.
        let training = starts.indices.filter { index in
            !heldOutNames.contains(table.name(index).dropFirst(starts[index] ?? 0))
        }
        return (training.map { Int32($0) }, heldOut.map { Int32($0) })
    }

    /// The size of the first frame that can be read, of the first hundred.
    static func frameSize(_ table: LabelTable, folder: String) throws(DataError) -> PNG.Size {
        var firstFailure: String?
        for index in 0..<min(table.count, 100) {
            do throws(PNGError) {
                return try ICVLFrames.withPath(folder: folder, name: table.name(index)) { path throws(PNGError) in
                    try PNG.size(ofFile: path)
                }
            } catch {
                let name = String(decoding: table.name(index), as: UTF8.self)
                let failure = BadSample(
                    path: "\(folder)/\(name)", labelFile: table.file(index), line: table.line(index), reason: error.description,
                    mayPass: error.mayPass)
                if failure.mayPass { throw DataError("\(failure); hint: \(failure.hint)") }
                firstFailure = firstFailure ?? failure.description
            }
        }
        throw DataError(
            "none of the first frames can be read; \(firstFailure ?? ""); hint: are the depth frames unpacked below \(printable(folder))?"
        )
    }
}
