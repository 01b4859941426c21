/// One part of an ICVL data set, to be predicted or evaluated on.
package struct ICVLPart: Sendable {
    /// Which part.
    package enum Name: String, CaseIterable, Sendable {
        case test
        /// What a training on this data set validates on.
        case validation
        case training
    }

    package let frames: ICVLFrames
    /// Samples that its label files list; `frames.places` are numbers among them.
    package let listedCount: Int
    /// Label lines that are none, at most `LabelTable.reportedAtMost` of them.
    package let malformed: [BadSample]
    package let malformedCount: Int
    /// What the user should know about how the part was chosen.
    package let notes: [String]

    /// Reads the label files of a part. The test part asks for nothing else below `directory`.
    /// - Parameter validation: what the training held out, which tells the other parts apart.
    /// - Throws: `DataError` if there is no such part, no sample in it, or no frame that can be read.
    package static func open(_ name: Name, in directory: String, validation: ValidationSplit) throws(DataError) -> ICVLPart {
        if name == .test { return try openTest(directory) }
        let set = try ICVLDataSet.open(directory, validation: validation)
        let isTest = name == .validation && set.validatesOnTest
        let notes = name == .validation ? ["validation is on \(set.heldOutText)"] : []
        return ICVLPart(
            frames: name == .training ? set.training : set.heldOut, listedCount: isTest ? set.heldOut.count : set.listedCount,
            malformed: set.malformed, malformedCount: set.malformedCount, notes: set.notes + notes)
    }

    /// The test part of a data set in `directory`, or where it has none the training part; nil: it is no data set.
    /// - Throws: `DataError` if it is one and cannot be read.
    package static func openAny(in directory: String) throws(DataError) -> ICVLPart? {
        if (try? ICVLLayout.findTestAlone(in: directory)) != nil { return try openTest(directory) }
        return (try? ICVLLayout.find(in: directory)) == nil ? nil : try open(.training, in: directory, validation: .test)
    }

    private static func openTest(_ directory: String) throws(DataError) -> ICVLPart {
        let (labels, depth) = try ICVLLayout.findTestAlone(in: directory)
        var table = LabelTable()
        for file in labels { try LabelFile.read(file, into: &table) }
        guard table.count > 0 else {
            let first = table.malformed.first.map { "; the first malformed line: \($0)" } ?? ""
            throw DataError(
                "no samples in \(labels.map(printable).joined(separator: ", "))\(first); hint: a line is `path u1 v1 d1 ... u16 v16 d16`")
        }
        let size = try ICVLDataSet.frameSize(table, folder: depth)
        return ICVLPart(
            frames: ICVLFrames(table: table, samples: (0..<table.count).map { Int32($0) }, depthFolder: depth, size: size),
            listedCount: table.count, malformed: table.malformed, malformedCount: table.malformedCount, notes: [])
    }
}
