import Checkpoints
import Foundation
import Testing

/// A file system of one megabyte, for as long as a test lasts.
private final class SmallFileSystem {
    let path: String
    private let scratch: Scratch

    /// Nil where this process may not mount.
    init?() throws {
        scratch = try Scratch()
        path = scratch.file("small")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        guard geteuid() == 0, (try? run("/bin/mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path)) == 0 else {
            return nil
        }
    }

    func makeReadOnly() throws {
        #expect(try run("/bin/mount", "-o", "remount,ro", path) == 0)
    }

    deinit { _ = try? run("/bin/umount", "-l", path) }

    static let isAvailable = ((try? SmallFileSystem()) ?? nil) != nil
}

@Suite(
    .serialized,
    .enabled(if: SmallFileSystem.isAvailable, "needs root and the right to mount a tmpfs"))
struct FullDiskTests {
    @Test func aFullDiskLosesNothing() throws {
        let disk = try #require(try SmallFileSystem())
        let store = CheckpointStore(directory: "\(disk.path)/checkpoints")
        try write(store, step: 10)
        // The disk fills within a tensor, then within the last small file.
        for elements in [400_000, 0] {
            if elements == 0 {
                try put([UInt8](repeating: 1, count: 1 << 19), "\(disk.path)/ballast-1")
                _ = try? put([UInt8](repeating: 1, count: 1 << 19), "\(disk.path)/ballast-2")
            }
            let error = try failure {
                var pending = try store.begin(step: 20)
                try pending.file("big.safetensors", entries: [TensorEntry(name: "t", shape: [elements])]) { writer in
                    let values = [Float](repeating: 1, count: 1000)
                    for _ in 0..<(elements / 1000) {
                        try values.withUnsafeBufferPointer { try writer.append($0) }
                    }
                }
                _ = try pending.commit(training: [String](repeating: "text", count: 100_000))
            }
            #expect(error.kind == .system(code: ENOSPC))
            #expect(error.description.contains("No space left on device; hint: free space"))
            #expect(error.path.hasPrefix(store.directory))
            #expect(try names(store.directory) == ["step-00000010"])
            try expectWhole(try #require(try store.newestGood().checkpoint), step: 10)
        }
        let small = "\(disk.path)/checkpoints/step-00000010/state.json"
        let before = try bytes(small)
        let error = try failure { try AtomicFile.write(small, [UInt8](repeating: 0, count: 1 << 21)) }
        #expect(error.kind == .system(code: ENOSPC))
        #expect(try bytes(small) == before)
        #expect(try names(store.path(ofStep: 10)).count == 3)
    }

    @Test func aReadOnlyFileSystemIsNamed() throws {
        let disk = try #require(try SmallFileSystem())
        let store = CheckpointStore(directory: "\(disk.path)/checkpoints")
        try write(store, step: 10)
        try disk.makeReadOnly()
        #expect(try failure { _ = try store.begin(step: 20) }.kind == .system(code: EROFS))
        let error = try failure { _ = try RunDirectory(disk.path, existing: .resume) }
        #expect(error.description.contains("Read-only file system; hint: the file system is read-only"))
        #expect(try failure { _ = try RunDirectory("\(disk.path)/new/run", existing: .refuse) }.kind == .system(code: EROFS))
        try expectWhole(try #require(try store.newestGood().checkpoint), step: 10)
    }
}

@Suite(.enabled(if: geteuid() != 0, "root passes all permission checks"))
struct PermissionTests {
    @Test func aClosedDirectoryIsNamed() throws {
        let scratch = try Scratch()
        let store = CheckpointStore(directory: scratch.file("checkpoints"))
        try write(store, step: 10)
        #expect(chmod(store.directory, 0o500) == 0)
        defer { chmod(store.directory, 0o700) }
        let error = try failure { _ = try store.begin(step: 20) }
        #expect(error.kind == .system(code: EACCES))
        #expect(error.description.contains("hint: check the permissions"))
    }
}
