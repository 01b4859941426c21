import Checkpoints
import Foundation
import Testing

/// A directory that goes with the test.
final class Scratch {
    let path: String

    /// - Parameter inMemory: where thousands of small files would wait for the disk.
    init(inMemory: Bool = false) throws {
        let memory = "/dev/shm"
        let base = inMemory && access(memory, W_OK) == 0 ? memory : FileManager.default.temporaryDirectory.path
        path = "\(base)/dtrain-checkpoints-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { "\(path)/\(name)" }
}

/// SplitMix64: the same rounds on every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// What a trainer might keep.
struct Progress: Codable, Equatable {
    var epoch: Int
    var position: Int
    var seed: UInt64
    var losses: [Double]
}

let sampleEntries = [
    TensorEntry(name: "conv1.weight", shape: [5, 5, 1, 8]),
    TensorEntry(name: "conv1.bias", shape: [8]),
    TensorEntry(name: "fc1.weight", shape: [64, 32]),
]

/// Values that depend on step and position, so that no two checkpoints are alike.
func sampleValues(step: Int, entry: Int) -> [Float] {
    (0..<sampleEntries[entry].elementCount).map { Float(step) + Float(entry) * 0.25 - Float($0) * 0.001 }
}

func sampleProgress(step: Int) -> Progress {
    Progress(epoch: step / 10, position: step % 10, seed: .max, losses: [1.0 / 3, Double(step), 0.1])
}

/// Writes a checkpoint of two small files; the store's directory is made if need be.
@discardableResult
func write(
    _ store: CheckpointStore, step: Int, score: Double? = nil
) throws -> CommittedCheckpoint {
    try FileManager.default.createDirectory(atPath: store.directory, withIntermediateDirectories: true)
    var pending = try store.begin(step: step)
    try fill(&pending, step: step)
    return try pending.commit(training: sampleProgress(step: step), score: score)
}

func fill(_ pending: inout PendingCheckpoint, step: Int) throws {
    for name in ["model.safetensors", "optimizer.safetensors"] {
        try pending.file(name, entries: sampleEntries, metadata: ["step": "\(step)"]) { writer in
            for entry in sampleEntries.indices {
                try sampleValues(step: step, entry: entry).withUnsafeBufferPointer { try writer.append($0) }
            }
        }
    }
}

/// Whether a checkpoint holds what `write` wrote, to the bit.
func expectWhole(_ checkpoint: Checkpoint, step: Int) throws {
    #expect(checkpoint.step == step)
    #expect(try checkpoint.training(as: Progress.self) == sampleProgress(step: step))
    for name in ["model.safetensors", "optimizer.safetensors"] {
        let reader = try checkpoint.reader(name)
        #expect(reader.entries == sampleEntries)
        for entry in sampleEntries.indices {
            #expect(try floats(reader, sampleEntries[entry].name) == sampleValues(step: step, entry: entry))
        }
    }
}

func floats(_ reader: SafetensorsReader, _ name: String, _ range: Range<Int>? = nil) throws -> [Float] {
    let range = try range ?? 0..<#require(reader.entry(named: name)).elementCount
    var values = [Float](repeating: .nan, count: range.count)
    try values.withUnsafeMutableBufferPointer { try reader.read(name, elements: range, into: $0) }
    return values
}

func bytes(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: path)))
}

/// Puts a new file in the place of any old one. (Cutting the old one would make some file systems wait for the disk.)
func put(_ bytes: [UInt8], _ path: String) throws {
    unlink(path)
    try Data(bytes).write(to: URL(fileURLWithPath: path))
}

func names(_ path: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path).sorted()
}

/// The error a call throws; an issue is recorded when it throws none.
func failure(
    _ body: () throws -> Void, sourceLocation: SourceLocation = #_sourceLocation
) throws -> CheckpointError {
    try #require(#expect(throws: CheckpointError.self, sourceLocation: sourceLocation, performing: body))
}

/// Runs a program to its end and returns its exit code.
@discardableResult
func run(_ program: String, _ arguments: String...) throws -> Int32 {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus
}
