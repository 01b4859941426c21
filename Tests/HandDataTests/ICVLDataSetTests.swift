import Foundation
import HandData
import Testing

private let size = PNG.Size(width: 12, height: 8)

/// Writes frames and their label file; sample i of the file has pattern `first + i`.
private func write(
    _ names: [String], labels: String, depth: String, first: Int = 0, in folder: TemporaryFolder, lineEnd: String = "\n"
) throws {
    for (index, name) in names.enumerated() {
        let bytes = try encodeGrey(patternFrame(first + index, size: size), size)
        try folder.write(bytes, to: "\(depth)/\(name)")
    }
    try folder.write(names.enumerated().map { labelLine($1, patternLabel(first + $0)) + lineEnd }.joined(), to: labels)
}

private func label(_ source: any FrameSource, _ index: Int) -> [Float] {
    var label = [Float](repeating: -1, count: 48)
    label.withUnsafeMutableBufferPointer { source.readLabel(index, into: $0) }
    return label
}

private func frame(_ source: any FrameSource, _ index: Int) throws -> [UInt16] {
    var depth = [UInt16](repeating: 0, count: source.width * source.height)
    try depth.withUnsafeMutableBufferPointer { try source.readFrame(index, into: $0) }
    return depth
}

private func message(_ folder: TemporaryFolder, _ directory: String = "") -> String {
    do throws(DataError) {
        _ = try ICVLDataSet.open(folder.path + directory)
        return "opened"
    } catch {
        return error.description.replacingOccurrences(of: folder.path, with: "DIR")
    }
}

@Suite struct ICVLDataSetTests {
    static let sequence = "201403121135"
    static let names = (0..<20).map { "\(sequence)/image_\(String(format: "%04d", $0)).png" }

    private func standard(in folder: TemporaryFolder) throws {
        try write(Self.names, labels: "Training/labels.txt", depth: "Training/Depth", in: folder)
        for number in 1...2 {
            try write(
                ["test_seq_\(number)/image_0000.png", "test_seq_\(number)/image_0001.png"],
                labels: "Testing/test_seq_\(number).txt", depth: "Testing/Depth", first: number * 100, in: folder,
                lineEnd: " \r\r\n")
        }
    }

    @Test func trainingAndTesting() throws {
        let folder = try TemporaryFolder()
        try standard(in: folder)
        for directory in [folder.path, folder.path + "/"] {
            let data = try ICVLDataSet.open(directory)
            #expect(data.training.count == 20)
            #expect(data.heldOut.count == 4)
            #expect(data.notes.isEmpty)
            #expect((data.training.width, data.training.height) == (12, 8))
            #expect(label(data.training, 7) == patternLabel(7))
            #expect(try frame(data.training, 7) == patternFrame(7, size: size))
            #expect(label(data.heldOut, 3) == patternLabel(201))
            #expect(try frame(data.heldOut, 3) == patternFrame(201, size: size))
            #expect(
                data.heldOut.describe(3)
                    == "\(folder.path)/Testing/test_seq_2.txt:2: \(folder.path)/Testing/Depth/test_seq_2/image_0001.png"
            )
        }
    }

    @Test(arguments: [
        ("train.txt", "Depth"), ("labels.txt", "Depth"), ("Training/train.txt", "Training/Depth"),
        ("train.txt", "Training/Depth"),
    ])
    func otherLayouts(labels: String, depth: String) throws {
        let folder = try TemporaryFolder()
        try write(Self.names, labels: labels, depth: depth, in: folder)
        let data = try ICVLDataSet.open(folder.path)
        #expect(data.training.count == 18)
        #expect(data.heldOut.count == 2)
        #expect(
            data.notes == [
                "no Testing/test_seq_*.txt in \(folder.path): the last 10% of the training frames, 2, are held out"
            ])
        #expect(label(data.heldOut, 0) == patternLabel(18))
        #expect(try frame(data.heldOut, 1) == patternFrame(19, size: size))
    }

    @Test func testSequencesBesideTheTrainingLabels() throws {
        let folder = try TemporaryFolder()
        try write(Self.names, labels: "train.txt", depth: "Depth", in: folder)
        try write(["test_seq_1/image_0000.png"], labels: "test_seq_1.txt", depth: "Depth", first: 50, in: folder)
        let data = try ICVLDataSet.open(folder.path)
        #expect((data.training.count, data.heldOut.count) == (20, 1))
        #expect(try frame(data.heldOut, 0) == patternFrame(50, size: size))
    }

    @Test func rotatedCopies() throws {
        let folder = try TemporaryFolder()
        let rotated = ["22-5", "112-5", "-22-5", "180"].flatMap { angle in Self.names.map { "\(angle)/\($0)" } }
        // Rotated copies come first, as in the real file.
        try write(rotated + Self.names, labels: "Training/labels.txt", depth: "Training/Depth", in: folder)
        let originals = try ICVLDataSet.open(folder.path)
        #expect((originals.training.count, originals.heldOut.count) == (18, 2))
        #expect(label(originals.training, 0) == patternLabel(80))

        let all = try ICVLDataSet.open(folder.path, rotations: .all)
        #expect(all.heldOut.count == 2)
        #expect(label(all.heldOut, 1) == patternLabel(99))
        #expect(all.training.count == 5 * 18, "copies of held-out frames must not be trained on")
    }

    /// Whole sequences from the last on, as many as make a tenth; never one with which more than a third were held out.
    @Test func sequencesAreHeldOutWhole() throws {
        let folder = try TemporaryFolder()
        // A tenth of 60 is 6 frames: the last sequence has 4, the one before is too large, the one before that makes it 9.
        let lengths = [20, 6, 5, 25, 4]
        let originals = lengths.enumerated().flatMap { number, length in
            (0..<length).map { "20260101000\(number)/image_000\($0).png" }
        }
        try write(originals.map { "22-5/\($0)" } + originals, labels: "Training/labels.txt", depth: "Training/Depth", in: folder)
        try write(["test_seq_1/image_0000.png"], labels: "Testing/test_seq_1.txt", depth: "Testing/Depth", first: 200, in: folder)
        for (rotations, copies) in [(Rotations.none, 1), (.all, 2)] {
            let data = try ICVLDataSet.open(folder.path, rotations: rotations, validation: .sequence)
            #expect((data.training.count, data.heldOut.count, data.test?.count) == (51 * copies, 9, 1))
            #expect(data.heldOutText == "whole training sequences: 202601010002, 202601010004" && !data.validatesOnTest)
            let listed = copies == 1 ? originals : originals.map { "22-5/\($0)" } + originals
            let held = data.heldOut.places.map { listed[$0] }
            #expect(held == originals.filter { $0.hasPrefix("202601010002") || $0.hasPrefix("202601010004") })
            let trained = data.training.places.map { listed[$0] }
            #expect(!trained.contains { $0.contains("202601010002") || $0.contains("202601010004") }, "no copies of them either")
        }
    }

    @Test func tooFewSequencesLeaveAFraction() throws {
        let folder = try TemporaryFolder()
        try standard(in: folder)
        let data = try ICVLDataSet.open(folder.path, validation: .sequence)
        #expect((data.training.count, data.heldOut.count, data.test?.count) == (18, 2, 4))
        #expect(data.notes == ["the training frames are of too few sequences to hold whole ones out, so the last 10% of the frames, 2, are held out"])
        #expect(try ICVLDataSet.open(folder.path, validation: .fraction).heldOut.fingerprint == data.heldOut.fingerprint)
    }

    @Test(arguments: [
        "somebody/image.png", "22-5/somebody/image.png", "a/201403121135/image.png", "image.png", "5/7.png",
    ])
    func pathsOfOtherPeopleAreOriginals(name: String) throws {
        let folder = try TemporaryFolder()
        try write([name, "x/1.png"], labels: "labels.txt", depth: "Depth", in: folder)
        let data = try ICVLDataSet.open(folder.path)
        #expect(data.training.count + data.heldOut.count == 2)
    }

    @Test func aFrameListedTwiceIsOnOneSide() throws {
        let folder = try TemporaryFolder()
        try write(Self.names + [Self.names[0]], labels: "labels.txt", depth: "Depth", in: folder)
        let data = try ICVLDataSet.open(folder.path)
        #expect((data.training.count, data.heldOut.count) == (18, 2))
    }

    @Test func framesThatAreMissing() throws {
        let folder = try TemporaryFolder()
        try standard(in: folder)
        let depth = "\(folder.path)/Training/Depth"
        try FileManager.default.removeItem(atPath: "\(depth)/\(Self.names[3])")
        try folder.write([], to: "Training/Depth/\(Self.names[5])")
        try FileManager.default.removeItem(atPath: "\(depth)/\(Self.names[9])")
        try FileManager.default.createDirectory(atPath: "\(depth)/\(Self.names[9])", withIntermediateDirectories: false)

        let frames = try ICVLDataSet.open(folder.path).training
        let bad = try frames.missingFrames(in: 0..<20)
        #expect(bad.map(\.index) == [3, 5, 9])
        #expect(bad.map(\.reason) == ["missing file", "empty file", "not a regular file"])
        #expect(
            bad[0].description
                == "\(folder.path)/Training/labels.txt:4: \(depth)/\(Self.names[3]): missing file")
        #expect(try frames.missingFrames(in: 4..<9).map(\.index) == [5])
        for sample in bad {
            let error = #expect(throws: BadSample.self) { try frame(frames, sample.index!) }
            #expect(error == sample)
        }

        let rest = frames.removing(bad.compactMap(\.index))
        #expect(rest.count == 17)
        #expect(try rest.missingFrames(in: 0..<17).isEmpty)
        #expect(label(rest, 3) == patternLabel(4))
        #expect(try frame(rest, 16) == patternFrame(19, size: size))
        #expect(rest.fingerprint != frames.fingerprint)
    }

    @Test func aPipeIsNotWaitedFor() throws {
        let folder = try TemporaryFolder()
        try write(Self.names, labels: "labels.txt", depth: "Depth", in: folder)
        let path = "\(folder.path)/Depth/\(Self.names[1])"
        try FileManager.default.removeItem(atPath: path)
        #expect(mkfifo(path, 0o644) == 0)
        let frames = try ICVLDataSet.open(folder.path).training
        let error = #expect(throws: BadSample.self) { try frame(frames, 1) }
        #expect(error?.reason == "not a regular file")
    }

    @Test func framesThatOnlyDecodingKnowsBad() throws {
        let folder = try TemporaryFolder()
        try standard(in: folder)
        let bytes = try encodeGrey(patternFrame(0, size: size), size)
        let other = PNG.Size(width: 8, height: 12)
        let depth = "Training/Depth/"
        try folder.write(Array(bytes.dropLast(20)), to: depth + Self.names[1])
        try folder.write("no picture", to: depth + Self.names[2])
        try folder.write(try encodeGrey(patternFrame(0, size: other), other), to: depth + Self.names[3])
        try folder.write([UInt8](repeating: 0, count: 2 << 20), to: depth + Self.names[4])
        let frames = try ICVLDataSet.open(folder.path).training
        #expect(try frames.missingFrames(in: 0..<20).isEmpty)
        let reasons = (1...4).map { index in
            #expect(throws: BadSample.self) { try frame(frames, index) }?.reason
        }
        #expect(
            reasons == [
                "truncated PNG file", "not a PNG file", "wrong size 8x12, expected 12x8",
                "2097152 bytes, more than the 1048960 such a file can have",
            ])
    }

    @Test func malformedLinesAreCounted() throws {
        let folder = try TemporaryFolder()
        try standard(in: folder)
        var text = String(decoding: try folder.bytes("Training/labels.txt"), as: UTF8.self)
        text += "\(Self.names[0]) 1 2 3\n../x.png 1\n"
        try folder.write(text, to: "Training/labels.txt")
        let data = try ICVLDataSet.open(folder.path)
        #expect(data.malformedCount == 2)
        #expect(data.malformed.map(\.line) == [21, 22])
        #expect(data.training.count == 20)
    }

    @Test func whatIsNoDataSetIsSaid() throws {
        let folder = try TemporaryFolder()
        #expect(
            message(folder, "/absent")
                == "no data directory DIR/absent; hint: --data DIR is the folder that holds Training and Testing")
        #expect(
            message(folder)
                == "no training labels in DIR: looked for Training/labels.txt, Training/train.txt, train.txt, labels.txt; hint: --data DIR is the folder that holds Training and Testing"
        )
        try folder.write("", to: "Training/labels.txt")
        #expect(message(folder, "/Training/labels.txt").hasPrefix("DIR/Training/labels.txt is not a directory; hint: "))
        #expect(
            message(folder)
                == "DIR/Training/labels.txt is there, but its frames are not: looked for the folder Training/Depth; hint: unpack the depth frames there"
        )
        try FileManager.default.createDirectory(
            atPath: "\(folder.path)/Training/Depth", withIntermediateDirectories: true)
        #expect(
            message(folder)
                == "no samples in DIR/Training/labels.txt: 0 malformed lines; hint: a line is `path u1 v1 d1 ... u16 v16 d16`"
        )
        try folder.write(
            labelLine("22-5/201403121135/image_0000.png", patternLabel(0)) + "\n", to: "Training/labels.txt")
        #expect(message(folder).hasSuffix("d16`; 1 lines are rotated copies, which count with --rotations all"))
        try folder.write("a.png 1 2\n", to: "Training/labels.txt")
        #expect(
            message(folder).contains("1 malformed lines; the first: DIR/Training/labels.txt:1: 2 numbers, expected 48"))
        try folder.write(labelLine("a.png", patternLabel(0)), to: "Training/labels.txt")
        #expect(
            message(folder)
                == "none of the first frames can be read; DIR/Training/labels.txt:1: DIR/Training/Depth/a.png: missing file; hint: are the depth frames unpacked below DIR/Training/Depth?"
        )
    }

    @Test func theFingerprintTellsDataSetsApart() throws {
        let folder = try TemporaryFolder()
        try standard(in: folder)
        let first = try ICVLDataSet.open(folder.path).training.fingerprint
        #expect(try ICVLDataSet.open(folder.path).training.fingerprint == first)
        let text = String(decoding: try folder.bytes("Training/labels.txt"), as: UTF8.self)
        try folder.write(text.replacingOccurrences(of: " 3.5 ", with: " 3.501 "), to: "Training/labels.txt")
        #expect(try ICVLDataSet.open(folder.path).training.fingerprint != first)
    }
}
