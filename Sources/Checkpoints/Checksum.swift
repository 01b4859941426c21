/// The 64-bit checksum of a run of bytes: XXH64 with seed 0.
///
/// Written and read as `xxh64:` and 16 hexadecimal digits, what `xxhsum -H1` prints.
package struct Checksum: Hashable, Sendable, CustomStringConvertible {
    package let value: UInt64

    package init(value: UInt64) {
        self.value = value
    }

    /// Reads what `description` writes; nil for anything else.
    package init?(_ text: String) {
        guard text.hasPrefix("xxh64:"), text.utf8.count == 22,
            text.utf8.dropFirst(6).allSatisfy({ (48...57).contains($0) || (97...102).contains($0) }),
            let value = UInt64(text.dropFirst(6), radix: 16)
        else { return nil }
        self.value = value
    }

    package var description: String {
        let digits = String(value, radix: 16)
        return "xxh64:" + String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension Checksum: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let checksum = Checksum(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "\(quoted(text)) is not xxh64: and 16 digits")
        }
        self = checksum
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// Size and checksum of a file.
package struct FileDigest: Hashable, Codable, Sendable {
    package let bytes: Int
    package let checksum: Checksum
}

/// XXH64 over bytes that come in pieces; the cut into pieces does not matter.
///
/// Formula: "xxHash fast digest algorithm", section "XXH64 algorithm description" (doc/xxhash_spec.md of Cyan4973/xxHash):
/// four lanes of 8 bytes, each `lane = rotate(lane + word * p2, 31) * p1`, merged and mixed at the end.
/// A checksum against accidents, not against an adversary.
package struct StreamingChecksum: Sendable {
    private static let prime1: UInt64 = 0x9E37_79B1_85EB_CA87
    private static let prime2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
    private static let prime3: UInt64 = 0x1656_67B1_9E37_79F9
    private static let prime4: UInt64 = 0x85EB_CA77_C2B2_AE63
    private static let prime5: UInt64 = 0x27D4_EB2F_1656_67C5

    private var lane1 = prime1 &+ prime2
    private var lane2 = prime2
    private var lane3: UInt64 = 0
    private var lane4 = 0 &- prime1
    /// The last bytes, fewer than a stripe of 32.
    private var tail = SIMD32<UInt8>()
    private var tailCount = 0
    private var total: UInt64 = 0

    package init() {}

    /// Checksum of bytes at hand.
    package static func of(_ bytes: UnsafeRawBufferPointer) -> Checksum {
        var checksum = StreamingChecksum()
        checksum.update(bytes)
        return checksum.finish()
    }

    @inline(__always)
    private static func round(_ lane: UInt64, _ word: UInt64) -> UInt64 {
        rotate(lane &+ word &* prime2, 31) &* prime1
    }

    @inline(__always)
    private static func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 {
        (value &<< count) | (value &>> (64 &- count))
    }

    @inline(__always)
    private static func word(_ bytes: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        UInt64(littleEndian: (bytes + offset).loadUnaligned(as: UInt64.self))
    }

    /// Takes the next bytes.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return }
        total &+= UInt64(bytes.count)
        var start = base
        var count = bytes.count
        if tailCount > 0 {
            let taken = min(32 - tailCount, count)
            withUnsafeMutableBytes(of: &tail) { [tailCount] in
                UnsafeMutableRawBufferPointer(rebasing: $0[tailCount..<tailCount + taken])
                    .copyMemory(from: UnsafeRawBufferPointer(start: start, count: taken))
            }
            tailCount += taken
            start += taken
            count -= taken
            guard tailCount == 32 else { return }
            let stripe = tail
            withUnsafeBytes(of: stripe) { takeStripes($0.baseAddress.unsafelyUnwrapped, 1) }
            tailCount = 0
        }
        let stripes = count / 32
        takeStripes(start, stripes)
        let rest = count - stripes * 32
        if rest > 0 {
            let source = UnsafeRawBufferPointer(start: start + stripes * 32, count: rest)
            withUnsafeMutableBytes(of: &tail) { $0.copyMemory(from: source) }
            tailCount = rest
        }
    }

    private mutating func takeStripes(_ start: UnsafeRawPointer, _ count: Int) {
        // The lanes live in registers for the length of the loop.
        var (first, second, third, fourth) = (lane1, lane2, lane3, lane4)
        var stripe = start
        for _ in 0..<count {
            first = Self.round(first, Self.word(stripe, 0))
            second = Self.round(second, Self.word(stripe, 8))
            third = Self.round(third, Self.word(stripe, 16))
            fourth = Self.round(fourth, Self.word(stripe, 24))
            stripe += 32
        }
        (lane1, lane2, lane3, lane4) = (first, second, third, fourth)
    }

    /// The checksum of all bytes so far; more may follow.
    package func finish() -> Checksum {
        var hash: UInt64
        if total >= 32 {
            hash =
                Self.rotate(lane1, 1) &+ Self.rotate(lane2, 7) &+ Self.rotate(lane3, 12) &+ Self.rotate(lane4, 18)
            for lane in [lane1, lane2, lane3, lane4] {
                hash = (hash ^ Self.round(0, lane)) &* Self.prime1 &+ Self.prime4
            }
        } else {
            hash = Self.prime5
        }
        hash &+= total
        var position = 0
        withUnsafeBytes(of: tail) { bytes in
            let start = bytes.baseAddress.unsafelyUnwrapped
            while position + 8 <= tailCount {
                hash ^= Self.round(0, Self.word(start, position))
                hash = Self.rotate(hash, 27) &* Self.prime1 &+ Self.prime4
                position += 8
            }
            if position + 4 <= tailCount {
                let word = UInt32(littleEndian: (start + position).loadUnaligned(as: UInt32.self))
                hash ^= UInt64(word) &* Self.prime1
                hash = Self.rotate(hash, 23) &* Self.prime2 &+ Self.prime3
                position += 4
            }
            while position < tailCount {
                hash ^= UInt64(bytes[position]) &* Self.prime5
                hash = Self.rotate(hash, 11) &* Self.prime1
                position += 1
            }
        }
        hash = (hash ^ (hash &>> 33)) &* Self.prime2
        hash = (hash ^ (hash &>> 29)) &* Self.prime3
        return Checksum(value: hash ^ (hash &>> 32))
    }
}
