import Foundation
import HandData
import System
import Testing

/// Decodes into a buffer of its own; the pixels, or what was thrown.
func decode(_ bytes: [UInt8], _ size: PNG.Size) -> Result<[UInt16], PNGError> {
    var pixels = [UInt16](repeating: 0xABCD, count: size.width * size.height)
    return pixels.withUnsafeMutableBufferPointer { buffer in
        do throws(PNGError) {
            try bytes.withUnsafeBufferPointer { bytes throws(PNGError) in
                try PNG.decode(UnsafeRawBufferPointer(bytes), expecting: size, into: buffer)
            }
            return .success(Array(buffer))
        } catch {
            return .failure(error)
        }
    }
}

func reason(_ bytes: [UInt8], _ size: PNG.Size) -> String {
    switch decode(bytes, size) {
    case .success: "decoded"
    case .failure(let error): error.description
    }
}

func encodeGrey(_ pixels: [UInt16], _ size: PNG.Size) throws -> [UInt8] {
    let folder = try TemporaryFolder()
    try pixels.withUnsafeBufferPointer { try PNG.write(grey16: $0, size: size, to: "\(folder.path)/frame.png") }
    return try folder.bytes("frame.png")
}

@Suite struct PNGTests {
    static let size = PNG.Size(width: 24, height: 16)

    @Test(arguments: [PNG.Size(width: 1, height: 1), size, PNG.Size(width: 320, height: 240)])
    func framesComeBackAsWritten(size: PNG.Size) throws {
        let pixels = patternFrame(3, size: size)
        let bytes = try encodeGrey(pixels, size)
        #expect(try decode(bytes, size).get() == pixels)
    }

    @Test func noiseComesBackAsWritten() throws {
        var random = CounterRandom(seed: 7, stream: 0).generator()
        let pixels = (0..<(24 * 16)).map { _ in UInt16.random(in: 0...65535, using: &random) }
        #expect(try decode(try encodeGrey(pixels, Self.size), Self.size).get() == pixels)
    }

    @Test func everyFlippedBitIsNoticed() throws {
        var bytes = try encodeGrey(patternFrame(0, size: Self.size), Self.size)
        for bit in 0..<(bytes.count * 8) {
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            if case .success = decode(bytes, Self.size) { Issue.record("bit \(bit) of \(bytes.count * 8)") }
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        }
    }

    @Test func everyCutIsNoticed() throws {
        let bytes = try encodeGrey(patternFrame(0, size: Self.size), Self.size)
        #expect(reason([], Self.size) == "empty file")
        #expect(reason(Array(bytes.prefix(7)), Self.size) == "not a PNG file")
        for count in 8..<bytes.count {
            #expect(
                reason(Array(bytes.prefix(count)), Self.size) == "truncated PNG file",
                "cut at \(count) of \(bytes.count)")
        }
    }

    @Test func otherFilesAreNamedForWhatTheyAre() throws {
        #expect(reason(Array("GIF89a and more".utf8), Self.size) == "not a PNG file")
        let bytes = try encodeGrey(patternFrame(0, size: Self.size), Self.size)
        #expect(reason(bytes, PNG.Size(width: 320, height: 240)) == "wrong size 24x16, expected 320x240")
        #expect(reason(bytes, PNG.Size(width: 16, height: 24)) == "wrong size 24x16, expected 16x24")

        let folder = try TemporaryFolder()
        let colours = [UInt8](repeating: 7, count: 24 * 16 * 3)
        try colours.withUnsafeBufferPointer { try PNG.write(rgb8: $0, size: Self.size, to: "\(folder.path)/c.png") }
        #expect(
            reason(try folder.bytes("c.png"), Self.size)
                == "wrong depth: 8-bit colour, expected 16-bit single-band greyscale")
    }

    /// A file made by hand after the specification, not by this encoder:
    /// big-endian samples 0x0102 and 0x7D01 in a 2x1 image, filter 0.
    @Test func samplesAreBigEndianInTheFile() throws {
        let bytes = png(width: 2, height: 1, depth: 16, color: 0, data: storedZlib([0, 0x01, 0x02, 0x7D, 0x01]))
        #expect(try decode(bytes, PNG.Size(width: 2, height: 1)).get() == [0x0102, 0x7D01])
    }

    @Test func aForgedHeaderAllocatesNothing() throws {
        let huge = png(width: 0x7FFF_FFFF, height: 0x7FFF_FFFF, depth: 16, color: 0, data: storedZlib([0]))
        #expect(reason(huge, Self.size) == "wrong size 2147483647x2147483647, expected 24x16")
        #expect(throws: PNGError.self) { try huge.withUnsafeBytes { _ = try PNG.size(of: $0) } }
        let short = png(width: 24, height: 16, depth: 16, color: 0, data: storedZlib([0, 1, 2]))
        #expect(reason(short, Self.size) != "decoded")
    }

    @Test func writingIntoNowhereSaysSo() throws {
        let folder = try TemporaryFolder()
        let error = #expect(throws: DataError.self) {
            try patternFrame(0, size: Self.size).withUnsafeBufferPointer {
                try PNG.write(grey16: $0, size: Self.size, to: "\(folder.path)/absent/frame.png")
            }
        }
        #expect(error?.description.hasPrefix("cannot write \(folder.path)/absent/frame.png: missing file") == true)
        #expect(error?.description.contains("hint: ") == true)
    }

    @Test func writingReplacesAndLeavesNothingBeside() throws {
        let folder = try TemporaryFolder()
        try folder.write("old", to: "frame.png")
        let pixels = patternFrame(1, size: Self.size)
        try pixels.withUnsafeBufferPointer {
            try PNG.write(grey16: $0, size: Self.size, to: "\(folder.path)/frame.png")
        }
        #expect(try decode(try folder.bytes("frame.png"), Self.size).get() == pixels)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["frame.png"])
    }
}

// MARK: PNG files made by hand, after the PNG specification (ISO/IEC 15948)

func png(width: UInt32, height: UInt32, depth: UInt8, color: UInt8, data: [UInt8]) -> [UInt8] {
    let header = bigEndian(width) + bigEndian(height) + [depth, color, 0, 0, 0]
    return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
        + chunk("IHDR", header) + chunk("IDAT", data) + chunk("IEND", [])
}

func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
    let body = Array(type.utf8) + data
    return bigEndian(UInt32(data.count)) + body + bigEndian(crc32(body))
}

func bigEndian(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }

func crc32(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var crc: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? (crc >> 1) ^ 0xEDB8_8320 : crc >> 1 }
    }
    return ~crc
}

/// A zlib stream of one stored block (RFC 1950, 1951).
func storedZlib(_ bytes: [UInt8]) -> [UInt8] {
    var a: UInt32 = 1
    var b: UInt32 = 0
    for byte in bytes {
        a = (a + UInt32(byte)) % 65521
        b = (b + a) % 65521
    }
    let count = UInt16(bytes.count)
    return [0x78, 0x01, 1, UInt8(count & 255), UInt8(count >> 8), UInt8(~count & 255), UInt8(~count >> 8)]
        + bytes + bigEndian(b << 16 | a)
}
