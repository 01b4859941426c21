import Glibc
import System

/// Writes samples as a data set in ICVL's layout, which the reader reads back.
///
/// `Training/labels.txt` with `Training/Depth/<12-digit sequence>/image_NNNN.png`, and `Testing/test_seq_1.txt` with
/// `Testing/Depth/test_seq_1/image_NNNN.png`. Lines end with LF alone: the space CR CR LF of the original test files is
/// an accident of theirs. Labels have three decimals, as those files have.
package enum ICVLWriter {
    /// Frames of one training sequence; a folder of more is slow on many file systems.
    static let sequenceLength = 1000
    /// The first sequence's name, a date and time as ICVL's are.
    private static let firstSequence = 202_601_010_000

    /// Writes both parts below `directory`, which must be empty or absent.
    ///
    /// The label files come last and each under a temporary name first, so an interrupted writing leaves no data set that
    /// looks whole.
    /// - Parameters:
    ///   - threads: that many render, encode and write at once.
    ///   - progress: told, from any thread, each time a frame is done.
    /// - Throws: `DataError` if the folder is not empty, cannot be written, or a sample cannot be read.
    package static func write(
        training: any FrameSource, testing: (any FrameSource)?, to directory: String, threads: Int = 1,
        progress: @escaping @Sendable () -> Void = {}
    ) throws(DataError) {
        switch fileKind(directory) {
        case .absent: try createDirectories(directory)
        case .directory:
            guard try directoryEntries(directory).isEmpty else {
                throw DataError("\(printable(directory)) is not empty; hint: name a new folder, nothing is overwritten")
            }
        default: throw DataError("\(printable(directory)) is not a directory; hint: name a new folder")
        }
        try write(
            training, folder: "\(directory)/Training", labels: "labels.txt", threads: threads, progress: progress
        ) { index in
            let number = index % sequenceLength
            return (folder: String(firstSequence + index / sequenceLength), file: "image_\(padded(number)).png")
        }
        guard let testing else { return }
        try write(
            testing, folder: "\(directory)/Testing", labels: "test_seq_1.txt", threads: threads, progress: progress
        ) { (folder: "test_seq_1", file: "image_\(padded($0)).png") }
    }

    private static func write(
        _ source: any FrameSource, folder: String, labels: String, threads: Int,
        progress: @escaping @Sendable () -> Void,
        naming: @escaping @Sendable (Int) -> (folder: String, file: String)
    ) throws(DataError) {
        try createDirectories("\(folder)/Depth")
        var lastFolder = ""
        for index in 0..<source.count where naming(index).folder != lastFolder {
            lastFolder = naming(index).folder
            try createDirectories("\(folder)/Depth/\(lastFolder)")
        }

        let work = Work(count: source.count)
        let group = try startThreads(count: threads) { _ in
            let size = PNG.Size(width: source.width, height: source.height)
            let depth = UnsafeMutableBufferPointer<UInt16>.allocate(capacity: size.width * size.height)
            let label = UnsafeMutableBufferPointer<Float>.allocate(capacity: HandLabel.valueCount)
            defer {
                depth.deallocate()
                label.deallocate()
            }
            while let index = work.next() {
                let name = naming(index)
                let path = "\(name.folder)/\(name.file)"
                do {
                    try source.readSample(index, depth: depth, label: label)
                    try PNG.write(grey16: UnsafeBufferPointer(depth), size: size, to: "\(folder)/Depth/\(path)")
                    let line = try labelLine(path, UnsafeBufferPointer(label))
                    work.finish(index, line: line)
                    progress()
                } catch let error as DataError {
                    work.fail(error)
                } catch {
                    work.fail(DataError("\(error)"))
                }
            }
        }
        group.join()
        let text = try work.lines()
        try text.withUnsafeBufferPointer { bytes throws(DataError) in
            try writeAtomically(UnsafeRawBufferPointer(bytes), to: "\(folder)/\(labels)")
        }
    }

    /// A label line with its LF.
    static func labelLine(_ path: String, _ label: UnsafeBufferPointer<Float>) throws(DataError) -> [UInt8] {
        var line = Array(path.utf8)
        for value in label {
            guard value.isFinite, abs(value) < 1e12 else {
                throw DataError("cannot write the label of \(path): \(value) is no position")
            }
            line.append(UInt8(ascii: " "))
            line.append(contentsOf: decimal(value).utf8)
        }
        line.append(UInt8(ascii: "\n"))
        return line
    }

    /// `value` with three decimals, rounded to nearest.
    private static func decimal(_ value: Float) -> String {
        let thousandths = Int64((Double(value) * 1000).rounded())
        let (whole, rest) = thousandths.magnitude.quotientAndRemainder(dividingBy: 1000)
        let decimals = String(rest)
        return (thousandths < 0 ? "-" : "") + "\(whole)." + String(repeating: "0", count: 3 - decimals.count) + decimals
    }

    /// At least four digits, as frames are numbered.
    private static func padded(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    /// The indices still to be written and the lines of those that are; shared by the writing threads.
    private final class Work: @unchecked Sendable {  // all fields are used under the lock
        private let condition = ConditionLock()
        private var unclaimed = 0
        private var finished: [[UInt8]]
        private var failure: DataError?

        init(count: Int) { finished = [[UInt8]](repeating: [], count: count) }

        func next() -> Int? {
            condition.withLock {
                guard failure == nil, unclaimed < finished.count else { return nil }
                defer { unclaimed += 1 }
                return unclaimed
            }
        }

        func finish(_ index: Int, line: [UInt8]) { condition.withLock { finished[index] = line } }
        func fail(_ error: DataError) { condition.withLock { failure = failure ?? error } }

        func lines() throws(DataError) -> [UInt8] {
            try condition.withLock { () throws(DataError) in
                if let failure { throw failure }
                return Array(finished.joined())
            }
        }
    }
}
