import Foundation
import Telemetry
import Testing

struct MetricsTests {
    private func parsed(_ value: MetricValue) throws -> Any {
        try JSONSerialization.jsonObject(with: Data(value.json.utf8), options: .fragmentsAllowed)
    }

    @Test(arguments: [
        "plain", "quote \" inside", "back\\slash", "line\nbreak\r\ttab", "\u{0}\u{1}\u{1F}", "/slash", "ü 手 \u{1F91A}", "",
        "\u{2028}", "\u{7F}",
    ])
    func textsSurviveJSON(text: String) throws {
        #expect(try parsed(.text(text)) as? String == text)
        #expect(!MetricValue.text(text).json.contains("\n"))
    }

    @Test func namesAreEscapedToo() throws {
        let object = try #require(try parsed(.object([("a \"b\"\n", .integer(1))])) as? [String: Int])
        #expect(object == ["a \"b\"\n": 1])
    }

    @Test(arguments: [Double.nan, .infinity, -.infinity, .signalingNaN])
    func whatJSONCannotHoldIsNull(value: Double) throws {
        #expect(MetricValue.number(value).json == "null")
        #expect(MetricValue.object([("loss", .number(value))]).json == #"{"loss":null}"#)
    }

    @Test(arguments: [
        0, 1, -1, 1.5, 1e-30, 1e30, 52_878.53, Double(Float.leastNonzeroMagnitude), Double(Float.greatestFiniteMagnitude),
        1.797_693_134e308, .leastNonzeroMagnitude,
    ])
    func numbersKeepNineDigits(value: Double) throws {
        let read = try #require(Double(MetricValue.number(value).json))
        // Half a unit of the ninth digit; the smallest double has but one bit.
        #expect(abs(read - value) <= abs(value) * 0.5e-8)
        _ = try parsed(.number(value))
    }

    /// Any two floats differ within nine digits.
    @Test func neighbouringFloatsAreToldApart() {
        for value in [Float(1), 0.1, 874.3, 1e-12, 3e38] {
            #expect(MetricValue.number(Double(value)).json != MetricValue.number(Double(value.nextUp)).json)
            #expect(Float(MetricValue.number(Double(value)).json) == value)
        }
    }

    @Test func integersAreExact() {
        #expect(MetricValue.integer(.max).json == "9223372036854775807")
        #expect(MetricValue.integer(.min).json == "-9223372036854775808")
    }

    @Test func objectsKeepTheirOrderAndNest() {
        let value = MetricValue.object([
            ("z", .integer(1)), ("a", .object([("b", .text("c")), ("d", .number(0.5))])), ("e", .object([])),
        ])
        #expect(value.json == #"{"z":1,"a":{"b":"c","d":0.5},"e":{}}"#)
    }

    @Test func linesAreAppended() throws {
        let path = NSTemporaryDirectory() + "dtrain-metrics-\(UUID().uuidString).jsonl"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try MetricsWriter(path: path).write([("step", .integer(1))])
        let again = try MetricsWriter(path: path)
        try again.write([("step", .integer(2)), ("loss", .number(.nan))])
        try again.write([])
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "{\"step\":1}\n{\"step\":2,\"loss\":null}\n{}\n")
    }

    @Test func aPathThatCannotBeWrittenIsNamed() {
        let error = #expect(throws: MetricsWriter.WriteError.self) { _ = try MetricsWriter(path: "/proc/none/metrics.jsonl") }
        #expect(error?.description.hasPrefix("/proc/none/metrics.jsonl: cannot write (No such file or directory)") == true)
        #expect(error?.description.contains("hint: ") == true)
    }

    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full"), "there is no /dev/full"))
    func aFullDiskIsReported() throws {
        let writer = try MetricsWriter(path: "/dev/full")
        let error = #expect(throws: MetricsWriter.WriteError.self) { try writer.write([("step", .integer(1))]) }
        #expect(error?.description.contains("No space left on device") == true)
    }

    @Test func formatsAsPrintf() {
        #expect(format("%.2f", 1.005) == "1.00" && format("%02d", Int32(7)) == "07" && format("%5.1f%%", 99.96) == "100.0%")
        #expect(format("%.0f", 1e200).count == 63, "what does not fit 63 characters is cut, never overrun")
    }
}
