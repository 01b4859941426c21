import Telemetry
import Testing

/// Numbers as text.
struct FormatTests {
    /// 0 / 0 is a NaN with its sign bit set on x86, which printf shows.
    @Test(arguments: ["%.1f", "%g", "%.9g"]) func notANumberHasNoSign(pattern: String) {
        #expect(format(pattern, -Double.nan) == "nan")
        #expect(format(pattern, Double.nan) == "nan")
        #expect(format(pattern, -Double.infinity) == "-inf")
    }

    @Test func numbersKeepTheirs() {
        #expect(format("%.1f", -2.55) == "-2.5")
        #expect(format("%02d", Int32(7)) == "07")
    }
}
