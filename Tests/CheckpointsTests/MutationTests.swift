import Checkpoints
import Foundation
import Testing

/// Mutated files: each is read or refused with a line, never a crash, a hang, or memory out of proportion.
/// The rounds are the same on every run; `DTRAIN_FUZZ_ROUNDS` makes it longer.
@Suite(.serialized) struct MutationTests {
    static let rounds = ProcessInfo.processInfo.environment["DTRAIN_FUZZ_ROUNDS"].flatMap(Int.init) ?? 5000

    private static let words = [
        "{", "}", "[", "]", "\"", ",", ":", "\\", "\\u", "\\ud800", "-", "0", "1e9", "null", "true",
        "9223372036854775807", "18446744073709551616", "-1", "4294967296", "\"shape\":[", "\"data_offsets\":[0,0]",
        "\"dtype\":\"F64\"", "\"__metadata__\":{", "\"step\" : ", "\"files\" : {", "\u{0}", "\u{fffd}",
    ].map { Array($0.utf8) }

    private func mutate(_ original: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
        var bytes = original
        for _ in 0...Int.random(in: 0..<4, using: &generator) {
            let place = Int.random(in: 0...bytes.count, using: &generator)
            let end = min(bytes.count, place + Int.random(in: 0...40, using: &generator))
            switch Int.random(in: 0..<8, using: &generator) {
            case 0 where place < bytes.count: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 1 where place < bytes.count: bytes[place] = .random(in: 0...255, using: &generator)
            case 2: bytes.removeSubrange(place..<end)
            case 3: bytes.insert(contentsOf: bytes[place..<end], at: place)
            case 4: bytes.insert(contentsOf: Self.words.randomElement(using: &generator)!, at: place)
            case 5: bytes.replaceSubrange(place..<end, with: Self.words.randomElement(using: &generator)!)
            case 6: bytes.removeLast(bytes.count - place)
            default:
                // A digit becomes another: offsets, extents, counters.
                let digits = bytes.indices.filter { (0x30...0x39).contains(bytes[$0]) }
                if let digit = digits.randomElement(using: &generator) {
                    bytes[digit] = .random(in: 0x30...0x39, using: &generator)
                }
            }
        }
        return bytes
    }

    /// Most this process ever had in memory, bytes.
    private var peakMemory: Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss * 1024
    }

    @Test func safetensors() throws {
        let scratch = try Scratch(inMemory: true)
        let path = scratch.file("mutated.safetensors")
        let ours = try write(CheckpointStore(directory: scratch.file("c")), step: 1).checkpoint
        let seeds = [try pythonBytes(), try bytes("\(ours.path)/model.safetensors")]
        var generator = SeededGenerator(seed: 20_240_229)
        let before = peakMemory
        var (read, refused) = (0, 0)
        for round in 0..<Self.rounds {
            let seed = seeds[round % seeds.count]
            let headerEnd = 8 + Int(seed[0]) + Int(seed[1]) << 8
            var header = mutate(Array(seed[8..<headerEnd]), &generator)
            var data = Array(seed[headerEnd...])
            if round % 5 == 0 { data.removeLast(.random(in: 0...data.count, using: &generator)) }
            // Mostly the announced length stays right, so that the mutation reaches the parser.
            if header.isEmpty { header = [0x7B] }
            var length = withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) }
            if round % 7 == 0 { length = mutate(length, &generator) }
            try put(length + header + data, path)
            do {
                let reader = try SafetensorsReader(path: path)
                for entry in reader.entries {
                    var bytes = [UInt8](repeating: 0, count: entry.byteCount)
                    try bytes.withUnsafeMutableBytes {
                        try reader.read(entry.name, elements: 0..<entry.elementCount, into: $0)
                    }
                }
                read += 1
            } catch {
                let error = try #require(error as? CheckpointError)
                #expect(error.description.utf8.count < 1000)
                refused += 1
            }
        }
        // Both happen, or the mutations are too weak or too strong to mean anything.
        #expect(read > Self.rounds / 100)
        #expect(refused > Self.rounds / 4)
        #expect(peakMemory - before < 64 << 20)
    }

    @Test(arguments: [false, true])
    func stateFile(sealedAgain: Bool) throws {
        let scratch = try Scratch(inMemory: true)
        let committed = try write(CheckpointStore(directory: scratch.path), step: 12, score: 0.5)
        let path = "\(committed.checkpoint.path)/state.json"
        let original = try bytes(path)
        let sealStart = Array("{\n  \"checksum\" : \"".utf8).count
        var generator = SeededGenerator(seed: sealedAgain ? 77 : 78)
        let before = peakMemory
        var (read, refused) = (0, 0)
        for _ in 0..<Self.rounds {
            var mutated: [UInt8]
            if sealedAgain {
                // With a right checksum the mutation reaches the decoder.
                mutated = Array(original[..<(sealStart + 22)]) + mutate(Array(original[(sealStart + 22)...]), &generator)
                mutated.replaceSubrange(sealStart..<sealStart + 22, with: "xxh64:0000000000000000".utf8)
                let seal = mutated.withUnsafeBytes { StreamingChecksum.of($0) }
                mutated.replaceSubrange(sealStart..<sealStart + 22, with: seal.description.utf8)
            } else {
                mutated = mutate(original, &generator)
            }
            try put(mutated, path)
            do {
                let checkpoint = try Checkpoint.open(committed.checkpoint.path)
                _ = try checkpoint.training(as: Progress.self)
                read += 1
                #expect(sealedAgain || mutated == original)
            } catch {
                #expect(error.description.utf8.count < 1000)
                refused += 1
            }
        }
        #expect(refused > Self.rounds / 4)
        #expect(!sealedAgain || read > Self.rounds / 100)
        #expect(peakMemory - before < 64 << 20)
    }

    @Test func filesOutsideTheCheckpointAreNotOpened() throws {
        let scratch = try Scratch()
        let committed = try write(CheckpointStore(directory: scratch.path), step: 12)
        let path = "\(committed.checkpoint.path)/state.json"
        let original = String(decoding: try bytes(path), as: UTF8.self)
        for name in ["../../secret", "/etc/passwd", "..", ".", "", "state.json", "a/b"] {
            var text = original.replacingOccurrences(of: "model.safetensors", with: name)
            text.replace(/xxh64:[0-9a-f]{16}/, with: "xxh64:0000000000000000", maxReplacements: 1)
            let seal = Array(text.utf8).withUnsafeBytes { StreamingChecksum.of($0) }
            text.replace("xxh64:0000000000000000", with: seal.description, maxReplacements: 1)
            try put(Array(text.utf8), path)
            let error = try failure { _ = try Checkpoint.open(committed.checkpoint.path) }
            #expect(error.reason.hasPrefix("names a file outside the checkpoint"), "\(name): \(error)")
        }
    }
}
