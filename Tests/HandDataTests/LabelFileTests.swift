import Foundation
import HandData
import Testing

func parse(_ text: String, form: LabelFile.Form = .named) -> LabelTable {
    var table = LabelTable()
    Array(text.utf8).withUnsafeBytes { LabelFile.parse($0, named: "labels.txt", form: form, into: &table) }
    return table
}

/// What is wrong with the one line `text`.
private func complaint(_ text: String) -> String {
    let table = parse(text)
    return table.count == 0 && table.malformedCount == 1 ? table.malformed[0].description : "\(table.count) samples"
}

@Suite struct LabelFileTests {
    static let good = labelLine("201403121135/image_0000.png", patternLabel(3))

    @Test(arguments: ["\n", "\r\n", " \r\r\n", " \n", "\t\r\n\r\n\n", ""])
    func anyLineEndIsOne(ending: String) {
        let table = parse(Self.good + ending)
        #expect(table.count == 1)
        #expect(table.labels == patternLabel(3))
        #expect(table.malformedCount == 0)
    }

    @Test func testSequencesEndingsKeepLineNumbers() throws {
        // As a text editor shows test_seq_1.txt: line 2 is the second record, for all its CRs.
        let table = parse(Self.good + " \r\r\n" + "broken 1 2" + " \r\r\n" + Self.good + " \r\r\n")
        #expect(table.count == 2)
        #expect(table.malformed.map(\.line) == [2])
        #expect(table.malformed[0].description == "labels.txt:2: 2 numbers, expected 48 after the path")
    }

    @Test func duplicatesAndOddNamesAreSamples() {
        let names = [
            "s/image_1107.png", "s/image_1107.png", "s/image_-001.png", "s/image_12345.png", "s/image_0002.png",
            "x.PNG",
        ]
        let table = parse(names.enumerated().map { labelLine($1, patternLabel($0)) }.joined(separator: "\n"))
        #expect(table.count == 6)
        #expect(table.labels == (0..<6).flatMap { patternLabel($0) })
        #expect(table.malformedCount == 0)
    }

    @Test func aByteOrderMarkAndBlankLinesArePassedOver() {
        #expect(parse("\u{FEFF}" + Self.good + "\n   \n\n" + Self.good).count == 2)
        #expect(parse("").count == 0)
        #expect(parse("\n\r\n \n").malformedCount == 0)
    }

    @Test(
        arguments: [
            ("1", 1), ("-0", 0), ("+2.5", 2.5), (".5", 0.5), ("7.", 7), ("1e2", 100), ("1.5E-1", 0.15),
            ("180.210", 180.21), ("0.1000000000000000000000000001", 0.1),
            ("123456789012345678901", 123_456_789_012_345_678_901),
        ] as [(String, Float)])
    func numbers(spelling: String, value: Float) {
        let numbers = [String](repeating: spelling, count: 48).joined(separator: " ")
        let table = parse("a " + numbers)
        #expect(table.labels == [Float](repeating: value, count: 48))
        #expect(table.malformedCount == 0)
    }

    @Test func numbersAreRoundedCorrectly() {
        for thousandths in stride(from: -1_000_000, through: 1_000_000, by: 137) {
            let text = String(format: "%.3f", Double(thousandths) / 1000)
            let table = parse("a" + String(repeating: " " + text, count: 48))
            #expect(table.labels.first == Float(text))
        }
    }

    @Test(arguments: [
        ("nan", "'nan', is not finite"), ("inf", "'inf', is not finite"), ("-Infinity", "'-Infinity', is not finite"),
        ("1e99", "'1e99', is not finite"), ("1e999", "'1e999', is not finite"), ("0x10", "'0x10', is not a number"),
        ("1,5", "'1,5', is not a number"), ("1.2.3", "'1.2.3', is not a number"), ("--1", "'--1', is not a number"),
        ("-", "'-', is not a number"), (".", "'.', is not a number"), ("12abc", "'12abc', is not a number"),
        ("1e", "'1e', is not a number"),
        (String(repeating: "1", count: 200), "'111111111111111111111111...', is not a number"),
        ("\u{1B}[31m", "'\\u{1b}[31m', is not a number"),
    ])
    func whatIsNoNumber(spelling: String, reason: String) {
        let fields = ["1", "2", spelling] + [String](repeating: "0", count: 45)
        #expect(complaint("a " + fields.joined(separator: " ")) == "labels.txt:1: value 3 of the label, \(reason)")
    }

    @Test func fieldCounts() {
        #expect(complaint("a") == "labels.txt:1: 0 numbers, expected 48 after the path")
        #expect(complaint(Self.good + " 9") == "labels.txt:1: 49 numbers, expected 48 after the path")
        #expect(complaint(String(repeating: "7 ", count: 48)) == "labels.txt:1: 47 numbers, expected 48 after the path")
        #expect(parse(String(repeating: "7 ", count: 48), form: .numbersOnly).count == 1)
        #expect(
            parse("\n7 8\n", form: .numbersOnly).malformed.map(\.description) == [
                "labels.txt:2: 2 numbers, expected 48"
            ])
    }

    @Test(arguments: [
        ("../secret.png", "the path '../secret.png' leaves the data directory"),
        ("a/../../b.png", "the path 'a/../../b.png' leaves the data directory"),
        ("a/..", "the path 'a/..' leaves the data directory"),
        ("/etc/passwd", "the path '/etc/passwd' is absolute, expected one relative to Depth"),
        ("a\0b.png", "the path 'a\\u{0}b.png' has a control character in it"),
        (String(repeating: "a", count: 2000), "a path of more than 1024 bytes"),
    ])
    func pathsStayInside(path: String, reason: String) {
        #expect(complaint(labelLine(path, patternLabel(0))) == "labels.txt:1: \(reason)")
        #expect(parse(labelLine("a..b/..c/d...png", patternLabel(0))).count == 1)
    }

    @Test func aLineWithoutEndIsOneComplaint() throws {
        let table = parse(String(repeating: "x ", count: 3_000_000) + "\n" + Self.good)
        #expect(table.malformed.map(\.description) == ["labels.txt:1: a line of more than 65536 bytes"])
        #expect(table.count == 1)

        // The same where the line is longer than what is read of the file at a time.
        let folder = try TemporaryFolder()
        try folder.write(String(repeating: "x ", count: 3_000_000) + "\n" + Self.good, to: "labels.txt")
        var read = LabelTable()
        try LabelFile.read("\(folder.path)/labels.txt", into: &read)
        #expect(read.malformed.map(\.line) == [1])
        #expect(read.count == 1)
    }

    @Test func brokenLinesDoNotPileUp() {
        let table = parse(String(repeating: "a\n", count: 50_000))
        #expect(table.malformedCount == 50_000)
        #expect(table.malformed.count == LabelTable.reportedAtMost)
    }

    @Test func readingAFileInPiecesIsReadingItAtOnce() throws {
        let text = (0..<12_000).map { labelLine("s/image_\($0).png", patternLabel($0)) + " \r\r\n" }.joined()
        #expect(text.utf8.count > 2 << 20)
        let folder = try TemporaryFolder()
        try folder.write(text, to: "labels.txt")
        var table = LabelTable()
        try LabelFile.read("\(folder.path)/labels.txt", into: &table)
        #expect(table.count == 12_000)
        #expect(table.labels == parse(text).labels)
    }

    @Test func filesThatCannotBeRead() throws {
        let folder = try TemporaryFolder()
        for (path, reason) in [("absent", "missing file"), ("", "not a regular file")] {
            let error = #expect(throws: DataError.self) {
                var table = LabelTable()
                try LabelFile.read("\(folder.path)/\(path)", into: &table)
            }
            #expect(error?.description.contains("/\(path): \(reason); hint: ") == true)
        }
    }

    @Test(.enabled(if: Shared.isPresent, Shared.skipped))
    func theRealTestLabels() throws {
        var table = LabelTable()
        try LabelFile.read(Shared.icvl("test_seq_1.txt"), into: &table)
        #expect(table.count == 702)
        try LabelFile.read(Shared.icvl("test_seq_2.txt"), into: &table)
        #expect(table.count == 702 + 894)
        #expect(table.malformedCount == 0)

        var unnamed = LabelTable()
        try LabelFile.read(Shared.icvl("icvl_test_groundtruth_label.txt"), form: .numbersOnly, into: &unnamed)
        #expect(unnamed.labels == table.labels)
    }

    @Test(.enabled(if: Shared.isPresent, Shared.skipped))
    func theRealTrainingNames() throws {
        let names = try String(contentsOfFile: Shared.icvl("icvl_train_list.txt"), encoding: .utf8)
            .split(separator: "\n").map(String.init)
        let table = parse(names.enumerated().map { labelLine($1, patternLabel($0)) }.joined(separator: "\n"))
        #expect(table.count == 22_068)
        #expect(table.malformedCount == 0)
    }
}
