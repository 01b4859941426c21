import Foundation
import HandData
import Testing

/// Where the shared reference files are, or nil: tests on real data are skipped then.
enum Shared {
    static let folder: String? = {
        let packageRoot = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        let candidates = [ProcessInfo.processInfo.environment["DTRAIN_SHARED"], "\(packageRoot)/../shared"]
        return candidates.compactMap { $0 }.first {
            FileManager.default.fileExists(atPath: "\($0)/icvl/test_seq_1.txt")
        }
    }()

    static func icvl(_ name: String) -> String { "\(folder!)/icvl/\(name)" }
    static let isPresent = folder != nil
    static let skipped: Comment = "the real label files are not there: set DTRAIN_SHARED to the folder that holds icvl"
}

/// A folder of its own for one test, removed with it.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "dtrain-data-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ bytes: [UInt8], to name: String) throws {
        let url = URL(fileURLWithPath: "\(path)/\(name)")
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: url)
    }

    func write(_ text: String, to name: String) throws { try write(Array(text.utf8), to: name) }

    func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)")))
    }
}

/// A frame whose pixels tell where they are and which sample they belong to.
func patternFrame(_ index: Int, size: PNG.Size) -> [UInt16] {
    (0..<(size.width * size.height)).map { pixel in
        let inBox = pixel % size.width > 2 && pixel % size.width < size.width - 3
        return inBox ? UInt16((300 + index * 7 + pixel * 3) % 1400) : 32001
    }
}

func patternLabel(_ index: Int) -> [Float] { (0..<48).map { Float(index) + Float($0) * 0.5 } }

func labelLine(_ name: String, _ label: [Float]) -> String {
    ([name] + label.map { "\($0)" }).joined(separator: " ")
}

/// Samples made by formula; those in `broken` cannot be read.
struct PatternSource: FrameSource {
    var count: Int
    var width = 12
    var height = 8
    var broken: Set<Int> = []
    var fingerprint: UInt64 { UInt64(count) }

    func readLabel(_ index: Int, into label: UnsafeMutableBufferPointer<Float>) {
        _ = label.update(fromContentsOf: patternLabel(index))
    }

    func readFrame(_ index: Int, into depth: UnsafeMutableBufferPointer<UInt16>) throws(BadSample) {
        if broken.contains(index) {
            throw BadSample(path: "frame\(index)", labelFile: "made", line: index + 1, index: index, reason: "broken")
        }
        _ = depth.update(fromContentsOf: patternFrame(index, size: PNG.Size(width: width, height: height)))
    }

    func describe(_ index: Int) -> String { "made:\(index + 1)" }
}
