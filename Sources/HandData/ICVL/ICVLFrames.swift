import Glibc
import System

/// The samples of one part (training or held-out) of an ICVL data set on disk.
package struct ICVLFrames: FrameSource {
    package let width: Int
    package let height: Int
    package let fingerprint: UInt64
    private let table: LabelTable
    /// The table's samples that belong to this part, in file order.
    private let samples: [Int32]
    private let depthFolder: String

    /// - Parameters:
    ///   - table: label lines, of which `samples` are this part.
    ///   - depthFolder: what the names in the table are relative to.
    ///   - size: the size every frame must have.
    init(table: LabelTable, samples: [Int32], depthFolder: String, size: PNG.Size) {
        self.table = table
        self.samples = samples
        self.depthFolder = depthFolder
        width = size.width
        height = size.height
        fingerprint = Self.hash(table, samples, size)
    }

    package var count: Int { samples.count }

    /// The number of each sample among those that its label file lists: malformed lines, and rotated copies that are not used, do not
    /// count.
    package var places: [Int] { samples.map { Int($0) } }

    /// The frame's path below `Depth/`, as its label line spells it.
    package func name(of index: Int) -> String { String(decoding: table.name(Int(samples[index])), as: UTF8.self) }

    /// The frame's file.
    package func file(of index: Int) -> String { path(of: index) }

    package func readLabel(_ index: Int, into label: UnsafeMutableBufferPointer<Float>) {
        let start = Int(samples[index]) * HandLabel.valueCount
        table.labels.withUnsafeBufferPointer { labels in
            _ = label.update(fromContentsOf: labels[start..<(start + HandLabel.valueCount)])
        }
    }

    package func readFrame(_ index: Int, into depth: UnsafeMutableBufferPointer<UInt16>) throws(BadSample) {
        do throws(PNGError) {
            try withPath(of: index) { path throws(PNGError) in
                try PNG.decode(file: path, expecting: PNG.Size(width: width, height: height), into: depth)
            }
        } catch {
            throw bad(index, reason: error.description, mayPass: error.mayPass)
        }
    }

    package func describe(_ index: Int) -> String {
        let sample = Int(samples[index])
        return "\(printable(table.file(sample))):\(table.line(sample)): \(printable(path(of: index)))"
    }

    /// The samples of `range` whose frame is not there, is no regular file or is empty, without opening any.
    ///
    /// A stat(2) a sample: ranks share the work by checking a range each.
    /// - Throws: `DataError` where storage does not answer, which says nothing about the frame.
    package func missingFrames(in range: Range<Int>) throws(DataError) -> [BadSample] {
        var found: [BadSample] = []
        for index in range {
            let failure: FileFailure? = withPath(of: index) { path in
                var status = stat()
                let code = StorageRetry.errorNumber { stat(path, &status) }
                guard code == 0 else { return FileFailure(errno: code).afterTries }
                guard status.st_mode & S_IFMT == S_IFREG else { return FileFailure("not a regular file") }
                return status.st_size == 0 ? FileFailure("empty file") : nil
            }
            guard let failure else { continue }
            let sample = bad(index, reason: failure.reason, mayPass: failure.mayPass)
            guard !sample.mayPass else { throw DataError("\(sample); hint: \(sample.hint)") }
            found.append(sample)
        }
        return found
    }

    /// The same part without the samples at `indices`.
    package func removing(_ indices: some Sequence<Int>) -> ICVLFrames {
        let removed = Set(indices)
        let kept = samples.indices.filter { !removed.contains($0) }.map { samples[$0] }
        return ICVLFrames(
            table: table, samples: kept, depthFolder: depthFolder, size: PNG.Size(width: width, height: height))
    }

    /// Runs `body` on the frame's path as a C string, built without a String.
    private func withPath<Result, Failure: Error>(
        of index: Int, _ body: (UnsafePointer<CChar>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try Self.withPath(folder: depthFolder, name: table.name(Int(samples[index])), body)
    }

    static func withPath<Result, Failure: Error>(
        folder: String, name: ArraySlice<UInt8>, _ body: (UnsafePointer<CChar>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let folder = folder.utf8
        return try withUnsafeTemporaryAllocation(of: CChar.self, capacity: folder.count + name.count + 2) {
            path throws(Failure) in
            var length = 0
            for byte in folder {
                path[length] = CChar(bitPattern: byte)
                length += 1
            }
            path[length] = CChar(bitPattern: UInt8(ascii: "/"))
            length += 1
            for byte in name {
                path[length] = CChar(bitPattern: byte)
                length += 1
            }
            path[length] = 0
            return try body(path.baseAddress!)
        }
    }

    private func path(of index: Int) -> String {
        "\(depthFolder)/\(String(decoding: table.name(Int(samples[index])), as: UTF8.self))"
    }

    package func refuse(_ index: Int, reason: String) -> BadSample { bad(index, reason: reason) }

    private func bad(_ index: Int, reason: String, mayPass: Bool = false) -> BadSample {
        let sample = Int(samples[index])
        return BadSample(
            path: path(of: index), labelFile: table.file(sample), line: table.line(sample), index: index, reason: reason,
            mayPass: mayPass)
    }

    private static func hash(_ table: LabelTable, _ samples: [Int32], _ size: PNG.Size) -> UInt64 {
        var hash = StreamHash()
        hash.combine(UInt64(size.width))
        hash.combine(UInt64(size.height))
        hash.combine(UInt64(samples.count))
        table.labels.withUnsafeBytes { labels in
            let stride = HandLabel.valueCount * MemoryLayout<Float>.stride
            for sample in samples {
                table.name(Int(sample)).withUnsafeBytes { hash.combine($0) }
                hash.combine(
                    UnsafeRawBufferPointer(rebasing: labels[(Int(sample) * stride)..<((Int(sample) + 1) * stride)]))
            }
        }
        return hash.value
    }
}
