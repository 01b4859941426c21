import Foundation
import HandData
import Predictions
import Testing

@Suite struct FrameListTests {
    private let folder: String

    init() throws {
        folder = NSTemporaryDirectory() + "dtrain-frames-\(UUID().uuidString)"
        for name in ["one/depth.png", "two/depth.png", "two/deep/a.PNG", "two/notes.txt"] {
            let path = "\(folder)/\(name)"
            try FileManager.default.createDirectory(
                atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try Data().write(to: URL(fileURLWithPath: path))
        }
    }

    private func labels(_ text: String) throws -> FrameLabels {
        let path = "\(folder)/labels.txt"
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try FrameLabels(contentsOf: [path])
    }

    @Test func foldersGiveTheirPictures() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let items = try FrameList.items(["\(folder)/two/", "\(folder)/nothing.png"], labels: try FrameLabels(contentsOf: []))
        #expect(items.map(\.file) == ["\(folder)/two/deep/a.PNG", "\(folder)/two/depth.png", "\(folder)/nothing.png"])
        #expect(throws: DataError.self) {
            try FileManager.default.createDirectory(atPath: "\(folder)/empty", withIntermediateDirectories: true)
            _ = try FrameList.items(["\(folder)/empty"], labels: try FrameLabels(contentsOf: []))
        }
    }

    @Test func labelsAreFoundByTheEndOfThePath() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let numbers = (0..<48).map(String.init).joined(separator: " ")
        let known = try labels("one/depth.png \(numbers)\n")
        let items = try FrameList.items(["\(folder)/one", "\(folder)/two/depth.png"], labels: known)
        #expect(items.map { $0.label?[47] } == [47, nil])
        #expect(known.label(of: "one/depth.png") != nil && known.label(of: "none/depth.png") == nil)
        #expect(throws: DataError.self) { _ = try labels("\(numbers)\n") }
    }
}
