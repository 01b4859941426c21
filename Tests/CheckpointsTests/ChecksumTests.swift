import Checkpoints
import Testing

@Suite struct ChecksumTests {
    /// Python's xxhash 4.1: `xxhash.xxh64(bytes((i*7+3)&255 for i in range(n))).hexdigest()`.
    @Test(
        "XXH64 of n bytes",
        arguments: [
            (0, 0xef46_db37_51d8_e999), (1, 0x1f25_c8d0_bc1f_4bb6), (3, 0x31d2_363f_52e5_64c9),
            (4, 0x9bb6_4b7d_66ee_9fda), (7, 0x9a7b_1499_59ce_60d8), (8, 0xdab9_9d95_c6f9_0092),
            (12, 0xd52e_4078_33af_5133), (31, 0xa2aa_5f33_cc4a_6119), (32, 0x23c3_c17e_f790_fd97),
            (33, 0x50a7_cfc7_ba58_8784), (63, 0x5e3e_54b4_31c7_493c), (64, 0x0eb6_4b3e_f6ee_b01f),
            (100, 0xa61f_8d4c_170f_e531), (1000, 0x5f23_5fa0_33f1_a3fb), (65537, 0x8c84_6e27_5f13_76ae),
        ] as [(Int, UInt64)])
    func reference(count: Int, expected: UInt64) {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 3) }
        #expect(bytes.withUnsafeBytes { StreamingChecksum.of($0) } == Checksum(value: expected))

        var generator = SeededGenerator(seed: UInt64(count))
        var streamed = StreamingChecksum()
        var start = 0
        while start < count {
            let end = min(count, start + Int.random(in: 0...70, using: &generator))
            bytes[start..<end].withUnsafeBytes { streamed.update($0) }
            start = end
        }
        #expect(streamed.finish() == Checksum(value: expected))
    }

    @Test func textRoundTrip() {
        let checksum = Checksum(value: 0x0123)
        #expect(checksum.description == "xxh64:0000000000000123")
        #expect(Checksum(checksum.description) == checksum)
        for text in ["", "xxh64:", "xxh64:000000000000012g", "xxh64:+000000000000123", "XXH64:0000000000000123"] {
            #expect(Checksum(text) == nil, "\(text)")
        }
    }
}
