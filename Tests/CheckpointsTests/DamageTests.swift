import Checkpoints
import Foundation
import Testing

/// Damage of every kind, at every kind of place, is found, named, and passed over.
@Suite struct DamageTests {
    /// Three checkpoints, damage to the newest; the one before it must be found whole.
    private func expectFallback(
        _ comment: Comment, file: String, damage: (String) throws -> Void,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let scratch = try Scratch()
        let store = CheckpointStore(directory: scratch.path)
        for step in [10, 20, 30] { try write(store, step: step) }
        let path = "\(store.path(ofStep: 30))/\(file)"
        try damage(path)
        let search = try store.newestGood()
        #expect(search.damaged.count == 1, comment, sourceLocation: sourceLocation)
        let named = search.damaged.first?.path ?? ""
        #expect(named.hasPrefix(store.path(ofStep: 30)), comment, sourceLocation: sourceLocation)
        try expectWhole(try #require(search.checkpoint, comment, sourceLocation: sourceLocation), step: 20)
        #expect(throws: CheckpointError.self, comment, sourceLocation: sourceLocation) {
            try Checkpoint.open(store.path(ofStep: 30))
        }
    }

    static let files = ["model.safetensors", "optimizer.safetensors", "state.json"]

    @Test("cut short", arguments: files)
    func truncation(file: String) throws {
        for share in [0.0, 0.001, 0.02, 0.3, 0.999] {
            try expectFallback("\(share)", file: file) { path in
                let whole = try bytes(path)
                try put(Array(whole.prefix(Int(Double(whole.count) * share))), path)
            }
        }
        try expectFallback("one byte", file: file) { try put(bytes($0).dropLast(), $0) }
        try expectFallback("one byte more", file: file) { try put(bytes($0) + [0], $0) }
        try expectFallback("a page of zeros at the end", file: file) { path in
            let whole = try bytes(path)
            let zeros = min(512, whole.count / 2)
            try put(whole.dropLast(zeros) + [UInt8](repeating: 0, count: zeros), path)
        }
    }

    @Test("removed", arguments: files)
    func removal(file: String) throws {
        try expectFallback("removed", file: file) { try FileManager.default.removeItem(atPath: $0) }
        try expectFallback("a directory", file: file) {
            try FileManager.default.removeItem(atPath: $0)
            try FileManager.default.createDirectory(atPath: $0, withIntermediateDirectories: false)
        }
        try expectFallback("a pipe", file: file) {
            try FileManager.default.removeItem(atPath: $0)
            #expect(mkfifo($0, 0o600) == 0)
        }
    }

    /// Every bit of `state.json`, and every 61st of the tensor files, one at a time.
    @Test("one bit flipped", arguments: [("model.safetensors", 61), ("state.json", 1)])
    func bitFlips(file: String, stride step: Int) throws {
        let scratch = try Scratch(inMemory: true)
        let store = CheckpointStore(directory: scratch.path)
        let checkpoint = try write(store, step: 30, score: 1.5).checkpoint
        let path = "\(checkpoint.path)/\(file)"
        let whole = try bytes(path)
        for bit in stride(from: 0, to: whole.count * 8, by: step) {
            var damaged = whole
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            try put(damaged, path)
            let error = try failure { _ = try Checkpoint.open(checkpoint.path) }
            #expect(error.path == path && error.kind == .damaged, "bit \(bit): \(error)")
        }
        try put(whole, path)
        try expectWhole(try Checkpoint.open(checkpoint.path), step: 30)
    }

    @Test func swappedFiles() throws {
        try expectFallback("model of another step", file: "model.safetensors") { path in
            try put(bytes(path.replacingOccurrences(of: "step-00000030", with: "step-00000010")), path)
        }
        try expectFallback("state of another step", file: "state.json") { path in
            try put(bytes(path.replacingOccurrences(of: "step-00000030", with: "step-00000010")), path)
        }
    }

    @Test func nothingGood() throws {
        let scratch = try Scratch()
        let store = CheckpointStore(directory: scratch.path)
        for step in 1...3 {
            try write(store, step: step)
            try put([0], "\(store.path(ofStep: step))/model.safetensors")
        }
        let search = try store.newestGood()
        #expect(search.checkpoint == nil)
        #expect(search.damaged.map(\.path) == [3, 2, 1].map { "\(store.path(ofStep: $0))/model.safetensors" })
        #expect(search.damaged[0].reason == "is 1 bytes long; \(try FileSize.model) were written")
    }

    private enum FileSize {
        static var model: Int {
            get throws {
                let scratch = try Scratch()
                let committed = try write(CheckpointStore(directory: scratch.path), step: 1)
                return try #require(committed.checkpoint.state.files["model.safetensors"]?.bytes)
            }
        }
    }

    // MARK: A kill while writing

    /// What the disk holds at each stage of writing, were the process killed there: the older checkpoint is found
    /// whole, the next start clears the rest, and writing goes on.
    @Test func killedAtEachStage() throws {
        let scratch = try Scratch()
        let live = CheckpointStore(directory: scratch.file("live"))
        try write(live, step: 10, score: 1)
        var images: [String] = []
        func photograph() throws {
            let image = scratch.file("image-\(images.count)")
            try FileManager.default.copyItem(atPath: live.directory, toPath: image)
            images.append(image)
        }

        var pending = try live.begin(step: 20)
        try photograph()
        try pending.file("model.safetensors", entries: sampleEntries) { writer in
            try photograph()
            for entry in sampleEntries.indices {
                let values = sampleValues(step: 20, entry: entry)
                try values.prefix(values.count / 2).withUnsafeBufferPointer { try writer.append($0) }
                try photograph()
                try values.dropFirst(values.count / 2).withUnsafeBufferPointer { try writer.append($0) }
            }
        }
        try photograph()
        let beforeCommit = images.count
        let temporary = try #require(try names(live.directory).first { $0.hasPrefix(".tmp-step-") })
        _ = try pending.commit(training: sampleProgress(step: 20))

        // Within the commit: state.json half written; all written and not renamed.
        let state = try bytes("\(live.path(ofStep: 20))/state.json")
        for content in [Array(state.prefix(state.count / 2)), state] {
            let image = scratch.file("image-\(images.count)")
            try FileManager.default.copyItem(atPath: images[beforeCommit - 1], toPath: image)
            try put(content, "\(image)/\(temporary)/state.json")
            images.append(image)
        }
        // Within a removal, after its rename; and within the making of the link.
        try FileManager.default.copyItem(
            atPath: live.path(ofStep: 20), toPath: "\(images[0])/.removing-step-00000005-1")
        try FileManager.default.removeItem(atPath: "\(images[0])/.removing-step-00000005-1/state.json")
        #expect(symlink("step-00000010", "\(images[0])/.tmp-best-1") == 0)

        #expect(images.count == 8)
        for image in images {
            let store = CheckpointStore(directory: image)
            let search = try store.newestGood()
            #expect(search.damaged.isEmpty)
            try expectWhole(try #require(search.checkpoint), step: 10)
            #expect(try store.prepare().count >= 1)
            #expect(try names(image) == ["best", "step-00000010"])
            try expectWhole(try write(store, step: 20).checkpoint, step: 20)
        }
    }

    /// Killed between the two renames that replace a checkpoint of the same step.
    @Test func killedWithinAReplacement() throws {
        let scratch = try Scratch()
        let store = CheckpointStore(directory: scratch.path)
        try write(store, step: 10)
        try FileManager.default.moveItem(
            atPath: store.path(ofStep: 10), toPath: scratch.file(".replaced-step-00000010-77"))
        #expect(try store.prepare() == [".replaced-step-00000010-77"])
        try expectWhole(try #require(try store.newestGood().checkpoint), step: 10)

        try FileManager.default.copyItem(
            atPath: store.path(ofStep: 10), toPath: scratch.file(".replaced-step-00000010-77"))
        #expect(try store.prepare() == [".replaced-step-00000010-77"])
        #expect(try names(scratch.path) == ["step-00000010"])
    }

    @Test func anErrorWhileWritingLeavesNothing() throws {
        struct LostRank: Error {}
        let scratch = try Scratch()
        let store = CheckpointStore(directory: scratch.path)
        try write(store, step: 10)
        var pending = try store.begin(step: 20)
        #expect(throws: LostRank.self) {
            try pending.file("model.safetensors", entries: sampleEntries) { _ in throw LostRank() }
        }
        #expect(try names(scratch.path) == ["step-00000010"])
        let late = try failure { try pending.file("more.safetensors", entries: []) { _ in } }
        #expect(late.kind == .refused)
        do {
            _ = try pending.commit(training: 1)
            Issue.record("a checkpoint that was given up was committed")
        } catch {
            #expect(error.kind == .refused)
        }
        _ = try store.begin(step: 30)
        var named = try store.begin(step: 40)
        #expect(try failure { try named.file("../x", entries: []) { _ in } }.kind == .refused)
        #expect(try names(scratch.path) == ["step-00000010"])
    }
}
