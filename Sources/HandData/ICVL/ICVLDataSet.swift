/// An ICVL data set on disk: what is trained on, what is held out of it to choose by, and the test frames.
package struct ICVLDataSet: Sendable {
    package let training: ICVLFrames
    /// What is validated on.
    package let heldOut: ICVLFrames
    /// The test frames, where there are any and they are not what is validated on.
    package let test: ICVLFrames?
    /// What is held out, in words.
    package let heldOutText: String
    /// Samples that the training label file lists: the numbers of `ICVLFrames.places` in both parts of it.
    package let listedCount: Int
    /// What the user should know about how the parts were chosen, one line each.
    package let notes: [String]
    /// Label lines that are none, training first; at most `LabelTable.reportedAtMost` a part.
    package let malformed: [BadSample]
    /// How many such lines there are in all.
    package let malformedCount: Int
    /// Whether the held-out part is the test set, not split off the training frames.
    package let validatesOnTest: Bool

    /// Finds and reads the label files below `directory`; frames are not looked at but for the first, whose size all
    /// others must have.
    ///
    /// What is held out is no part of the training, nor are rotated copies of it. Where there is no test set, or no sequences can be
    /// held out, it is the last tenth of the originals in file order.
    /// - Throws: `DataError` if there is no data set, no sample in it, or no frame that can be read.
    package static func open(
        _ directory: String, rotations: Rotations = .none, validation: ValidationSplit = .test
    ) throws(DataError) -> ICVLDataSet {
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

        func part(_ samples: [Int32]) -> ICVLFrames {
            ICVLFrames(table: table, samples: samples, depthFolder: layout.trainingDepth, size: size)
        }
        var (notes, test, testTable): ([String], ICVLFrames?, LabelTable) = ([], nil, LabelTable())
        if !layout.testLabels.isEmpty {
            for file in layout.testLabels { try LabelFile.read(file, into: &testTable) }
            if testTable.count == 0 { notes = ["no samples in \(layout.testLabels.map(printable).joined(separator: ", "))"] }
            test = ICVLFrames(
                table: testTable, samples: (0..<testTable.count).map { Int32($0) }, depthFolder: layout.testDepth, size: size)
        }
        func set(_ training: [Int32], _ heldOut: ICVLFrames, _ text: String, validatesOnTest: Bool = false) -> ICVLDataSet {
            ICVLDataSet(
                training: part(training), heldOut: heldOut, test: validatesOnTest ? nil : test, heldOutText: text,
                listedCount: table.count, notes: notes, malformed: table.malformed + testTable.malformed,
                malformedCount: table.malformedCount + testTable.malformedCount, validatesOnTest: validatesOnTest)
        }
        if validation == .test, let test { return set(listed, test, "the test frames", validatesOnTest: true) }
        if validation == .sequence, let split = HeldOutSplit.ofSequences(table) {
            let names = split.sequences.map { printable($0) }.joined(separator: ", ")
            return set(split.training, part(split.heldOut), "whole training sequences: \(names)")
        }
        let split = HeldOutSplit.ofFrames(table)
        let percent = HeldOutSplit.percent
        switch validation {
        case .test:
            notes.append(
                "no Testing/test_seq_*.txt in \(printable(directory)): the last \(percent)% of the training frames, "
                    + "\(split.heldOut.count), are held out")
        case .sequence:
            notes.append(
                "the training frames are of too few sequences to hold whole ones out, so the last \(percent)% of the "
                    + "frames, \(split.heldOut.count), are held out")
        case .fraction: break
        }
        return set(split.training, part(split.heldOut), "the last \(percent)% of the training frames")
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
