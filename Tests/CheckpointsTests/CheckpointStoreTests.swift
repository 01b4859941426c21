import Checkpoints
import Foundation
import Testing

@Suite struct CheckpointStoreTests {
    @Test func roundTripAndLayout() throws {
        let scratch = try Scratch()
        let store = CheckpointStore(directory: scratch.file("checkpoints"))
        #expect(try store.list().isEmpty)
        #expect(try store.newestGood().checkpoint == nil)
        try store.prepare()
        let committed = try write(store, step: 100, score: 2.5)
        #expect(committed.problems.isEmpty)
        #expect(committed.best == 100)
        #expect(committed.checkpoint.path == store.path(ofStep: 100))
        #expect(try names(store.directory) == ["best", "step-00000100"])
        #expect(
            try names(store.path(ofStep: 100)) == ["model.safetensors", "optimizer.safetensors", "state.json"])
        let checkpoint = try #require(try store.newestGood().checkpoint)
        try expectWhole(checkpoint, step: 100)
        #expect(checkpoint.state.score == 2.5)
        try expectWhole(try Checkpoint.open("\(store.directory)/best"), step: 100)
    }

    @Test func equalContentGivesEqualBytes() throws {
        let scratch = try Scratch()
        let stores = ["a", "b"].map { CheckpointStore(directory: scratch.file($0)) }
        for store in stores { try write(store, step: 7, score: 0.1) }
        for name in try names(stores[0].path(ofStep: 7)) {
            #expect(try bytes("\(stores[0].path(ofStep: 7))/\(name)") == bytes("\(stores[1].path(ofStep: 7))/\(name)"))
        }
    }

    /// `xxhsum -H1` and `json.load` can check a checkpoint without dtrain: the format is pinned here.
    @Test func stateFileIsPlainJSON() throws {
        let scratch = try Scratch()
        let store = CheckpointStore(directory: scratch.path)
        try write(store, step: 3, score: .nan)
        let json = try bytes("\(store.path(ofStep: 3))/state.json")
        let object = try #require(try JSONSerialization.jsonObject(with: Data(json)) as? [String: Any])
        #expect(object["format"] as? Int == 1)
        #expect(object["step"] as? Int == 3)
        #expect(object["score"] == nil)
        let files = try #require(object["files"] as? [String: [String: Any]])
        let model = try bytes("\(store.path(ofStep: 3))/model.safetensors")
        #expect(files["model.safetensors"]?["bytes"] as? Int == model.count)
        let checksum = model.withUnsafeBytes { StreamingChecksum.of($0) }
        #expect(files["model.safetensors"]?["checksum"] as? String == checksum.description)
        #expect((object["training"] as? [String: Any])?["seed"] as? UInt64 == .max)
    }

    @Test func numbersSurviveExactly() throws {
        struct Numbers: Codable { var values: [Double] }
        let scratch = try Scratch()
        let store = CheckpointStore(directory: scratch.path)
        let values = [0.1, -0.0, .leastNonzeroMagnitude, .greatestFiniteMagnitude, .infinity, -.infinity, .nan, 1.0 / 3]
        let committed = try store.begin(step: 1).commit(training: Numbers(values: values))
        let read = try Checkpoint.open(committed.checkpoint.path).training(as: Numbers.self).values
        #expect(read.map(\.bitPattern) == values.map(\.bitPattern))
    }

    @Test func trainingOfAnotherKindIsNamed() throws {
        struct Other: Codable { var optimizer: String }
        let scratch = try Scratch()
        let checkpoint = try write(CheckpointStore(directory: scratch.path), step: 1).checkpoint
        let error = try failure { _ = try checkpoint.training(as: Other.self) }
        #expect(error.description.contains("state.json: does not hold what is expected: \"optimizer\" is missing"))
        #expect(error.path == "\(checkpoint.path)/state.json")
    }

    /// A run whose directory was renamed under it neither begins another in its place, nor writes into that of another run.
    @Test func aStoreThatIsGoneIsNotBegunAnew() throws {
        let scratch = try Scratch()
        let run = scratch.file("run")
        let directory = try RunDirectory(run, existing: .refuse)
        let store = CheckpointStore(directory: directory.checkpointsPath, lock: "\(run)/lock")
        try write(store, step: 1)
        try FileManager.default.moveItem(atPath: run, toPath: scratch.file("moved"))
        #expect(try failure { _ = try store.begin(step: 2) }.kind == .locked)
        #expect(!FileManager.default.fileExists(atPath: run))

        try FileManager.default.createDirectory(atPath: store.directory, withIntermediateDirectories: true)
        try LockRecord(host: "elsewhere", pid: 1, start: 1).text.write(toFile: "\(run)/lock", atomically: true, encoding: .utf8)
        #expect(try failure { _ = try store.begin(step: 2) }.kind == .locked)
        #expect(try names(store.directory) == [])
        directory.close()
    }

    @Test func replacingAStepKeepsItWhole() throws {
        let scratch = try Scratch()
        let store = CheckpointStore(directory: scratch.path)
        try write(store, step: 5, score: 1)
        let second = try store.begin(step: 5).commit(training: sampleProgress(step: 6), score: 2)
        #expect(second.problems.isEmpty)
        #expect(try Checkpoint.open(store.path(ofStep: 5)).state.files.isEmpty)
        #expect(try names(scratch.path) == ["best", "step-00000005"])
    }

    @Test func listShowsWhatIsWrong() throws {
        let scratch = try Scratch()
        let store = CheckpointStore(directory: scratch.path)
        try write(store, step: 1)
        try write(store, step: 123_456_789)
        try FileManager.default.createDirectory(atPath: scratch.file("step-00000002"), withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: scratch.file("step-3"), withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: store.path(ofStep: 1), toPath: store.path(ofStep: 4))
        let list = try store.list()
        #expect(list.map(\.step) == [1, 2, 4, 123_456_789])
        #expect(throws: Never.self) { try list[0].content.get() }
        #expect(try failure { _ = try list[1].content.get() }.reason == "is not a checkpoint")
        #expect(try failure { _ = try list[2].content.get() }.reason == "holds step 1")
        #expect(throws: Never.self) { try list[3].content.get() }
    }

    @Test func pathsThatAreNoCheckpoint() throws {
        let scratch = try Scratch()
        let store = CheckpointStore(directory: scratch.file("checkpoints"))
        let checkpoint = try write(store, step: 1).checkpoint
        func hint(_ path: String) throws -> String { try failure { _ = try Checkpoint.open(path) }.description }
        #expect(try hint(scratch.file("absent")).contains("No such file or directory"))
        #expect(try hint(scratch.path).contains("hint: this is a run directory; give one of"))
        #expect(try hint("\(checkpoint.path)/model.safetensors").contains("hint: give the directory step-..."))
        #expect(try hint(store.directory).contains("is not a checkpoint"))
    }

    /// A name that says a step is a promise; any other name may be given to a copy.
    @Test func aCheckpointUnderAnothersNameIsRefused() throws {
        let scratch = try Scratch()
        let store = CheckpointStore(directory: scratch.path)
        try write(store, step: 1)
        for (name, reason) in [("step-00000006", "holds step 1" as String?), ("step-00000006/", "holds step 1"), ("mine", nil)] {
            let path = scratch.file(name)
            try? FileManager.default.removeItem(atPath: path)
            try FileManager.default.copyItem(atPath: store.path(ofStep: 1), toPath: path)
            if let reason {
                #expect(try failure { _ = try Checkpoint.open(path) }.reason == reason)
            } else {
                #expect(try Checkpoint.open(path).step == 1)
            }
        }
    }

    // MARK: Retention

    @Test func keepsTheNewestAndTheBest() throws {
        let scratch = try Scratch()
        let store = CheckpointStore(directory: scratch.path)
        let scores: [Double?] = [5, 3, 4, 3, nil, 9, 8]
        var removed: [[Int]] = []
        for (index, score) in scores.enumerated() {
            let committed = try write(store, step: (index + 1) * 10, score: score)
            #expect(committed.problems.isEmpty)
            removed.append(committed.removed)
            #expect(
                try FileManager.default.destinationOfSymbolicLink(atPath: scratch.file("best"))
                    == CheckpointStore.name(ofStep: index == 0 ? 10 : 20))
        }
        #expect(removed == [[], [], [], [10], [], [30], [40]])
        #expect(try store.list().map(\.step) == [20, 50, 60, 70])
        #expect(try names(scratch.path) == ["best"] + [20, 50, 60, 70].map(CheckpointStore.name(ofStep:)))

        let better = try write(store, step: 80, score: 1)
        #expect(better.best == 80)
        #expect(better.removed == [20, 50])
        for listing in try store.list() { try expectWhole(try Checkpoint.open(listing.path), step: listing.step) }
    }

    @Test func withoutScoresThereIsNoBest() throws {
        let scratch = try Scratch()
        let store = CheckpointStore(directory: scratch.path, keepNewest: 1)
        for step in 1...3 { #expect(try write(store, step: step).best == nil) }
        #expect(try names(scratch.path) == ["step-00000003"])
    }

    @Test func damagedOnesDoNotPushOutGoodOnes() throws {
        let scratch = try Scratch()
        let store = CheckpointStore(directory: scratch.path, keepNewest: 2)
        for step in 1...2 { try write(store, step: step) }
        try put([1, 2, 3], "\(store.path(ofStep: 2))/state.json")
        try write(store, step: 3)
        #expect(try store.list().map(\.step) == [1, 2, 3])
        let next = try write(store, step: 4)
        #expect(next.removed == [1, 2])
        #expect(try store.list().map(\.step) == [3, 4])
    }

    @Test func aLinkedCheckpointIsUnlinkedNotEmptied() throws {
        let scratch = try Scratch()
        let elsewhere = CheckpointStore(directory: scratch.file("elsewhere"))
        try write(elsewhere, step: 1)
        let store = CheckpointStore(directory: scratch.file("checkpoints"), keepNewest: 1)
        try store.prepare()
        #expect(symlink(elsewhere.path(ofStep: 1), store.path(ofStep: 1)) == 0)
        #expect(try write(store, step: 2).removed == [1])
        try expectWhole(try Checkpoint.open(elsewhere.path(ofStep: 1)), step: 1)
    }

    @Test func setAsideTakesNewerOnesOutOfTheSeries() throws {
        let scratch = try Scratch()
        let store = CheckpointStore(directory: scratch.path, keepNewest: 5)
        for (step, score) in [(1, 3.0), (2, 2), (3, 1)] { try write(store, step: step, score: score) }
        // What was set aside before stays.
        for prefix in ["aside", "aside-2", "aside-3"] {
            let moved = try store.setAside(newerThan: 1)
            #expect(moved == [2, 3].map { "\(scratch.path)/\(prefix)-\(CheckpointStore.name(ofStep: $0))" })
            #expect(try store.list().map(\.step) == [1])
            #expect(try FileManager.default.destinationOfSymbolicLink(atPath: scratch.file("best")) == "step-00000001")
            for step in 2...3 { try write(store, step: step, score: 0.5) }
        }
        #expect(try store.setAside(newerThan: 3) == [])
    }
}
