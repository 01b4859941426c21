import Foundation
import HandData
import Testing

/// Labels with digits beyond the third decimal and of either sign.
private struct FineSource: FrameSource {
    var count: Int
    let width = 12
    let height = 8
    let fingerprint: UInt64 = 0

    func readLabel(_ index: Int, into label: UnsafeMutableBufferPointer<Float>) {
        for value in 0..<48 { label[value] = Float(index * 48 + value) * 1.23456 - 20 }
    }
    func readFrame(_ index: Int, into depth: UnsafeMutableBufferPointer<UInt16>) {
        _ = depth.update(fromContentsOf: patternFrame(index, size: PNG.Size(width: width, height: height)))
    }
    func describe(_ index: Int) -> String { "\(index)" }
}

@Suite struct ICVLWriterTests {
    @Test(arguments: [1, 3])
    func theReaderReadsItBack(threads: Int) throws {
        let folder = try TemporaryFolder()
        let out = "\(folder.path)/new/set"
        let source = FineSource(count: 1003)
        try ICVLWriter.write(training: source, testing: PatternSource(count: 5), to: out, threads: threads)

        let data = try ICVLDataSet.open(out)
        #expect((data.training.count, data.heldOut.count, data.malformedCount) == (1003, 5, 0))
        #expect(try data.training.missingFrames(in: 0..<1003).isEmpty)
        var written = [Float](repeating: 0, count: 48)
        var read = written
        var frame = [UInt16](repeating: 0, count: 96)
        for index in 0..<1003 {
            written.withUnsafeMutableBufferPointer { source.readLabel(index, into: $0) }
            try read.withUnsafeMutableBufferPointer { label in
                try frame.withUnsafeMutableBufferPointer {
                    try data.training.readSample(index, depth: $0, label: label)
                }
            }
            #expect(zip(read, written).allSatisfy { abs($0 - $1) <= 0.001 + $1.ulp })
            #expect(frame == patternFrame(index, size: PNG.Size(width: 12, height: 8)))
        }
        let lines = String(decoding: try folder.bytes("new/set/Training/labels.txt"), as: UTF8.self).split(
            separator: "\n")
        #expect(lines[0].hasPrefix("202601010000/image_0000.png -20.000 -18.765 "))
        #expect(lines[1002].hasPrefix("202601010001/image_0002.png "))
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(out)/Testing/Depth/test_seq_1").count == 5)
    }

    @Test func nothingIsOverwritten() throws {
        let folder = try TemporaryFolder()
        try folder.write("mine", to: "notes.txt")
        for (path, reason) in [("", "is not empty"), ("/notes.txt", "is not a directory")] {
            let error = #expect(throws: DataError.self) {
                try ICVLWriter.write(training: PatternSource(count: 1), testing: nil, to: folder.path + path)
            }
            #expect(error?.description.hasPrefix("\(folder.path)\(path) \(reason); hint: name a new folder") == true)
        }
        #expect(try folder.bytes("notes.txt") == Array("mine".utf8))
    }

    @Test func aSourceThatFailsLeavesNoLabels() throws {
        let folder = try TemporaryFolder()
        let error = #expect(throws: DataError.self) {
            try ICVLWriter.write(
                training: PatternSource(count: 9, broken: [4]), testing: nil, to: "\(folder.path)/out", threads: 2)
        }
        #expect(error?.description == "made:5: frame4: broken")
        #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/out/Training/labels.txt"))
    }
}
