import Checkpoints
import Foundation
import Testing

/// Written by Python's safetensors 0.8.0 with numpy 2.4.6:
/// ```
/// save({"conv1.weight": np.arange(12, dtype=np.float32).reshape(3, 2, 2) / 4 - 1,
///       "conv1.bias": np.array([1.5, -2.25], np.float32), "scalar": np.array(7.0, np.float32),
///       "empty": np.zeros((0, 4), np.float32), "steps": np.array([2**40, -1], np.int64),
///       "flags": np.array([True, False, True]), "half": np.array([0.5, 2], np.float16),
///       'na\u00efve "name"': np.array([3], np.uint8)},
///      metadata={"format": "np", "note": "line\nbreak \\ and \u0416"})
/// ```
private let pythonFile = """
    OAIAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmb3JtYXQiOiJucCIsIm5vdGUiOiJsaW5lXG5icmVhayBcXCBhbmQg0JYifSwic3RlcHMiOnsiZHR5cGUiOiJJ
    NjQiLCJzaGFwZSI6WzJdLCJkYXRhX29mZnNldHMiOlswLDE2XX0sImNvbnYxLmJpYXMiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzJdLCJkYXRhX29mZnNl
    dHMiOlsxNiwyNF19LCJjb252MS53ZWlnaHQiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzMsMiwyXSwiZGF0YV9vZmZzZXRzIjpbMjQsNzJdfSwiZW1wdHki
    OnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzAsNF0sImRhdGFfb2Zmc2V0cyI6WzcyLDcyXX0sInNjYWxhciI6eyJkdHlwZSI6IkYzMiIsInNoYXBlIjpbXSwi
    ZGF0YV9vZmZzZXRzIjpbNzIsNzZdfSwiaGFsZiI6eyJkdHlwZSI6IkYxNiIsInNoYXBlIjpbMl0sImRhdGFfb2Zmc2V0cyI6Wzc2LDgwXX0sIm5hw692ZSBc
    Im5hbWVcIiI6eyJkdHlwZSI6IlU4Iiwic2hhcGUiOlsxXSwiZGF0YV9vZmZzZXRzIjpbODAsODFdfSwiZmxhZ3MiOnsiZHR5cGUiOiJCT09MIiwic2hhcGUi
    OlszXSwiZGF0YV9vZmZzZXRzIjpbODEsODRdfX0gICAgICAgAAAAAAABAAD//////////wAAwD8AABDAAACAvwAAQL8AAAC/AACAvgAAAAAAAIA+AAAAPwAA
    QD8AAIA/AACgPwAAwD8AAOA/AADgQAA4AEADAQAB
    """

func pythonBytes() throws -> [UInt8] {
    Array(try #require(Data(base64Encoded: pythonFile, options: .ignoreUnknownCharacters)))
}

@Suite struct SafetensorsTests {
    @Test func readsAFileOfThePythonLibrary() throws {
        let scratch = try Scratch()
        let path = scratch.file("python.safetensors")
        try put(pythonBytes(), path)
        let reader = try SafetensorsReader(path: path)
        #expect(reader.metadata == ["format": "np", "note": "line\nbreak \\ and \u{416}"])
        #expect(
            reader.entries.map(\.name) == [
                "steps", "conv1.bias", "conv1.weight", "empty", "scalar", "half", "na\u{ef}ve \"name\"", "flags",
            ])
        #expect(reader.entry(named: "conv1.weight")?.shape == [3, 2, 2])
        #expect(reader.entry(named: "half")?.type == .float16)
        #expect(try floats(reader, "conv1.weight") == (0..<12).map { Float($0) / 4 - 1 })
        #expect(try floats(reader, "conv1.weight", 5..<7) == [0.25, 0.5])
        #expect(try floats(reader, "conv1.bias") == [1.5, -2.25])
        #expect(try floats(reader, "scalar") == [7])
        #expect(try floats(reader, "empty") == [])
        var steps = [Int64](repeating: 0, count: 2)
        try steps.withUnsafeMutableBytes { try reader.read("steps", elements: 0..<2, into: $0) }
        #expect(steps == [1 << 40, -1])
    }

    /// The file as written, byte for byte, which Python's `safetensors.numpy.load` was seen to read.
    @Test func writesTheFormat() throws {
        let scratch = try Scratch()
        let path = scratch.file("ours.safetensors")
        let writer = try SafetensorsWriter(
            path: path,
            entries: [
                TensorEntry(name: "a \"b\"\n\u{416}", shape: [2, 1]), TensorEntry(name: "none", shape: [0]),
                TensorEntry(name: "c", type: .uint8, shape: [3]),
            ], metadata: ["z": "1", "format": "dtrain"])
        try [Float(1), -2].withUnsafeBytes { whole in
            for byte in whole.indices { try writer.append(UnsafeRawBufferPointer(rebasing: whole[byte...byte])) }
        }
        try [UInt8(7), 8, 9].withUnsafeBytes { try writer.append($0) }
        let digest = try writer.finish()

        let header =
            #"{"__metadata__":{"format":"dtrain","z":"1"},"a \"b\"\u000a"# + "\u{416}"
            + #"":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"#
            + #""none":{"dtype":"F32","shape":[0],"data_offsets":[8,8]},"c":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}"#
        let padded = Array(header.utf8) + [UInt8](repeating: 0x20, count: 64 - (header.utf8.count + 8) % 64)
        let expected: [UInt8] =
            [UInt8(padded.count), 0, 0, 0, 0, 0, 0, 0] + padded + [0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0, 7, 8, 9]
        let written = try bytes(path)
        #expect(written == expected)
        #expect((written.count - 11) % 64 == 0)
        #expect(digest.bytes == written.count)
        #expect(digest.checksum == written.withUnsafeBytes { StreamingChecksum.of($0) })

        let reader = try SafetensorsReader(path: path)
        #expect(reader.entries.map(\.name) == ["a \"b\"\n\u{416}", "none", "c"])
        #expect(try floats(reader, "a \"b\"\n\u{416}") == [1, -2])
    }

    @Test func refusesImpossibleTablesAndWrongAmounts() throws {
        let scratch = try Scratch()
        func write(_ entries: [TensorEntry], name: String = "x") throws -> SafetensorsWriter {
            try SafetensorsWriter(path: scratch.file(name), entries: entries)
        }
        let one = TensorEntry(name: "one", shape: [1])
        #expect(try failure { _ = try write([one, one]) }.kind == .refused)
        #expect(try failure { _ = try write([TensorEntry(name: "__metadata__", shape: [1])]) }.kind == .refused)
        #expect(try failure { _ = try write([TensorEntry(name: "n", shape: [-1])]) }.kind == .refused)
        #expect(try failure { _ = try write([TensorEntry(name: "n", shape: [.max, 2])]) }.kind == .refused)
        #expect(try names(scratch.path) == [])

        let writer = try write([one])
        let tooMuch = [Float](repeating: 1, count: 2)
        let error = try failure { try tooMuch.withUnsafeBufferPointer { try writer.append($0) } }
        #expect(error.reason == "8 bytes for a table of 4")
        #expect(try failure { _ = try writer.finish() }.reason.contains("tensor \"one\" is not complete"))
        #expect(try failure { _ = try write([one]) }.kind == .system(code: EEXIST))
    }

    @Test func refusesReadsThatDoNotFit() throws {
        let scratch = try Scratch()
        let path = scratch.file("python.safetensors")
        try put(pythonBytes(), path)
        let reader = try SafetensorsReader(path: path)
        #expect(try failure { _ = try floats(reader, "conv1.bias", 0..<3) }.kind == .refused)
        #expect(try failure { _ = try floats(reader, "conv1.bias", -1..<1) }.kind == .refused)
        #expect(try failure { _ = try floats(reader, "half") }.kind == .unsupported)
        #expect(try failure { _ = try floats(reader, "nothing", 0..<1) }.kind == .missing)
        var small = [Float](repeating: 0, count: 1)
        let error = try failure {
            try small.withUnsafeMutableBufferPointer { try reader.read("conv1.bias", elements: 0..<2, into: $0) }
        }
        #expect(error.kind == .refused)
    }

    /// Header text, bytes of data after it, and words of the error that must come.
    static let brokenHeaders: [(String, Int, String)] = [
        (#"["a"]"#, 0, "expected '{'"),
        (#" {}"#, 0, "expected '{'"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#, 4, "ends where '}' is expected"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}x"#, 4, "more text"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},}"#, 4, "expected '\"'"),
        (#"{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}"#, 4, "unknown type \"F99\""),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4, "of 2 F32 elements"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4, "bytes 4 to 0"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 3, "take 4 bytes, and the file holds 3"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 5, "take 4 bytes, and the file holds 5"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8, "after a hole"),
        (
            #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            8, "within the one before it"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            8, "the name \"a\" occurs twice"
        ),
        (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, "expected a whole number"),
        (#"{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#, 4, "expected ']'"),
        (#"{"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}"#, 4, "begins with 0"),
        (#"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}"#, 4, "too large"),
        (#"{"a":{"dtype":"F32","shape":[9223372036854775807,3],"data_offsets":[0,4]}}"#, 4, "more elements"),
        (#"{"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}}"#, 0, "more elements"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}"#, 4, "more than 2 numbers"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#, 4, "lacks its dtype"),
        (#"{"a":{"dtype":"F32","shape":[1]}}"#, 4, "lacks its dtype"),
        (#"{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}"#, 4, "repeated key \"shape\""),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}"#, 4, "unexpected or repeated key \"x\""),
        (#"{"__metadata__":{"a":1}}"#, 0, "expected '\"'"),
        (#"{"__metadata__":{"a":"1","a":"2"}}"#, 0, "metadata key \"a\" occurs twice"),
        (#"{"__metadata__":{},"__metadata__":{}}"#, 0, "occurs twice"),
        (#"{"\ud800":1}"#, 0, "half of a surrogate pair"),
        (#"{"\ud800\u0041":1}"#, 0, "half of a surrogate pair"),
        (#"{"\udc00":1}"#, 0, "half of a surrogate pair"),
        (#"{"\x":1}"#, 0, "unknown escape"),
        (#"{"\u12"#, 0, "ends within an escape"),
        (#"{"\u12g4":1}"#, 0, "four hexadecimal digits"),
        ("{\"a\nb\":1}", 0, "control character"),
        (#"{"abc"#, 0, "ends within a string"),
        ("", 0, "expected '{'"),
    ]

    @Test("broken header", arguments: brokenHeaders)
    func brokenHeader(header: String, dataCount: Int, words: String) throws {
        let scratch = try Scratch()
        let path = scratch.file("broken.safetensors")
        let error = try failure {
            try put(fileBytes(Array(header.utf8), dataCount: dataCount), path)
            _ = try SafetensorsReader(path: path)
        }
        #expect(error.kind == .damaged)
        #expect(error.path == path)
        #expect(error.reason.contains(words), "\(error)")
        #expect(error.description.utf8.count < 400 + path.utf8.count)
    }

    @Test func deepNesting() throws {
        for opening in ["[", "{\"a\":", "{\"a\":{\"shape\":["] {
            try brokenHeader(header: "{\"b\":" + String(repeating: opening, count: 100_000), dataCount: 0, words: "byte")
        }
    }

    private func fileBytes(_ header: [UInt8], announced: UInt64? = nil, dataCount: Int = 0) -> [UInt8] {
        withUnsafeBytes(of: (announced ?? UInt64(header.count)).littleEndian) { Array($0) } + header
            + [UInt8](repeating: 0, count: dataCount)
    }

    @Test func invalidUTF8InAName() throws {
        let scratch = try Scratch()
        let path = scratch.file("x")
        for bad: [UInt8] in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82]] {
            try put(fileBytes(Array("{\"".utf8) + bad + Array("\":{}}".utf8)), path)
            #expect(try failure { _ = try SafetensorsReader(path: path) }.reason.contains("not valid UTF-8"))
        }
    }

    @Test("announced header length", arguments: [3, 1 << 20, 1 << 40, UInt64(Int.max), .max, .max - 7])
    func announcedLength(length: UInt64) throws {
        let scratch = try Scratch()
        let path = scratch.file("x")
        try put(fileBytes(Array("{}".utf8), announced: length), path)
        #expect(try failure { _ = try SafetensorsReader(path: path) }.reason.contains("announces a header of \(length)"))
    }

    @Test func aHeaderBeyondTheLimitIsNotAllocated() throws {
        let scratch = try Scratch()
        let path = scratch.file("sparse")
        try put(fileBytes([], announced: 1 << 33), path)
        #expect(truncate(path, 1 << 34) == 0)
        #expect(try failure { _ = try SafetensorsReader(path: path) }.reason.contains("are the most"))
    }

    @Test func whatIsNoFile() throws {
        let scratch = try Scratch()
        #expect(try failure { _ = try SafetensorsReader(path: scratch.file("absent")) }.kind == .missing)
        #expect(try failure { _ = try SafetensorsReader(path: scratch.path) }.kind == .refused)
        #expect(try failure { _ = try SafetensorsReader(path: "/dev/zero") }.kind == .refused)
        #expect(mkfifo(scratch.file("pipe"), 0o600) == 0)
        #expect(try failure { _ = try SafetensorsReader(path: scratch.file("pipe")) }.kind == .refused)
        try put([], scratch.file("empty"))
        #expect(try failure { _ = try SafetensorsReader(path: scratch.file("empty")) }.reason.contains("too short"))
    }
}
