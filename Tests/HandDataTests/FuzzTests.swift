import Foundation
import HandData
import Memory
import System
import Testing

/// Mutations a format in one test run: DTRAIN_FUZZ_ROUNDS, 2000 unless told.
private let rounds = ProcessInfo.processInfo.environment["DTRAIN_FUZZ_ROUNDS"].flatMap { Int($0) } ?? 2000

/// Damages bytes in the ways that files get damaged, and some that only an adversary thinks of.
private struct Mutator {
    var random: SequentialRandom

    init(seed: UInt64) { random = CounterRandom(seed: seed, stream: 0).generator() }

    mutating func number(below bound: Int) -> Int { Int.random(in: 0..<max(bound, 1), using: &random) }

    mutating func mutate(_ original: [UInt8], dictionary: [[UInt8]]) -> [UInt8] {
        var bytes = original
        for _ in 0...number(below: 4) {
            let place = number(below: bytes.count)
            let length = min(number(below: 1 << number(below: 12)), bytes.count - place)
            switch number(below: 8) {
            case 0 where !bytes.isEmpty: bytes[place] ^= 1 << UInt8(number(below: 8))
            case 1 where !bytes.isEmpty: bytes[place] = [0, 1, 0x7F, 0x80, 0xFF, 0x0A, 0x20, 0x2D][number(below: 8)]
            case 2: bytes.removeLast(bytes.count - place)
            case 3: bytes.removeSubrange(place..<(place + length))
            case 4: bytes.insert(contentsOf: bytes[place..<(place + length)], at: place)
            case 5:
                bytes.insert(contentsOf: (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }, at: place)
            case 6: bytes.insert(contentsOf: dictionary[number(below: dictionary.count)], at: place)
            default:
                let end = min(place + 4, bytes.count)
                for index in place..<end { bytes[index] = UInt8(truncatingIfNeeded: random.next()) }
            }
        }
        return bytes
    }
}

/// The chunks of a PNG with their checksums made right again, so that damage gets past the check of them.
private func withRightChecksums(_ bytes: [UInt8]) -> [UInt8] {
    var mended = bytes
    var offset = 8
    while offset + 12 <= mended.count {
        let length = mended[offset..<(offset + 4)].reduce(0) { $0 << 8 | Int($1) }
        guard offset + 12 + length <= mended.count else { break }
        let body = mended[(offset + 4)..<(offset + 8 + length)]
        mended.replaceSubrange((offset + 8 + length)..<(offset + 12 + length), with: bigEndian(crc32(body)))
        offset += 12 + length
    }
    return mended
}

/// Peak resident memory of this process, bytes.
private func peakMemory() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return Int(usage.ru_maxrss) * 1024
}

@Suite(.serialized) struct FuzzTests {
    @Test func damagedFramesAreRefusedOrRead() throws {
        let size = PNG.Size(width: 24, height: 16)
        let noise = (0..<(24 * 16)).map { UInt16(truncatingIfNeeded: $0 &* 40_503) }
        let originals = [
            try encodeGrey(patternFrame(0, size: size), size), try encodeGrey(noise, size),
            png(width: 24, height: 16, depth: 16, color: 0, data: storedZlib([UInt8](repeating: 0, count: 16 * 49))),
        ]
        let dictionary = [
            chunk("tRNS", [0, 1]), chunk("IDAT", [1, 2, 3]), chunk("PLTE", [1, 2, 3]), chunk("IEND", []),
            chunk("IHDR", bigEndian(24) + bigEndian(16) + [16, 0, 0, 0, 1]), chunk("tEXt", Array("Title\0hand".utf8)),
            chunk("zTXt", Array("a\0\0".utf8) + storedZlib([UInt8](repeating: 65, count: 60_000))),
            chunk("iCCP", Array("a\0\0".utf8) + storedZlib([UInt8](repeating: 65, count: 60_000))),
            [0x7F, 0xFF, 0xFF, 0xFF], [0, 0, 0, 0], Array("IDAT".utf8),
        ]
        var mutator = Mutator(seed: 1)
        let memory = peakMemory()
        var slowest = 0.0
        var decoded = 0
        for round in 0..<rounds {
            var bytes = mutator.mutate(originals[round % originals.count], dictionary: dictionary)
            if round % 2 == 0 { bytes = withRightChecksums(bytes) }
            let began = Date()
            if case .success = decode(bytes, size) { decoded += 1 }
            slowest = max(slowest, Date().timeIntervalSince(began))
        }
        #expect(slowest < 1)
        #expect(peakMemory() - memory < 256 << 20)
        #expect(decoded < rounds / 2, "most mutations must do damage, or this test tests nothing")
    }

    @Test func damagedLabelFilesAreReadAsFarAsTheyGo() throws {
        let original = Array(
            (0..<6).map { labelLine("201403121135/image_000\($0).png", patternLabel($0)) + " \r\r\n" }.joined().utf8)
        let dictionary = [
            "\n", "\r\n", " ", "../", "/", "nan", "1e999", "-", "\0", "\u{FEFF}", "0x1p-3",
            String(repeating: "9", count: 400),
        ]
        .map { Array($0.utf8) }
        var mutator = Mutator(seed: 2)
        let memory = peakMemory()
        var slowest = 0.0
        var damaged = 0
        for _ in 0..<rounds {
            let bytes = mutator.mutate(original, dictionary: dictionary)
            var table = LabelTable()
            let began = Date()
            bytes.withUnsafeBytes { LabelFile.parse($0, named: "labels.txt", into: &table) }
            slowest = max(slowest, Date().timeIntervalSince(began))
            #expect(table.labels.count == table.count * 48)
            #expect(table.labels.allSatisfy { $0.isFinite })
            #expect(table.count + table.malformedCount <= bytes.count { $0 == 0x0A } + 1)
            if table.malformedCount > 0 { damaged += 1 }
        }
        #expect(slowest < 1)
        #expect(peakMemory() - memory < 256 << 20)
        #expect(damaged > rounds / 4, "many mutations must do damage, or this test tests nothing")
    }
}
