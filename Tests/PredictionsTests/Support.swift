import Foundation
import HandData

/// Where the shared reference files are, or nil: tests on real data are skipped then.
enum Shared {
    static let folder: String? = {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
        return [ProcessInfo.processInfo.environment["DTRAIN_SHARED"], "\(root)/../shared"].compactMap { $0 }.first {
            FileManager.default.fileExists(atPath: "\($0)/icvl/test_seq_1.txt")
        }
    }()

    static func icvl(_ name: String) -> String { "\(folder!)/icvl/\(name)" }
}
