import Foundation
import Telemetry
import Testing

/// Event files, byte by byte. What TensorBoard's own reader makes of them is in Scripts/check-tensorboard.sh.
struct TensorBoardTests {
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("dtrain-events-\(UUID().uuidString)")
    }

    /// RFC 3720, appendix B.4.
    @Test func theChecksumIsCastagnolis() {
        #expect(CRC32C.of(Array("123456789".utf8)) == 0xE306_9283)
        #expect(CRC32C.of([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(CRC32C.of([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(CRC32C.of((0..<32).map { UInt8($0) }) == 0x46DD_794E)
        #expect(CRC32C.of([]) == 0 && CRC32C.masked([]) == 0xA282_EAD8)
    }

    private func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() }

    /// The data of a file's records; their checksums must be right.
    private func records(_ name: String) throws -> [[UInt8]] {
        var bytes = [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))[...]
        func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }
        var result: [[UInt8]] = []
        while !bytes.isEmpty {
            let length = Int(number(bytes.prefix(8)))
            #expect(number(bytes.dropFirst(8).prefix(4)) == UInt64(CRC32C.masked(Array(bytes.prefix(8)))))
            let data = Array(bytes.dropFirst(12).prefix(length))
            #expect(number(bytes.dropFirst(12 + length).prefix(4)) == UInt64(CRC32C.masked(data)))
            result.append(data)
            bytes = bytes.dropFirst(16 + length)
        }
        return result
    }

    @Test func aStartThatGoesOnSaysFromWhereAndComesAfterTheFileBefore() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        var writer: TensorBoardWriter? = try TensorBoardWriter(directory: folder.path, step: 0, group: "run")
        try writer?.add([("step", .integer(1)), ("loss", .number(0.5)), ("validation", .object([("split", .text("x")), ("loss", .number(2))]))])
        writer = nil
        let first = try #require(try names().first)
        let written = try records(first)
        let version: [UInt8] = [0x1A, 13] + Array("brain.Event:2".utf8)
        #expect(written.count == 2 && Array(written[0].suffix(15)) == version)
        // Event: step 2 = 1, summary 5 with two values: tag 1, simple_value 2.
        let loss: [UInt8] = [0x0A, 17, 0x0A, 10] + Array("train/loss".utf8) + [0x15, 0, 0, 0, 0x3F]
        let validation: [UInt8] = [0x0A, 22, 0x0A, 15] + Array("validation/loss".utf8) + [0x15, 0, 0, 0, 0x40]
        let head: [UInt8] = [0x10, 1, 0x2A, UInt8(loss.count + validation.count)]
        #expect(Array(written[1].dropFirst(9)) == head + loss + validation)
        writer = try TensorBoardWriter(directory: folder.path, step: 40, group: "run")
        let second = try #require(try names().last)
        #expect(second > first)
        // SessionLog 7 with status 1 = START, of step 41.
        #expect(try Array(records(second)[1].dropFirst(9)) == [0x10, 41, 0x3A, 2, 0x08, 1])
    }
}
