import Glibc

/// Where the centre of a sample's crop comes from.
package enum CentreFinder: Sendable {
    /// The nearest hand-sized surface's centre of mass: needs no labels.
    case com
    /// Given centres, one a sample.
    case file(CentreTable)
    /// The mean of the label's joints: uses the truth, so results with it are no results on unknown frames.
    case labels

    /// Whether it looks at the labels: to be marked wherever a figure is given.
    package var usesTruth: Bool {
        if case .labels = self { true } else { false }
    }

    /// The name in reports: `com`, the file's path, or `labels (uses the truth)`.
    package var name: String {
        switch self {
        case .com: "com"
        case .file(let table): printable(table.path)
        case .labels: "labels (uses the truth)"
        }
    }

    /// The mean (u px, v px, d mm) of a label's joints.
    static func mean(of label: UnsafeBufferPointer<Float>) -> SIMD3<Double> {
        var sum = SIMD3<Double>()
        for start in stride(from: 0, to: label.count, by: 3) {
            sum += SIMD3(Double(label[start]), Double(label[start + 1]), Double(label[start + 2]))
        }
        return sum / Double(label.count / 3)
    }
}

/// The centres of a text file: a line `u v d` (px, px, mm) a frame, as the field publishes them.
package struct CentreTable: Sendable {
    /// The file they are from.
    package let path: String
    private let centres: [SIMD3<Double>]

    package var count: Int { centres.count }
    package subscript(index: Int) -> SIMD3<Double> { centres[index] }

    /// More would be no centre file: 30 bytes a line for ten million frames.
    private static let largestFile = 300 << 20

    private init(path: String, centres: [SIMD3<Double>]) {
        self.path = path
        self.centres = centres
    }

    /// Reads the file at `path`, whose lines stand in the order of the `count` samples they are for. Empty lines are passed over.
    /// - Throws: `DataError` if it cannot be read, for a line that is no centre (with its number), and for another number of centres.
    package init(contentsOf path: String, count: Int) throws(DataError) {
        let file: FileBytes
        do {
            file = try FileBytes(contentsOf: path, limit: Self.largestFile)
        } catch {
            throw DataError(
                "cannot read the centre file \(printable(path)): \(error.reason); hint: is it there, and may you read it?")
        }
        let centres = try Self.parse(file.bytes, path)
        guard centres.count == count else {
            throw DataError(
                "\(printable(path)): \(centres.count) centres for \(count) frames; "
                    + "hint: a line `u v d` a frame is expected, in the order of the label file")
        }
        self.init(path: path, centres: centres)
    }

    /// The centres without those at `indices`: for a source without these samples.
    package func removing(_ indices: some Sequence<Int>) -> CentreTable {
        let removed = Set(indices)
        return CentreTable(path: path, centres: centres.indices.filter { !removed.contains($0) }.map { centres[$0] })
    }

    /// The centres of the samples at `indices`, in their order: for a source of these samples.
    package func selecting(_ indices: some Sequence<Int>) -> CentreTable {
        CentreTable(path: path, centres: indices.map { centres[$0] })
    }

    /// Changes when a centre does.
    package var fingerprint: UInt64 {
        var hash = StreamHash()
        for centre in centres {
            for axis in 0..<3 { hash.combine(centre[axis].bitPattern) }
        }
        return hash.value
    }

    private static func parse(_ bytes: UnsafeRawBufferPointer, _ path: String) throws(DataError) -> [SIMD3<Double>] {
        var centres: [SIMD3<Double>] = []
        var line = 0
        var start = bytes.count >= 3 && bytes[0] == 0xEF && bytes[1] == 0xBB && bytes[2] == 0xBF ? 3 : 0
        while start < bytes.count {
            let newline = memchr(bytes.baseAddress! + start, 0x0A, bytes.count - start)
            let end = newline.map { UnsafeRawPointer($0) - bytes.baseAddress! } ?? bytes.count
            line += 1
            do throws(LineFailure) {
                if let centre = try centre(bytes[start..<end]) { centres.append(centre) }
            } catch {
                throw DataError(
                    "\(printable(path)):\(line): \(error.reason); hint: a line is `u v d`: px, px, mm of the hand's centre")
            }
            start = end + 1
        }
        return centres
    }

    private struct LineFailure: Error {
        let reason: String
    }

    /// The centre of a line; nil for an empty one.
    private static func centre(_ line: Slice<UnsafeRawBufferPointer>) throws(LineFailure) -> SIMD3<Double>? {
        var fields = FieldIterator(line)
        var centre = SIMD3<Double>()
        var count = 0
        while let field = fields.next() {
            if count < 3 {
                do {
                    centre[count] = Double(try FieldParser.float(field))
                } catch {
                    throw LineFailure(
                        reason: "\(excerpt(field)) \(error == .notFinite ? "is not finite" : "is not a number")")
                }
            }
            count += 1
        }
        guard count > 0 else { return nil }
        guard count == 3 else { throw LineFailure(reason: "\(count) numbers, expected 3") }
        guard CropGeometry.isUsable(centre) else {
            throw LineFailure(reason: "no centre in front of the camera (d is \(Float(centre.z)) mm)")
        }
        return centre
    }
}
