/// Number of joints of a hand, and of values a label has: (u px, v px, d mm) a joint.
package enum HandLabel {
    package static let jointCount = 16
    package static let valueCount = 48
}

/// The samples that label files list, in file order, duplicates included: labels, names, and where each stands.
package struct LabelTable: Sendable {
    /// Labels of all samples, (count, 48): u px, v px, d mm for each of 16 joints.
    package private(set) var labels: [Float] = []
    /// What the lines that are no labels are, the first `reportedAtMost` of them.
    package private(set) var malformed: [BadSample] = []
    /// How many such lines there are.
    package private(set) var malformedCount = 0

    /// A file of broken lines must not grow into a list many times its size.
    package static let reportedAtMost = 1000

    private var names: [UInt8] = []
    private var nameEnds: [Int] = []
    private var lines: [UInt32] = []
    private var files: [(path: String, firstSample: Int)] = []

    package init() {}

    package var count: Int { nameEnds.count }

    /// Bytes of the frame's name as the label line spells it, relative to `Depth/`; empty in files without names.
    func name(_ index: Int) -> ArraySlice<UInt8> {
        names[(index == 0 ? 0 : nameEnds[index - 1])..<nameEnds[index]]
    }

    /// The label file that lists sample `index`.
    func file(_ index: Int) -> String {
        files.last { $0.firstSample <= index }!.path
    }

    /// The line of that file, from 1.
    func line(_ index: Int) -> Int { Int(lines[index]) }

    mutating func begin(file: String) { files.append((path: file, firstSample: count)) }

    mutating func append(name: Slice<UnsafeRawBufferPointer>, label: UnsafeBufferPointer<Float>, line: Int) {
        names.append(contentsOf: name)
        nameEnds.append(names.count)
        labels.append(contentsOf: label)
        lines.append(UInt32(truncatingIfNeeded: line))
    }

    mutating func appendMalformed(line: Int, reason: String) {
        malformedCount += 1
        guard malformed.count < Self.reportedAtMost else { return }
        malformed.append(BadSample(path: "", labelFile: files.last!.path, line: line, reason: reason))
    }
}
