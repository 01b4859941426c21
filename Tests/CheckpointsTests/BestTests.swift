import Checkpoints
import Foundation
import Testing

/// What `best` may be found as, and what scores it is chosen by.
struct BestTests {
    private let scratch = try! Scratch()

    private var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: scratch.path))?.sorted() ?? [] }
    private var best: String? { try? FileManager.default.destinationOfSymbolicLink(atPath: scratch.file("best")) }

    /// Puts a copy of `step` in the place of the link, as a copy that follows links does.
    private func followLink(_ step: Int) throws {
        try FileManager.default.removeItem(atPath: scratch.file("best"))
        try FileManager.default.copyItem(
            atPath: scratch.file(CheckpointStore.name(ofStep: step)), toPath: scratch.file("best"))
    }

    @Test func aCopyOfACheckpointBecomesALinkAgain() throws {
        let store = CheckpointStore(directory: scratch.path)
        try write(store, step: 1, score: 3)
        try followLink(1)
        let next = try write(store, step: 2, score: 2)
        #expect(next.problems.isEmpty && next.best == 2 && best == "step-00000002")
        #expect(names == ["best", "step-00000001", "step-00000002"])
    }

    @Test(arguments: ["another checkpoint", "a changed state", "no checkpoint"]) func anyOtherDirectoryIsSetAside(kind: String) throws {
        let store = CheckpointStore(directory: scratch.path)
        try write(store, step: 1, score: 3)
        for (step, aside) in [(1, "aside-best"), (2, "aside-2-best")] {
            try followLink(step)
            switch kind {
            case "another checkpoint":
                try FileManager.default.removeItem(atPath: store.path(ofStep: step))
            case "a changed state":
                let state = scratch.file("best/state.json")
                try put(try bytes(state).map { $0 == UInt8(ascii: "3") ? UInt8(ascii: "4") : $0 }, state)
            default:
                try FileManager.default.removeItem(atPath: scratch.file("best"))
                try FileManager.default.createDirectory(atPath: scratch.file("best"), withIntermediateDirectories: true)
                try put([1, 2, 3], scratch.file("best/mine.txt"))
            }
            let next = try write(store, step: step + 1, score: 3 - Double(step))
            #expect(next.problems.isEmpty && best == CheckpointStore.name(ofStep: step + 1))
            #expect(names.contains(aside) && !names.contains { $0.hasPrefix(".tmp-") }, "\(names)")
        }
    }

    /// A lower error over other frames is no better one.
    @Test func scoresOverOtherFramesAreNotCompared() throws {
        let old = CheckpointStore(directory: scratch.path, keepNewest: 2, evaluation: "12 frames")
        try write(old, step: 1, score: 1)
        try write(old, step: 2, score: 2)
        #expect(best == "step-00000001")
        let new = CheckpointStore(directory: scratch.path, keepNewest: 2, evaluation: "5 frames")
        // Until there is a score over the new frames, the old best stays.
        #expect(try write(new, step: 3).best == 1)
        #expect(try write(new, step: 4, score: 9).best == 4)
        #expect(try write(new, step: 5, score: 8).best == 5)
        #expect(try Checkpoint.open(scratch.file("best")).state.evaluation == "5 frames")
        #expect(names == ["best", "step-00000004", "step-00000005"])
    }

    /// Checkpoints from before it was stored what their score is over.
    @Test func aScoreOverFramesThatAreNotKnownIsCompared() throws {
        try write(CheckpointStore(directory: scratch.path), step: 1, score: 1)
        #expect(try Checkpoint.open(scratch.file("best")).state.evaluation == nil)
        #expect(try write(CheckpointStore(directory: scratch.path, evaluation: "5 frames"), step: 2, score: 2).best == 1)
    }
}
